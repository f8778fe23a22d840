"""A machine's microphone and loudspeaker for real browsers: PulseAudio without hardware, one a test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from fakes.patience import PATIENCE_S, wait_until
from joyvl_server.kit.audio.pcm import Pcm, Samples

MICROPHONE = "Mic"
"""its name in browsers"""
RATE = 48_000
MODULES = (
    "module-null-sink sink_name=speaker",
    "module-null-sink sink_name=air",
    f"module-remap-source source_name=microphone master=air.monitor source_properties=device.description={MICROPHONE}",
)


class SoundCard:
    """`environment` is what a browser needs to find it; `heard` what its loudspeaker has played, at 48 kHz."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        self._folder = folder
        self._record = folder / "speaker.raw"

    def say(self, audio: Pcm) -> None:
        """Into the microphone. Returns when it was said."""
        sound = audio.samples.tobytes()
        shape = ["--raw", f"--rate={audio.rate}", "--channels=1", "--format=s16le"]
        self._do(["pacat", "--playback", "--device=air", *shape], sound)

    @property
    def heard(self) -> Samples:
        size = self._record.stat().st_size // 2 * 2
        return np.frombuffer(self._record.read_bytes()[:size], "<i2")

    @contextmanager
    def recording(self) -> Iterator[None]:
        """As long as the block lasts, all that the loudspeaker plays is written down."""
        command = ["parec", "--device=speaker.monitor", "--raw", f"--rate={RATE}", "--channels=1", "--format=s16le"]
        with self._record.open("wb") as out, subprocess.Popen(command, env=self._env, stdout=out) as process:
            try:
                yield
            finally:
                process.terminate()

    def choose(self) -> None:
        """What a browser takes where nobody chooses."""
        self._do(["pactl", "set-default-sink", "speaker"])
        self._do(["pactl", "set-default-source", "microphone"])

    def _do(self, command: list[str], given: bytes | None = None) -> None:
        subprocess.run(command, env=self._env, input=given, check=True, timeout=PATIENCE_S)

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "HOME": str(self._folder)}


@contextmanager
def sound_card(folder: Path) -> Iterator[SoundCard]:
    for program in ("pulseaudio", "pactl", "parec"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing (Debian: pulseaudio, pulseaudio-utils)")
    folder.mkdir(mode=0o700)
    socket = folder / "native"
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"]
    for module in (f"module-native-protocol-unix socket={socket} auth-anonymous=1", *MODULES):
        command += ["-L", module]
    environment = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_until(lambda: socket.exists() or process.poll() is not None)
        assert process.poll() is None, f"PulseAudio did not start:\n{(folder / 'log').read_text()}"
        card = SoundCard(folder, {"PULSE_SERVER": f"unix:{socket}"})
        card.choose()
        yield card
