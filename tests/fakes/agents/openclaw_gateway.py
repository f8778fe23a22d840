"""OpenClaw's own gateway as a process, with a model that a test scripts, in a HOME of its own, on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from fakes.patience import PATIENCE_S

TOKEN = "a-token-of-the-tests"
START_S = 240


class OpenClawGateway:
    """`ask`: its mode for commands. A context manager: it answers inside. `mark` is in the environment of all it
    starts."""

    def __init__(self, folder: Path, bin_folder: Path, model_url: str, mark: str, ask: str = "ask") -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.token_file = folder / "token"
        self.port = _free_port()
        self._bin = bin_folder
        self._mark = mark
        self._process: subprocess.Popen[bytes] | None = None
        (folder / ".openclaw").mkdir(parents=True)
        (folder / "tmp").mkdir()
        self.token_file.write_text(TOKEN)
        self.token_file.chmod(0o600)
        settings = json.dumps(self._settings(model_url, ask))
        (folder / ".openclaw" / "openclaw.json").write_text(settings)

    @property
    def chat_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bridge(self) -> list[str]:
        """What `openclaw acp` is told to reach it."""
        return ["--url", f"ws://127.0.0.1:{self.port}", "--token-file", str(self.token_file)]

    def __enter__(self) -> OpenClawGateway:
        env = {
            "PATH": f"{self._bin}:/usr/bin:/bin", "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8", "OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_SKIP_CHANNELS": "1", "OPENCLAW_HANDSHAKE_TIMEOUT_MS": "200000",
            "OPENCLAW_NO_AUTO_UPDATE": "1", "TEST_MARK": self._mark,
        }  # fmt: skip
        with (self.folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                [self._bin / "openclaw", "gateway", "run", "--port", str(self.port)],
                env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait(self) -> None:
        assert self._process is not None
        request = urllib.request.Request(f"{self.chat_url}/models", headers={"authorization": f"Bearer {TOKEN}"})
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            with suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                json.load(answer)
                if "[gateway] ready" in (self.folder / "out").read_text():  # it turns bridges away before
                    return
            time.sleep(0.5)
        raise AssertionError("the gateway does not answer: " + (self.folder / "out").read_text()[-2000:])

    def _settings(self, model_url: str, ask: str) -> dict[str, object]:
        free = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
        model = {
            "id": "scripted", "name": "Scripted", "reasoning": False, "input": ["text", "image"], "cost": free,
            "contextWindow": 120_000, "maxTokens": 8192,
        }  # fmt: skip
        provider = {"baseUrl": model_url, "apiKey": "none", "api": "openai-completions", "models": [model]}
        return {
            "gateway": {
                "mode": "local", "port": self.port, "bind": "loopback", "auth": {"mode": "token", "token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            },
            "agents": {"defaults": {"model": {"primary": "scripted/scripted"}, "workspace": str(self.workspace)}},
            "models": {"mode": "replace", "providers": {"scripted": provider}},
            "tools": {"exec": {"mode": ask}},
            "update": {"checkOnStart": False},
            "cron": {"enabled": False},
            "logging": {"file": str(self.folder / "log")},
        }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
