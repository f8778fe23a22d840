"""The one supervisor of child processes: media workers, vLLM, ASR, TTS, agents.

It starts a service, waits until it is ready, asks for its health, and starts it again when it ends, with a pause that
grows while it keeps failing. It logs once when the service is gone, with the last lines it printed, and once when it is
back. Children die with us, also when we are killed (see `leash`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.masking import mask_text

log = structlog.get_logger(__name__)

LEASH = str(Path(__file__).with_name("leash.py"))
LONGEST_LINE = 500

_LINE_END = re.compile(r"(\r?\n|\r(?!\n|$))")


@dataclass(frozen=True)
class Launch:
    """How to start it this time. `fds` are handed to the child and closed here. `env` is added to ours.

    `family`: it has children that would outlive us if we are killed; they are ended too.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    fds: tuple[int, ...] = ()
    cwd: Path | None = None
    family: bool = False


class Service(Protocol):
    """What is supervised. Any error from these methods counts as a failed start or a failed check."""

    name: str

    async def launch(self) -> Launch:
        """Called before each start."""

    async def ready(self) -> None:
        """Return once it can be used; cancelled after `start_timeout_s` or when the process ends first."""

    async def check(self) -> None:
        """Return when healthy; cancelled after `check_timeout_s`."""

    def gone(self, reason: str) -> None:
        """The process of the last `launch` has ended. Must not block."""


@dataclass(frozen=True)
class Limits:
    start_timeout_s: float = 15.0
    stop_timeout_s: float = 3.0
    check_every_s: float = 5.0
    check_timeout_s: float = 15.0
    cooldown_s: float = 0.5
    """Pause before the second restart in a row, doubled each time; the first restart is at once."""
    cooldown_max_s: float = 30.0
    stable_s: float = 10.0
    """After so long up, the next failure counts as the first."""
    log_lines: int = 40


class Status(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    UP = "up"
    COOLDOWN = "cooldown"


class Unhealthy(JoyvlError):
    """The service did not get ready, or its check failed."""

    code = "unhealthy"


class Supervisor:
    """Owns one process. `restarts` counts every start after the first; `pid` is None while there is no process."""

    def __init__(
        self,
        service: Service,
        limits: Limits | None = None,
        clock: Clock | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """`on_line` hears every line as it comes, secrets masked, also the ones a progress bar writes over."""
        self.status = Status.STOPPED
        self.restarts = 0
        self.pid: int | None = None
        self._service = service
        self._limits = limits or Limits()
        self._clock: Clock = clock or SystemClock()
        self._log = log.bind(service=service.name)
        self._lines: deque[str] = deque(maxlen=self._limits.log_lines)
        self._on_line = on_line
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._missed = False

    def start(self) -> None:
        """Begin, in the background. Raises `RuntimeError` when already started."""
        if self._task is not None:
            raise RuntimeError(f"{self._service.name} is already started")
        self._task = asyncio.create_task(self._run(), name=f"supervisor {self._service.name}")

    async def up(self, timeout_s: float) -> None:
        """Wait until it is ready. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            await self._up.wait()

    @property
    def last_lines(self) -> list[str]:
        """What the process printed last, secrets masked."""
        return list(self._lines)

    async def aclose(self) -> None:
        """End the process (SIGTERM, then SIGKILL to its whole group) and the supervision. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self.status = Status.STOPPED

    async def _run(self) -> None:
        failures = 0
        while True:
            self.status = Status.STARTING
            started = self._clock.monotonic()
            reason = await self._live()
            if self._clock.monotonic() - started >= self._limits.stable_s:
                failures = 0
            if not self._missed:
                self._missed = True
                self._log.warning("process gone", reason=reason, last_lines=self.last_lines)
            pause = self._pause(failures)
            failures += 1
            self.status = Status.COOLDOWN
            await self._clock.sleep(pause)
            self.restarts += 1

    def _pause(self, failures: int) -> float:
        if failures == 0:
            return 0.0
        return min(self._limits.cooldown_max_s, self._limits.cooldown_s * 2.0 ** min(failures - 1, 16))

    async def _live(self) -> str:
        """One life of the process; returns why it ended."""
        reason = "it was stopped"
        self._lines.clear()
        try:
            process = await self._spawn()
        except (OSError, JoyvlError) as error:
            reason = mask_text(f"it cannot be started: {error}")
            self._service.gone(reason)
            return reason
        pump = asyncio.create_task(self._pump(process), name=f"output of {self._service.name}")
        try:
            reason = await self._watch(process)
        finally:
            self._up.clear()
            await self._finish(process, pump)
            self._service.gone(reason)
        return reason

    async def _spawn(self) -> asyncio.subprocess.Process:
        launch = await self._service.launch()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", LEASH, str(os.getpid()), *["--family"] * launch.family, *launch.argv,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **launch.env} if launch.env else None,
                cwd=launch.cwd, pass_fds=launch.fds, start_new_session=True,
            )  # fmt: skip
        finally:
            for fd in launch.fds:
                os.close(fd)
        self.pid = process.pid
        return process

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        """Wait until it ends or is sick; returns why."""
        exited = asyncio.create_task(process.wait(), name=f"exit of {self._service.name}")
        try:
            await self._ask(self._service.ready(), exited, self._limits.start_timeout_s, "it was not ready")
            self.status = Status.UP
            self._up.set()
            if self._missed:
                self._missed = False
                self._log.info("process back", pid=process.pid)
            while True:
                done, _ = await asyncio.wait({exited}, timeout=self._limits.check_every_s)
                if done:
                    return _how_ended(exited.result())
                await self._ask(self._service.check(), exited, self._limits.check_timeout_s, "it did not answer")
        except Unhealthy as error:
            return str(error)
        finally:
            exited.cancel()

    async def _ask(
        self, question: Awaitable[None], exited: asyncio.Task[int], timeout_s: float, complaint: str
    ) -> None:
        """Await a method of the service, unless the process ends first. Raises `Unhealthy`."""
        asked = asyncio.ensure_future(question)
        try:
            await asyncio.wait({asked, exited}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                raise Unhealthy(_how_ended(exited.result()))
            if not asked.done():
                raise Unhealthy(f"{complaint} within {timeout_s:g} s")
            error = asked.exception()
            if error is not None:
                raise Unhealthy(mask_text(f"{complaint}: {error}"))
        finally:
            asked.cancel()
            with suppress(asyncio.CancelledError, Exception):  # the service's own error was told above
                await asked

    async def _finish(self, process: asyncio.subprocess.Process, pump: asyncio.Task[None]) -> None:
        """SIGTERM, then SIGKILL, to the whole group: children of the child go too."""
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._limits.stop_timeout_s)
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        self.pid = None
        await asyncio.wait({pump}, timeout=1.0)
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines. Reads blocks, because a line may be longer than any buffer."""
        assert process.stdout is not None
        rest = ""
        while block := await process.stdout.read(8192):
            # What ends with a carriage return alone is written over by the next: a progress bar.
            pieces = _LINE_END.split(rest + block.decode(errors="replace"))
            rest = pieces.pop()[-LONGEST_LINE:]
            for line, end in zip(pieces[::2], pieces[1::2], strict=True):
                self._keep(line, passing=end == "\r")
        self._keep(rest, passing=False)

    def _keep(self, line: str, *, passing: bool) -> None:
        if not line.strip():
            return
        shown = mask_text(line.strip("\r").rstrip()[:LONGEST_LINE])
        if self._on_line is not None:
            self._on_line(shown)
        if passing:
            return
        self._lines.append(shown)
        level = "warning" if line.startswith(("ERROR", "CRITICAL")) else "debug"
        getattr(self._log, level)("output", line=shown)


def _how_ended(returncode: int) -> str:
    if returncode < 0:
        with suppress(ValueError):
            return f"it was killed by {signal.Signals(-returncode).name}"
    return f"it ended with status {returncode}"


def _signal_group(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, what)
