"""docs/start.md: every command of it is run, in its order, as a stranger would.

What stands in: the Python environment is that of the tests (scripts/run finds it made), the camera is the drawn clip,
the hub is the test's own, `engine install` only says what it would do, and `docker` checks what it is given with
Debian's docker-compose, where that is there, and starts nothing.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.file_server import file_server_in_a_thread
from fakes.server.model_hub import publish, weights
from joyvl_server.engines.vllm.options import MODEL
from joyvl_server.ingest.demo import draw_demo

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/start.md"
CAMERA = "rtsp://user:password@192.168.1.20/stream1"
LINKED = ("joyvl_server", "web", "configs", "docker", "compose.yaml", ".env.example", "pyproject.toml")


def commands():
    """Line by line, without comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        yield from (line.split("  #")[0].rstrip() for line in block.splitlines() if line.strip())


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


class Stranger:
    """Somebody with a checkout, a terminal, and nothing else."""

    def __init__(self, folder: Path, hub: str) -> None:
        self.checkout = folder / "joyvl-server"
        self.checkout.mkdir()
        for name in LINKED:
            if (ROOT / name).exists():
                (self.checkout / name).symlink_to(ROOT / name)
        (self.checkout / "scripts").mkdir()
        for name in ("run", "environment"):
            shutil.copy(ROOT / "scripts" / name, self.checkout / "scripts" / name)
        self.data, self.port = folder / "data", free_port()
        self.told = folder / "docker.log"
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
            "JOYVL_DATA_DIR": str(self.data), "JOYVL_SERVER__PORT": str(self.port), "HF_ENDPOINT": hub,
            "JOYVL_URL": f"http://127.0.0.1:{self.port}", "JOYVL_PYTHON": sys.executable, "PIP_NO_INDEX": "1",
            "JOYVL_SESSIONS__TICK_S": "5",  # a busy machine has time for two cameras
        }  # fmt: skip
        self._environment_is_made()
        script(folder / "bin/docker", _DOCKER.format(log=self.told))
        self.server: subprocess.Popen[bytes] | None = None
        self.took: dict[str, float] = {}

    def _environment_is_made(self) -> None:
        bin = self.checkout / ".venv/bin"
        python = f"PYTHONPATH={ROOT} exec {sys.executable}"
        script(bin / "python", f'{python} "$@"')
        script(bin / "joyvl", f'{python} -m joyvl_server.cli "$@"')
        stamp = f'{{ cat pyproject.toml; {sys.executable} --version; echo ""; }} | cksum > .venv/.joyvl-run'
        subprocess.run(["bash", "-c", stamp], cwd=self.checkout, check=True, timeout=PATIENCE_S)

    def types(self, line: str) -> None:
        began = time.monotonic()
        if line.startswith("scripts/run"):
            self.starts(line)
        else:
            line = line.replace("engine install vllm", "engine install vllm --dry-run")
            line = line.replace(CAMERA, (self.data / "media/demo.mp4").as_uri())
            done = subprocess.run(
                ["bash", "-c", line], cwd=self.checkout, env=self.environment, capture_output=True, text=True,
                timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            may_fail = "doctor" in line  # there is no card here, and it says so
            assert done.returncode == 0 or (may_fail and done.returncode == 1), f"{line}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr, done.stderr
            self.took[f"{line} → {done.stdout}"] = time.monotonic() - began
            return
        self.took[line] = time.monotonic() - began

    def starts(self, line: str) -> None:
        self.stops()
        self.server = subprocess.Popen(shlex.split(line), cwd=self.checkout, env=self.environment)
        wait_until(lambda: self._answers("/healthz") or self.server.poll() is not None)
        assert self.server.poll() is None, f"{line} ended"
        assert b"<html" in urllib.request.urlopen(f"{self.environment['JOYVL_URL']}/", timeout=PATIENCE_S).read()

    def _answers(self, path: str) -> bool:
        try:
            return urllib.request.urlopen(self.environment["JOYVL_URL"] + path, timeout=PATIENCE_S).status == 200
        except OSError:
            return False

    def decides(self) -> bool:
        """The camera demo has been watched for a second at least."""
        text = urllib.request.urlopen(f"{self.environment['JOYVL_URL']}/metrics", timeout=PATIENCE_S).read().decode()
        return any(float(n) > 0 for n in re.findall(r"^joyvl_decisions_total\{[^}]*\} (\S+)", text, re.MULTILINE))

    def stops(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(PATIENCE_S)
            self.server = None


_DOCKER = """echo "$@" >>{log}
[ "$1" = compose ] || exit 64
command -v docker-compose >/dev/null && [ -f compose.yaml ] || exit 0
docker-compose -f compose.yaml config >/dev/null
"""


@pytest.fixture
def stranger(tmp_path):
    with file_server_in_a_thread() as hub:
        publish(hub, MODEL, weights(b"a" * 2_000_000, b"b" * 2_000_000))
        publish(
            hub, "Xenova/multilingual-e5-small", {"tokenizer.json": b"{}", "onnx/model_quantized.onnx": b"e5" * 100}
        )
        somebody = Stranger(tmp_path, hub.url)
        try:
            yield somebody
        finally:
            somebody.stops()


def test_every_command_of_the_page_works(stranger):
    lines = list(commands())
    assert len(lines) >= 10
    assert lines[0] == "scripts/run"
    draw_demo(stranger.checkout / "clip.mp4")
    for line in lines:
        # The vendor's weights are pinned by hash, so no stand-in can be that one.
        stranger.types(line.replace(" whisper-base", ""))
        if line == "scripts/run":
            wait_until(stranger.decides)
    told = "\n".join(stranger.took)
    assert "door" in told
    assert "is ready: engine vllm takes it from there" in told
    assert stranger.told.read_text().splitlines() == ["compose up -d", "compose logs joyvl", "compose logs weights"]
    print("\n".join(f"{seconds:6.1f} s  {line.splitlines()[0]}" for line, seconds in stranger.took.items()))


def test_pages_that_it_names_exist():
    for name in re.findall(r"\]\(([\w./-]+\.md)\)", PAGE.read_text()):
        assert (PAGE.parent / name).is_file(), name
