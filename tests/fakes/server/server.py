"""A real `joyvl serve` in a process of its own, for tests that break it or count what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fakes.patience import PATIENCE_S, wait_until


@dataclass(frozen=True)
class Held:
    """What the server and its children hold together."""

    processes: int
    threads: int
    descriptors: int
    rss: int


class ServerProcess:
    """`with ServerProcess(folder) as server:`; `folder` is its data directory: a second one is the restarted server."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        demo: bool = False,
        env: dict[str, str] | None = None,
        descriptors: int | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        """`descriptors`: the hard limit of open files. `within`: a command that runs it somewhere else."""
        self._within = within
        self.folder = folder
        self._args = args if demo else ("--no-demo", *args)
        self._env = env or {}
        self._limit = (descriptors, descriptors) if descriptors else None
        self.url = ""
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> ServerProcess:
        command = [sys.executable, "-m", "joyvl_server.cli", "serve", "--port", "0", "--data-dir", str(self.folder)]
        env = {k: v for k, v in os.environ.items() if not k.startswith("JOYVL_")}
        self._process = subprocess.Popen(
            [*self._within, *command, *self._args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**env, **self._env},
        )
        if self._limit:
            resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self._limit)
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self._process, ready), daemon=True).start()
        if not ready.wait(PATIENCE_S) or not self.url:
            self.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.log))
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.append(line)
            found = re.search(r"watching at (https?://\S+)", line)
            if found:
                self.url = found[1]
                ready.set()
        ready.set()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    # ---------------------------------------------------------------------------------------------------------- REST

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """One request; returns the JSON (or bytes). Any other status than `expect` (default: 2xx) fails the test."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"} if data else {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                status, content, kind = response.status, response.read(), response.headers.get_content_type()
        except urllib.error.HTTPError as error:
            status, content, kind = error.code, error.read(), error.headers.get_content_type()
        assert status == expect if expect else 200 <= status < 300, f"{method} {path}: {status} {content[:500]!r}"
        return json.loads(content) if kind.endswith("json") else content

    def camera(self, name: str, url: str, **fields: Any) -> dict[str, Any]:
        camera: dict[str, Any] = self.call("POST", "/v1/cameras", {"name": name, "url": url, **fields})
        return camera

    def updates(
        self, session_id: str, *, after: str | None = None, timeout_s: float = PATIENCE_S
    ) -> Iterator[dict[str, Any]]:
        """The session's updates over SSE, until the server ends the stream or nothing comes for `timeout_s`."""
        path = f"/v1/sessions/{session_id}/updates" + (f"?after={after}" if after else "")
        with urllib.request.urlopen(self.url + path, timeout=timeout_s) as response:
            deadline = time.monotonic() + timeout_s
            for raw in response:
                line = raw.decode().rstrip("\n")
                update = json.loads(line[5:]) if line.startswith("data:") else {"type": "heartbeat"}
                if update["type"] != "heartbeat":
                    yield update
                    deadline = time.monotonic() + timeout_s
                elif time.monotonic() > deadline:
                    raise TimeoutError(f"no update within {timeout_s} s")

    def ticks(self, session_id: str) -> list[dict[str, Any]]:
        """The newest ticks, oldest first."""
        ticks: list[dict[str, Any]] = self.call("GET", f"/v1/sessions/{session_id}/ticks?limit=900")["data"]
        return ticks[::-1]

    def wait_online(self, camera_id: str) -> None:
        self.wait(lambda: self._status(camera_id) == "online")

    def _status(self, camera_id: str) -> str | None:
        state = self.call("GET", f"/v1/cameras/{camera_id}")["state"]
        return None if state is None else str(state["status"])

    def wait(self, condition: Callable[[], Any]) -> None:
        wait_until(condition, lambda: f"it never happened; log:\n{''.join(self.log[-30:])}")

    # ------------------------------------------------------------------------------------------------------- counting

    def held(self) -> Held:
        me = psutil.Process(self.pid)
        family = [me, *me.children(recursive=True)]
        return Held(
            len(family),
            sum(p.num_threads() for p in family),
            sum(p.num_fds() for p in family),
            sum(p.memory_info().rss for p in family),
        )

    def media_workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.pid).children(recursive=True)
        return [p for p in children if "joyvl_server.ingest.worker.process" in " ".join(p.cmdline())]
