"""One call through the real path: a server in a process, Chromium with a WAV file as its microphone, the real page."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from bench.speech.microphone import speech_settings
from bench.speech.recording import SCRIPT, Recording
from fakes.server.browser import chromium, start_call, stop_call
from fakes.server.server import ServerProcess
from joyvl_server.core.errors import JoyvlError

PULSE_S = 0.2
WARM_UP_S = 120.0
TRANSCRIPT = "conversation.item.input_audio_transcription.completed"
WHISPER = {"cpu_threads": 2}


@contextmanager
def speech_server(environment: Path | None, **groups: dict[str, Any]) -> Iterator[ServerProcess]:
    """A real server. `environment`: folder of scripts/speech-test-env, for its voices and weights. `groups`: further
    settings, like `speech={"asr": "whisper"}` or `engine={"name": "openai", "options": …}`; those of `speech` are
    added to those of the environment. Without `asr_options`, whisper is `base`."""
    speech = speech_settings(environment)
    if environment is not None:
        speech["asr_options"] = {"whisper": whisper_options(environment)}
    settings = {**groups, "speech": {**speech, **groups.get("speech", {})}}
    env = {
        f"JOYVL_{group}__{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for group, values in settings.items()
        for name, value in values.items()
    }
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder, ServerProcess(Path(folder), env=env) as server:
        yield server


def whisper_options(environment: Path, model: str = "base", **others: Any) -> dict[str, Any]:
    """Options of `whisper` with a model of the environment: `base` or `tiny.en`."""
    return {**WHISPER, "python": str(environment / "bin/python"), "model": model, **others}


@contextmanager
def microphone_browser(wav: Path, *, loop: bool = False) -> Iterator[Browser]:
    """Chromium whose microphone hears this file from the moment on when it is opened, and whose webcam shows a small
    drawn picture that moves little."""
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        video = _draw_video(Path(folder) / "webcam.y4m")
        with chromium(
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={video}",
            f"--use-file-for-fake-audio-capture={wav}{'' if loop else '%noloop'}",
            "--autoplay-policy=no-user-gesture-required",
        ) as browser:
            yield browser


def warm_up(server: ServerProcess, wav: Path) -> None:
    """One call, until something was understood in it: VAD and whisper are loaded then. Raises `JoyvlError`."""
    with microphone_browser(wav, loop=True) as browser, BenchCall(server, browser, voice="off") as call:
        call.wait(lambda: call.found(TRANSCRIPT), WARM_UP_S, "A first transcript")


class BenchCall:
    """`with BenchCall(server, browser) as call:`: the call is connected then, and hung up at the end.

    `page`, `server` and `session_id` are there to be used. `updates` holds (Unix seconds at which it came, update) in
    order. `recording` grows with each `wait` and `listen`. One thread only: Playwright's.
    """

    def __init__(self, server: ServerProcess, browser: Browser, *, script: str = "", **settings: Any) -> None:
        """`settings`: of the session, as `PATCH /v1/sessions/{id}` takes them; they count from when it is connected.
        `script`: what runs in the page before all else."""
        self.server = server
        self.updates: list[tuple[float, dict[str, Any]]] = []
        self.recording = Recording()
        self.session_id = ""
        self.page: Page
        self._browser = browser
        self._scripts = [script, SCRIPT]
        self._settings = settings
        self._stack = ExitStack()
        self._failure: Exception | None = None

    def __enter__(self) -> BenchCall:
        with ExitStack() as stack:
            context = stack.enter_context(self._browser.new_context(bypass_csp=True))
            context.add_init_script("\n".join(self._scripts))
            self.page = context.new_page()
            self.session_id = start_call(self.page, self.server.url)
            stack.callback(stop_call, self.page)
            threading.Thread(target=self._read, name="updates", daemon=True).start()
            if self._settings:
                self.server.call("PATCH", f"/v1/sessions/{self.session_id}", self._settings)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _read(self) -> None:
        try:
            for update in self.server.updates(self.session_id):
                self.updates.append((time.time(), update))
        except Exception as error:  # it is raised where somebody waits
            self._failure = error

    def found(self, *types: str) -> list[tuple[float, dict[str, Any]]]:
        """The updates of these types so far: (came at, update)."""
        return [(wall, update) for wall, update in list(self.updates) if update["type"] in types]

    def listen(self, seconds: float) -> None:
        """Let so much time go by, and take what the page recorded."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.page.wait_for_timeout(1000 * min(left, 1.0))
            self.recording.add(self.page.evaluate("takeRecorded()"))

    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Listen until the condition holds. Raises `JoyvlError` with `what` did not happen, after so many seconds."""
        if not self.came(condition, seconds):
            seen = dict(Counter(update["type"] for _, update in self.updates))
            log = "".join(self.server.log[-20:])
            raise JoyvlError(f"{what} did not happen within {seconds:.0f} s. Updates: {seen}.\n{log}")

    def came(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Listen until the condition holds, at most so long: did it? Raises `JoyvlError` where no updates come."""
        end = time.monotonic() + seconds
        while not (holds := bool(condition())) and time.monotonic() < end:
            if self._failure is not None:
                raise JoyvlError(f"The updates of the session broke off: {self._failure!r}")
            self.listen(PULSE_S)
        self.listen(PULSE_S)
        return holds

    def stream_zero(self) -> float:
        """Unix seconds of stream time 0, by the session's ticks. Raises `JoyvlError` where there is none yet."""
        zeros = [tick["wall"] - tick["t"] for tick in self.server.ticks(self.session_id) if tick["skipped"] is None]
        if not zeros:
            raise JoyvlError("The session has decided nothing yet, so nothing tells its stream time.")
        return float(np.median(zeros))


def _draw_video(path: Path, width: int = 640, height: int = 480) -> Path:
    """Two seconds of a bar that moves a little over a grey gradient."""
    grey = np.tile(np.linspace(60, 180, width).astype(np.uint8), (height, 1))
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(20):
            picture = grey.copy()
            picture[200:280, 300 + number : 340 + number] = 220
            out.write(b"FRAME\n" + picture.tobytes() + 2 * chroma.tobytes())
    return path
