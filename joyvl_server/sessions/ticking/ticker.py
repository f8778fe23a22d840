"""When a session of a live source ticks: on a grid of seconds. `lockstep` has the ticker of files that wait for us."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto

from joyvl_server.core.decisions import Skip
from joyvl_server.core.errors import NoFrame
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import TickSkipped
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.scheduling.leases import EngineClient, Priority
from joyvl_server.sessions.ticking.base import Ticking

# Asking the media worker for the newest picture takes some milliseconds. Asking so much ahead keeps them out of the
# tick and makes the picture that much older, so it is learnt how much is needed; at first it is the most.
LOOK_AHEAD_S = (0.005, 0.04)
LOOKS_KEPT = 8
# A turn that came later than this after its look gets a newer picture.
STALE_S = 0.08
# After a reply that ended this long before the next second, the seconds it took are scored at once.
AFTER_REPLY_S = 0.3
REPLY_PEEK_S = 0.1
"""how often a second that came while a step was in flight looks whether that step has begun to reply"""


class Wait(Enum):
    """What became of a second that came while a step was in flight."""

    OVER = auto()
    """the step is over: the second has its tick"""
    REPLIED = auto()
    """it was given to the reply, which has ended"""
    VAIN = auto()
    """it is seen to, without a tick"""


class Grid:
    """Due times on a monotonic clock, `interval` seconds apart. A late tick is skipped, never queued."""

    def __init__(self, start: float, interval: float) -> None:
        self._interval = interval
        self.due = start

    def keep_clear(self, until: float) -> None:
        """Nothing is due before `until`, and nothing was missed: there was a tick out of turn."""
        while self.due < until:
            self.due += self._interval

    def advance(self, now: float) -> list[float]:
        """Move to the next due time after `now`; returns the due times that were missed, oldest first.

        A tick is missed when its whole second has passed: until then it is served, only late.
        """
        self.due += self._interval
        missed = []
        while self.due + self._interval <= now:
            missed.append(self.due)
            self.due += self._interval
        return missed


class LiveTicker:
    """One tick every `interval` seconds of stream time. Late or busy seconds are skipped, told, counted.

    A source that comes online has its first tick at once, the next one on the grid, half an interval later at least.
    """

    def __init__(self, clock: Clock, interval: float, *, speed: float = 1.0, phase_s: float = 0.0) -> None:
        self._clock = clock
        self._interval = interval / speed
        self._speed = speed
        self._phase = phase_s
        self._took: deque[float] = deque(maxlen=LOOKS_KEPT)
        self._wake = asyncio.Event()
        self._awaited = False
        self._arrived = False
        self._ticked_at = float("-inf")
        self._client: EngineClient | None = None
        self._last_t: float | None = None
        self._burst: list[Frame] = []

    def wake(self) -> None:
        self._awaited = True
        self._wake.set()
        if self._client is not None:
            self._client.urge()

    def online(self) -> None:
        self._arrived = True
        self._wake.set()

    async def run(self, session: Ticking) -> None:
        """See `Ticker`."""
        self._client = session.client
        grid = Grid(self._clock.monotonic() + self._phase, self._interval)
        try:
            while session.source.state.status is not SourceStatus.ENDED:
                self._client.next_due = grid.due
                if await self._woken(session, grid.due):
                    arrived, self._arrived = self._arrived, False
                    if arrived:
                        await self._first(session, grid)
                    else:
                        await self._asked(session, grid.due - self._ahead)
                    continue
                await self._due(session, grid.due)
                self._burst.clear()
                for missed in grid.advance(self._clock.monotonic()):
                    self._skip(session, Skip.LATE, missed)
        finally:
            self._client.next_due = None

    # ------------------------------------------------------------------------------------------------------ a second

    async def _due(self, session: Ticking, due: float) -> None:
        until = due + self._interval
        if session.busy:
            waited = await self._idle(session, until)
            if waited is not Wait.OVER:
                # The second itself was told of when it passed; what follows is one tick more.
                if waited is Wait.REPLIED:
                    await self._extra(session, until)
                return
        if session.client.away:
            self._skip(session, Skip.AWAY)
            return
        frame = None
        if self._clock.monotonic() < due:
            frame = await self._look(session)
            if frame is None:
                return
            wait = due - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
        await self._turn(session, due, until, frame)

    async def _idle(self, session: Ticking, until: float) -> Wait:
        """A second came while a step was in flight: wait for its end.

        While it replies, the second's pictures go into the next turn.
        """
        frame = await self._look(session)
        if frame is None:
            return Wait.VAIN
        burst = self._burst_before(frame)
        end, passed, idle = until - self._ahead, False, False
        while not idle:
            if session.replying and not passed:  # it may begin to reply only now
                session.passed(frame, burst)
                passed = True
            now = self._clock.monotonic()
            if now >= end:
                break
            idle = await wait_until(self._clock, session.idle(), end if passed else min(end, now + REPLY_PEEK_S))
        if passed:
            return Wait.REPLIED if idle else Wait.VAIN
        if idle:
            return Wait.OVER
        self._skip(session, Skip.BUSY)
        return Wait.VAIN

    async def _extra(self, session: Ticking, until: float) -> None:
        """A reply has ended: what passed meanwhile is scored at once, unless the next second is near anyway."""
        now = self._clock.monotonic()
        if until - now >= AFTER_REPLY_S and not session.client.away:
            await self._turn(session, now, until, None, extra=True)

    async def _asked(self, session: Ticking, until: float) -> None:
        """Someone asked: tick as soon as the step in flight has ended, unless the next second comes first."""
        if session.busy and not await wait_until(self._clock, session.idle(), until):
            return
        now = self._clock.monotonic()
        if not session.client.away:
            await self._turn(session, now, now + self._interval, None, extra=True)

    async def _first(self, session: Ticking, grid: Grid) -> None:
        """The source has come online. One that comes and goes all the time has no more ticks for that."""
        now = self._clock.monotonic()
        if now - self._ticked_at >= self._interval / 2:
            await self._asked(session, now + self._interval)
            grid.keep_clear(self._ticked_at + self._interval / 2)

    async def _turn(
        self, session: Ticking, due: float, until: float, frame: Frame | None, *, extra: bool = False
    ) -> None:
        """Wait for the engine, then tick with the newest picture: `frame`, or another one where that has grown old.

        An `extra` tick is none of the grid's: nobody misses it where it comes to nothing, and it may show once more
        what was seen before.
        """
        priority = Priority.ANSWER if self._awaited else session.priority
        lease = await session.client.lease(priority, due, until)
        if lease is None:
            if not extra:
                self._skip(session, Skip.AWAY if session.client.away else Skip.LATE, due)
            return
        try:
            if frame is None:
                frame = await self._look(session, extra=extra)
            elif self._clock.monotonic() - due > STALE_S:
                frame = await self._look(session, extra=True) or frame
            if frame is None or session.busy:
                return
            self._awaited = False
            self._wake.clear()
            self._ticked_at = self._clock.monotonic()
            session.tick(frame, self._burst_before(frame), due, self._speed, lease)
            lease = None
        finally:
            if lease is not None:
                lease.release()

    # ------------------------------------------------------------------------------------------------------ pictures

    @property
    def _ahead(self) -> float:
        least, most = LOOK_AHEAD_S
        needed = 1.5 * max(self._took, default=most)
        return min(most, max(least, needed), self._interval / 4)

    async def _look(self, session: Ticking, *, extra: bool = False) -> Frame | None:
        began = self._clock.monotonic()
        try:
            frame = await session.look()
            self._took.append(self._clock.monotonic() - began)
        except NoFrame as error:
            if error.code != "ended" and not extra:
                offline = session.source.state.status is not SourceStatus.ONLINE
                self._skip(session, Skip.OFFLINE if offline else Skip.NO_FRAME)
            return None
        if frame.t == self._last_t and not extra:
            self._skip(session, Skip.NO_FRAME)
            return None
        self._last_t = frame.t
        return frame

    async def _peek(self, session: Ticking) -> None:
        """One of the earlier pictures of a second; there need not be one."""
        try:
            self._burst.append(await session.look())
        except NoFrame:
            pass

    def _burst_before(self, frame: Frame) -> tuple[Frame, ...]:
        second = self._interval * self._speed
        seen: dict[float, Frame] = {f.t: f for f in self._burst if 0 < frame.t - f.t < second}
        return tuple(seen[t] for t in sorted(seen))

    def _skip(self, session: Ticking, reason: Skip, due: float | None = None) -> None:
        late_s = 0.0 if due is None else self._clock.monotonic() - due
        at = max(0.0, session.source.now - late_s * self._speed)
        session.take(TickSkipped(at, self._clock.wall() - late_s, reason))

    async def _woken(self, session: Ticking, due: float) -> bool:
        """Sleep until just before `due`, looking as often on the way as the session wants; True when woken earlier."""
        pictures = session.pictures
        for number in range(pictures - 1, 0, -1):
            at = due - number * self._interval / pictures
            if len(self._burst) >= pictures - number or at < self._clock.monotonic() - self._ahead:
                continue
            if await self._woken_before(at):
                return True
            await self._peek(session)
        return await self._woken_before(due - self._ahead)

    async def _woken_before(self, until: float) -> bool:
        """Sleep until the monotonic time `until`; True when woken earlier."""
        if not self._wake.is_set() and not await wait_until(self._clock, self._wake.wait(), until):
            return False
        self._wake.clear()
        return True
