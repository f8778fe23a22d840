"""One engine in a process of its own: started when it is wanted, watched, and started again when it dies.

Heavy packages, licences that reach further than ours, and locks that stop a program stay on the other side.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.kit.child import Launch
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.processes.messages import Head
from joyvl_server.kit.supervisor import Limits, Status, Supervisor, Unhealthy
from joyvl_server.speech.base import SpeechError, SpeechState
from joyvl_server.speech.process import host
from joyvl_server.speech.process.connection import AnswerPiece, ChildConnection

log = structlog.get_logger(__name__)

HOST = Path(host.__file__)
STUCK_S = 10.0
"""A child that does not stop within this when it is told to is started again."""


@dataclass(frozen=True)
class ProcessSpec:
    """`module`: see `host`. `python`: of the environment with the engine's packages; None: ours. `options` goes to the
    engine as it is. `threads`: what numeric libraries may use. The longest waits: for a start, for the next piece."""

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    python: Path | None = None
    threads: int = 2
    start_timeout_s: float = 60.0
    timeout_s: float = 15.0
    stuck_s: float = STUCK_S


class SpeechProcess:
    """A `Service` of `kit.supervisor`. `info` is what the engine said of itself when it was ready last."""

    def __init__(self, spec: ProcessSpec, clock: Clock, limits: Limits | None = None) -> None:
        self.name = spec.name
        self.info: Head = {}
        self.failure = ""
        """why the last one ended, a sentence; empty while none has"""
        self._spec = spec
        self._limits = limits or Limits(start_timeout_s=spec.start_timeout_s, check_every_s=2.0, cooldown_max_s=60.0)
        self._supervisor = Supervisor(self, self._limits, clock)
        self._connection = ChildConnection(self)
        self._socket: socket.socket | None = None
        self._ready = False
        self._was_ready = False
        self._started = False
        self._closed = False
        self._start_failures = 0
        self._deaths = 0
        """in a row, without an answer between them"""
        self._reason = ""
        """why the engine could not be loaded, in its own words"""
        self._news = asyncio.Event()
        self._hello: asyncio.Future[Head] | None = None
        self._pong = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid

    @property
    def restarts(self) -> int:
        return self._supervisor.restarts

    @property
    def state(self) -> SpeechState:
        if self._ready:
            return SpeechState("ready")
        if not self._started:
            return SpeechState("stopped")
        if self._supervisor.status is Status.STARTING and not self.failure:
            return SpeechState("starting")
        return SpeechState("failed", self.failure or "It has ended. It is started again after a pause.")

    async def start(self) -> None:
        """Wait until it is ready. Raises `SpeechError` (unavailable) where a start fails meanwhile.

        After a death it waits for the next start; after several in a row, while a pause lasts, it raises at once. A
        start takes `start_timeout_s` at most. Cancelled, it goes on by itself.
        """
        if self._closed:
            raise SpeechError(f"{self.name} is closed.", code="unavailable")
        if not self._started:
            self._started = True
            self._supervisor.start()
        failures = self._start_failures
        while not self._ready:
            pausing = self._supervisor.status is Status.COOLDOWN and self._deaths > 1
            if self._closed or pausing or self._start_failures != failures:
                raise self._unavailable()
            news = self._news
            await news.wait()

    async def ask(self, method: str, fields: Head, data: bytes = b"") -> AsyncGenerator[AnswerPiece, None]:
        """Ask the engine; its pieces as they come. Starts the process where it is not there.

        Raises `SpeechError`: the engine's own, unavailable (it died or does not start), timeout (no piece within
        `timeout_s`). Cancelled or closed early, the engine is told to stop.
        """
        await self.start()
        number, answer = self._connection.ask(method, fields, data)
        try:
            while (piece := await answer.next(self._spec.timeout_s)) is not None:
                self._deaths = 0
                yield piece
        except SpeechError as error:
            raise self._named(error) from None
        finally:
            self._connection.give_up(number)

    async def request(self, method: str, fields: Head, data: bytes = b"") -> AnswerPiece:
        """Ask for an answer of one piece. Raises `SpeechError` as `ask`. Cancelled, the engine is told to stop."""
        pieces = [piece async for piece in self.ask(method, fields, data)]
        if not pieces:
            raise SpeechError(f"{self.name} gave no answer.")
        return pieces[0]

    async def aclose(self) -> None:
        """End the process. Idempotent. Cancelled, it kills at once."""
        self._closed = True
        self._tell_all()
        await self._supervisor.aclose()

    # What the supervisor asks

    async def launch(self) -> Launch:
        """See `Service`. Cancelled, nothing is open."""
        python = str(self._spec.python or sys.executable)
        if not await asyncio.to_thread(os.access, python, os.X_OK):
            raise SpeechError(f"{python} is not there. Set `python` in the options of {self.name}.", code="unavailable")
        ours, theirs = socket.socketpair()
        self._socket, control = ours, theirs.detach()
        self._reason = ""
        argv = (python, "-I", str(HOST), str(control), self._spec.module)
        threads = str(self._spec.threads)
        env = {
            "OMP_NUM_THREADS": threads,
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONUNBUFFERED": "1",
            # Nothing is fetched behind anybody's back, and nobody is told what is used.
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }
        return Launch(argv, env, (control,), family=True)

    async def ready(self) -> None:
        """See `Service`. Raises `SpeechError` where the engine cannot be loaded. Cancelled, the supervisor ends the
        process."""
        assert self._socket is not None
        end, self._socket = self._socket, None
        self._hello = asyncio.get_running_loop().create_future()
        await self._connection.connect(end)
        self._connection.send({"op": "start", "options": dict(self._spec.options)})
        hello = await self._hello
        if hello["event"] == "failed":
            raise SpeechError(str(hello["message"]), code=str(hello["code"]))
        self.info = hello.get("info", {})
        self._ready = self._was_ready = True
        self.failure = ""
        self._tell_all()

    async def check(self) -> None:
        """See `Service`. Never waits."""
        overdue = self._connection.overdue_s()
        if overdue > self._spec.stuck_s:
            raise Unhealthy(f"it did not stop with its work for {overdue:.0f} s")
        self._pong.clear()
        self._connection.send({"op": "ping"})
        await self._pong.wait()

    def gone(self, reason: str) -> None:
        self._start_failures += not self._was_ready
        self._deaths += 1
        self._ready = self._was_ready = False
        for before in ("it cannot be started: ", "it was not ready: "):
            reason = reason.removeprefix(before)
        words = self._reason or reason
        self.failure = words[:1].upper() + words[1:].rstrip(".") + "."
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._connection.close(self._unavailable())
        self._tell_all()

    # What the connection says

    def hear(self, event: Head) -> None:
        if event["event"] == "pong":
            self._pong.set()
            return
        if event["event"] == "failed":
            self._reason = str(event["message"])
        if self._hello is not None and not self._hello.done():
            self._hello.set_result(event)

    def lost(self) -> None:
        """What it was doing fails at once; that the process is gone the supervisor sees for itself."""
        self._ready = False
        self._connection.close(self._unavailable())

    def _unavailable(self) -> SpeechError:
        return SpeechError(f"{self.name}: {self.failure or 'It has ended.'}", code="unavailable")

    def _named(self, error: SpeechError) -> SpeechError:
        named = str(error)
        return error if named.startswith(self.name) else SpeechError(f"{self.name}: {named}", code=error.code)

    def _tell_all(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
