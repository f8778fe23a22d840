"""Enabled cameras whose session has ended with a fault: why, and when it starts again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.ingest.base import SourceState, SourceStatus
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""The pause doubles with each fault up to this."""
WELL_S = 60.0
"""A session that has run for so long was well: the next fault counts as the first."""
CRASHED = "An internal error ended its session. The log says more."


@dataclass(slots=True)
class _Fault:
    """`down`: there is no session now. `retry_at`: monotonic; None for never."""

    code: str
    error: str
    kind: str
    since_wall: float
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S))
    down: bool = True
    retry_at: float | None = None


class FaultyCameras(Protocol):
    """The cameras whose faults are kept here."""

    async def reopen(self, camera_id: str) -> None:
        """Start the session of a camera that is still enabled and has none. Cancelled, it starts none."""

    def went_down(self, camera_id: str, state: SourceState) -> None:
        """A camera has lost its session for a reason that was not told before."""


class CameraRetries:
    """Owns the tasks that wait. Its length: how many cameras wait for their session; they keep their places.

    A fault is logged when it starts, when it is another one than before, and when it is over. A configuration error
    can't pass by itself: it is kept, and only a change of the camera brings it back.
    """

    def __init__(self, clock: Clock, cameras: FaultyCameras) -> None:
        self._clock = clock
        self._cameras = cameras
        self._faults: dict[str, _Fault] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def failed(self, camera_id: str, name: str, error: BaseException | None) -> None:
        """Its session has ended by this error, or could not be opened. None: it ended without one."""
        if self._closed:
            return
        fault = self._note(camera_id, name, error)
        self._cancel(camera_id)
        if isinstance(error, ConfigError):
            fault.retry_at = None
            return
        pause = fault.backoff.pause_s
        fault.retry_at = self._clock.monotonic() + pause
        self._tasks[camera_id] = asyncio.create_task(self._retry(camera_id, name, pause), name=f"retry of {camera_id}")

    def _note(self, camera_id: str, name: str, error: BaseException | None) -> _Fault:
        (code, words), kind = _told(error), _kind(error)
        fault = self._faults.get(camera_id)
        if fault is not None and (fault.code, fault.error, fault.kind) == (code, words, kind):
            fault.down = True
            fault.backoff.failed()
            return fault
        another = _Fault(code, words, kind, self._clock.wall())
        if fault is not None:
            another.backoff = fault.backoff
        fault = self._faults[camera_id] = another
        fault.backoff.failed()
        odd = error if error is not None and not isinstance(error, JoyvlError) else None
        log.error("camera is not watched", camera=name, code=code, error=words, exc_info=odd)
        state = self.state(camera_id)
        assert state is not None
        self._cameras.went_down(camera_id, state)
        return fault

    def __len__(self) -> int:
        return sum(fault.down for fault in self._faults.values())

    def state(self, camera_id: str) -> SourceState | None:
        """What to show of a camera that has no session; None where it has no fault."""
        fault = self._faults.get(camera_id)
        if fault is None:
            return None
        left = None if fault.retry_at is None else max(0.0, fault.retry_at - self._clock.monotonic())
        return SourceState(
            SourceStatus.OFFLINE,
            since_wall=fault.since_wall,
            error_code=fault.code,
            error=fault.error,
            retry_in_s=None if left is None else round(left, 1),
            attempts=fault.backoff.failures,
        )

    def forget(self, camera_id: str) -> None:
        """It was changed, disabled or removed: what was is over."""
        self._faults.pop(camera_id, None)
        self._cancel(camera_id)

    async def aclose(self) -> None:
        """No camera is reopened from now on. Cancelled, it does not see the tries under way end."""
        self._closed = True
        tasks = list(self._tasks.values())
        self._faults.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._tasks.clear()

    def _cancel(self, camera_id: str) -> None:
        task = self._tasks.pop(camera_id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _retry(self, camera_id: str, name: str, pause: float) -> None:
        await self._clock.sleep(pause)
        fault = self._faults[camera_id]
        try:
            await self._cameras.reopen(camera_id)
        except Exception as error:  # a supervisor's edge: whatever it was, it is tried again, later
            self.failed(camera_id, name, error)
            return
        fault.down = False
        await self._clock.sleep(WELL_S)
        log.info("camera is watched again", camera=name)
        del self._faults[camera_id]
        del self._tasks[camera_id]


def _told(error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return "ended", "Its session has ended by itself."
    return (error.code, str(error)) if isinstance(error, JoyvlError) else ("crashed", CRASHED)


def _kind(error: BaseException | None) -> str:
    """The class of the first error, however deep in groups: two faults of one class are told as one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
