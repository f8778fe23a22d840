"""The one supervisor of child processes: media workers, vLLM, ASR, TTS, agents.

It starts a service, waits until it is ready, asks for its health, and starts it again when it ends, with a pause that
grows while it keeps failing. It logs once when the service is gone, with the last lines it printed, and once when it is
back. Whatever a service raises is a failed start or a failed check: supervision itself ends only by `aclose`.
Children die with us, also when we are killed (see `leash`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.child import LONGEST_LINE, STOP_BOUND_S, ChildProcess, Launch
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.masking import mask_text

log = structlog.get_logger(__name__)

T = TypeVar("T")

STOPPED = "it was stopped"
GRACE_S = 1.0
"""How long a method of a service may go on once it is cancelled."""


class Service(Protocol):
    """What is supervised. Whatever these methods raise counts as a failed start or a failed check."""

    name: str

    async def launch(self) -> Launch:
        """Called before each start; cancelled after `start_timeout_s`."""

    async def ready(self) -> None:
        """Return once it can be used; cancelled after `start_timeout_s` or when the process ends first."""

    async def check(self) -> None:
        """Return when healthy; cancelled after `check_timeout_s`."""

    def gone(self, reason: str) -> None:
        """The process of the last `launch` has ended, or could not be started. Must not block."""


@dataclass(frozen=True)
class Limits:
    start_timeout_s: float = 15.0
    stop_timeout_s: float = 3.0
    """between SIGTERM and SIGKILL"""
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


class _Stopping(Exception):
    """`aclose` was called meanwhile."""


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
        self._service = service
        self._limits = limits or Limits()
        self._clock: Clock = clock or SystemClock()
        self._log = log.bind(service=service.name)
        self._lines: deque[str] = deque(maxlen=self._limits.log_lines)
        self._on_line = on_line
        self._listener_failed = False
        self._task: asyncio.Task[None] | None = None
        self._child: ChildProcess | None = None
        self._stopping: asyncio.Future[None] | None = None
        self._news = asyncio.Event()
        self._up_since: float | None = None
        self._told: str | None = None
        self._strays: set[asyncio.Task[Any]] = set()

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def last_lines(self) -> list[str]:
        """What the process printed last, secrets masked."""
        return list(self._lines)

    def start(self) -> None:
        """Begin, in the background. Raises `RuntimeError` when already started."""
        if self._task is not None:
            raise RuntimeError(f"{self._service.name} is already started")
        self._stopping = asyncio.get_running_loop().create_future()
        self._news.clear()
        self._task = asyncio.create_task(self._run(self._stopping), name=f"supervisor {self._service.name}")

    async def up(self, timeout_s: float) -> None:
        """Wait until it is ready. Raises `TimeoutError`, at once when it is closed meanwhile.

        Cancelling it only ends the wait.
        """
        async with asyncio.timeout(timeout_s):
            await self._news.wait()
        if self._stopping is not None and self._stopping.done():
            raise TimeoutError(f"{self._service.name} is stopped")

    async def aclose(self) -> None:
        """End the process with all that it started, and the supervision. Idempotent, at any time.

        SIGTERM to its group, after `stop_timeout_s` SIGKILL to everything below it. Returns within `stop_timeout_s` +
        8 s whatever happens. Cancelled, it kills at once instead of waiting, and raises.
        """
        task, stopping = self._task, self._stopping
        if task is None or stopping is None:
            return
        if not stopping.done():
            stopping.set_result(None)
        self._news.set()
        try:
            await asyncio.wait({task}, timeout=self._limits.stop_timeout_s + STOP_BOUND_S + 2 * GRACE_S)
        except asyncio.CancelledError:
            self._kill()
            raise
        if not task.done():
            self._log.error("process cannot be ended", pid=self.pid)
            self._kill()
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE_S)
        if self._task is task:
            self._task = None
        self.status = Status.STOPPED

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    # -------------------------------------------------------------------------------------------------------- its life

    async def _run(self, stopping: asyncio.Future[None]) -> None:
        """Live after live, until it is stopped. Cancelling it kills the process at once."""
        backoff = Backoff(self._limits.cooldown_s, self._limits.cooldown_max_s)
        try:
            while not stopping.done():
                self.status, self._up_since = Status.STARTING, None
                reason = await self._live(stopping)
                if stopping.done():
                    return
                if self._up_since is not None and self._clock.monotonic() - self._up_since >= self._limits.stable_s:
                    backoff.worked()
                if self._told != reason:
                    self._told = reason
                    self._log.warning("process gone", reason=reason, last_lines=self.last_lines)
                self.status = Status.COOLDOWN
                await self._rest(backoff.failed(free=1), stopping)
                self.restarts += not stopping.done()
        finally:
            self.status = Status.STOPPED

    async def _rest(self, pause: float, stopping: asyncio.Future[None]) -> None:
        sleeping = asyncio.create_task(_slept(self._clock, pause), name=f"pause of {self._service.name}")
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()

    async def _live(self, stopping: asyncio.Future[None]) -> str:
        """One life of the process; returns why it ended."""
        self._lines.clear()
        try:
            self._child = await self._spawn(stopping)
        except _Stopping:
            reason = STOPPED
        except Exception as error:  # a supervisor's edge: whatever keeps it from starting is tried again
            reason = f"it cannot be started: {self._fault(error)}"
        else:
            reason = await self._to_the_end(self._child, stopping)
        try:
            self._service.gone(reason)
        except Exception as error:  # a supervisor's edge
            self._log.error("service fault", doing="gone", exc_info=error)
        return reason

    async def _spawn(self, stopping: asyncio.Future[None]) -> ChildProcess:
        limit_s = self._limits.start_timeout_s
        launch = await self._ask(self._service.launch, None, stopping, limit_s, "its start was not prepared")
        return await ChildProcess.start(launch, self._heard)

    async def _to_the_end(self, child: ChildProcess, stopping: asyncio.Future[None]) -> str:
        reason = "it was not watched any longer"
        try:
            reason = await self._watch(child, stopping)
        except _Stopping:
            reason = STOPPED
        except asyncio.CancelledError:
            child.kill()
            raise
        except Exception as error:  # a supervisor's edge: a fault of ours is a failed life like any other
            reason = f"it was not watched any longer: {self._fault(error)}"
        finally:
            self._news.clear()
            if not await child.stop(self._limits.stop_timeout_s):
                self._log.error("process cannot be killed", pid=child.pid)
            self._child = None
        return reason

    async def _watch(self, child: ChildProcess, stopping: asyncio.Future[None]) -> str:
        """Wait until it ends or is sick; returns why."""
        try:
            await self._ask(self._service.ready, child, stopping, self._limits.start_timeout_s, "it was not ready")
            self._is_up(child)
            while True:
                ends: set[asyncio.Future[Any]] = {child.exited, stopping}
                await asyncio.wait(ends, timeout=self._limits.check_every_s, return_when=asyncio.FIRST_COMPLETED)
                limit_s = self._limits.check_timeout_s
                await self._ask(self._service.check, child, stopping, limit_s, "it did not answer")
        except Unhealthy as error:
            return str(error)

    def _is_up(self, child: ChildProcess) -> None:
        self.status = Status.UP
        self._up_since = self._clock.monotonic()
        self._news.set()
        if self._told is not None:
            self._told = None
            self._log.info("process back", pid=child.pid)

    async def _ask(
        self,
        method: Callable[[], Coroutine[Any, Any, T]],
        child: ChildProcess | None,
        stopping: asyncio.Future[None],
        timeout_s: float,
        complaint: str,
    ) -> T:
        """A method of the service, unless the process ends first. Raises `Unhealthy`, `_Stopping`.

        It runs in a task of its own, so that what it does with being cancelled is not our fault.
        """
        asked = asyncio.create_task(method(), name=f"{self._service.name}, or {complaint}")
        ends: set[asyncio.Future[Any]] = {asked, stopping}
        if child is not None:
            ends.add(child.exited)
        try:
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late = not asked.done()
            if late:
                self._leave(asked)
        if late:
            await asyncio.wait({asked}, timeout=GRACE_S)
        if stopping.done():
            self._forget(asked)
            raise _Stopping
        if child is not None and child.exited.done():
            raise Unhealthy(child.exited.result())
        if late:
            raise Unhealthy(f"{complaint} within {timeout_s:g} s")
        if asked.cancelled():
            raise Unhealthy(f"{complaint}: it was cancelled")
        error = asked.exception()
        if error is None:
            return asked.result()
        if child is None:
            raise error
        raise Unhealthy(f"{complaint}: {self._fault(error)}") from error

    def _leave(self, asked: asyncio.Task[Any]) -> None:
        """Cancel it; where it ends only later, what it made then is thrown away."""
        self._strays.add(asked)
        asked.add_done_callback(self._forget)
        asked.cancel()

    def _forget(self, asked: asyncio.Task[Any]) -> None:
        self._strays.discard(asked)
        if asked.done() and not asked.cancelled() and asked.exception() is None and isinstance(asked.result(), Launch):
            asked.result().close_fds()

    def _fault(self, error: BaseException) -> str:
        """In words. What is no error of ours or of the system's is a fault of the service: told with its traceback."""
        plain = isinstance(error, JoyvlError | OSError | ValueError | RuntimeError) and str(error)
        words = mask_text(str(error) if plain else f"{type(error).__name__}: {error}")
        if not isinstance(error, JoyvlError | OSError) and words not in (self._told or ""):
            self._log.error("service fault", error=words, exc_info=error)
        return words

    def _heard(self, line: str, passing: bool) -> None:
        if not line.strip():
            return
        shown = mask_text(line.strip("\r").rstrip()[:LONGEST_LINE])
        if self._on_line is not None:
            try:
                self._on_line(shown)
            except Exception as error:  # a listener's fault must not stop the output, and with it the process
                if not self._listener_failed:
                    self._listener_failed = True
                    self._log.error("service fault", doing="line", exc_info=error)
        if passing:
            return
        self._lines.append(shown)
        level = "warning" if line.startswith(("ERROR", "CRITICAL")) else "debug"
        getattr(self._log, level)("output", line=shown)


async def _slept(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
