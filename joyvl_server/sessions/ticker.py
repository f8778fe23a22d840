"""When a session ticks: on a grid of seconds for what is live, as fast as it decides for a file that waits for us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from joyvl_server.core.errors import NoFrame, SourceError
from joyvl_server.core.events import Skip, TickSkipped
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import Source, SourceStatus
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.scheduler import Grid

# Asking the media worker for the newest picture takes a few milliseconds; asking this much ahead keeps them out of the
# tick and makes the picture at most that much older.
LOOK_AHEAD_S = 0.04


class Ticking(Protocol):
    """The part of a session that a ticker drives."""

    @property
    def source(self) -> Source: ...
    async def look(self, at: float | None = None) -> Frame: ...
    @property
    def busy(self) -> bool: ...
    async def idle(self) -> None: ...
    def tick(self, frame: Frame, due: float, speed: float) -> None: ...
    def skip(self, skipped: TickSkipped) -> None: ...


class Ticker(Protocol):
    async def run(self, session: Ticking) -> None:
        """Tick until the source has ended."""

    def wake(self) -> None:
        """Tick now, without waiting for the next second."""


class LiveTicker:
    """One tick every `interval` seconds of stream time. Late or busy seconds are skipped, told, counted."""

    def __init__(self, clock: Clock, interval: float, *, speed: float = 1.0, phase_s: float = 0.0) -> None:
        self._clock = clock
        self._interval = interval / speed
        self._speed = speed
        self._phase = phase_s
        self._wake = asyncio.Event()
        self._last_t: float | None = None

    def wake(self) -> None:
        self._wake.set()

    async def run(self, session: Ticking) -> None:
        grid = Grid(self._clock.monotonic() + self._phase, self._interval)
        ahead = min(LOOK_AHEAD_S, self._interval / 4)
        while session.source.state.status is not SourceStatus.ENDED:
            if await self._woken_before(grid.due - ahead):
                await self._now(session, grid.due - ahead)
                continue
            await self._due(session, grid.due)
            for missed in grid.advance(self._clock.monotonic()):
                self._skip(session, Skip.LATE, missed)

    async def _due(self, session: Ticking, due: float) -> None:
        if session.busy:
            self._skip(session, Skip.BUSY)
            return
        frame = await self._look(session)
        if frame is None:
            return
        wait = due - self._clock.monotonic()
        if wait > 0:
            await self._clock.sleep(wait)
        session.tick(frame, due, self._speed)

    async def _now(self, session: Ticking, until: float) -> None:
        """Someone asked: tick as soon as the step in flight has ended, unless the next second comes first."""
        if session.busy and not await self._before(session.idle(), until):
            return
        due = self._clock.monotonic()
        frame = await self._look(session, fresh_only=False)
        if frame is not None and not session.busy:
            session.tick(frame, due, self._speed)

    async def _look(self, session: Ticking, *, fresh_only: bool = True) -> Frame | None:
        try:
            frame = await session.look()
        except NoFrame as error:
            if error.code != "ended":
                offline = session.source.state.status is not SourceStatus.ONLINE
                self._skip(session, Skip.OFFLINE if offline else Skip.NO_FRAME)
            return None
        if fresh_only and frame.t == self._last_t:
            self._skip(session, Skip.NO_FRAME)
            return None
        self._last_t = frame.t
        return frame

    def _skip(self, session: Ticking, reason: Skip, due: float | None = None) -> None:
        late_s = 0.0 if due is None else self._clock.monotonic() - due
        at = max(0.0, session.source.now - late_s * self._speed)
        session.skip(TickSkipped(at, self._clock.wall() - late_s, reason))

    async def _woken_before(self, until: float) -> bool:
        """Sleep until the monotonic time `until`; True when woken earlier."""
        if not self._wake.is_set() and not await self._before(self._wake.wait(), until):
            return False
        self._wake.clear()
        return True

    async def _before(self, event: Coroutine[Any, Any, object], until: float) -> bool:
        """Wait for an awaitable, at most until `until`; True when it came."""
        waiting = asyncio.ensure_future(event)
        sleeping = asyncio.ensure_future(self._clock.sleep(max(0.0, until - self._clock.monotonic())))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done()
        finally:
            waiting.cancel()
            sleeping.cancel()


class LockstepTicker:
    """Every second of a file gets its tick, however long it takes; at most `speed` times as fast as real time."""

    def __init__(self, clock: Clock, interval: float, *, speed: float | None) -> None:
        self._clock = clock
        self._interval = interval
        self._speed = speed

    def wake(self) -> None:
        """Nothing to do: the next tick comes as soon as this one has ended."""

    async def run(self, session: Ticking) -> None:
        """Raises `SourceError` when the file cannot be read."""
        start = self._clock.monotonic()
        last_t: float | None = None
        number = 0
        while True:
            at = number * self._interval
            try:
                frame = await session.look(at)
            except NoFrame as error:
                if error.code == "ended":
                    return
                self._give_up_on_failure(session.source)
                continue
            if frame.t == last_t:
                session.skip(TickSkipped(at, self._clock.wall(), Skip.NO_FRAME))
            else:
                last_t = frame.t
                session.tick(frame, self._clock.monotonic(), 1.0)
                await session.idle()
            number += 1
            if self._speed is not None:
                await self._clock.sleep(
                    max(0.0, start + number * self._interval / self._speed - self._clock.monotonic())
                )

    def _give_up_on_failure(self, source: Source) -> None:
        state = source.state
        if state.status is SourceStatus.OFFLINE:
            raise SourceError(state.error or "The file cannot be read.", code=state.error_code)
