"""When a session of a file that waits for us ticks: as fast as it decides."""

from __future__ import annotations

from joyvl_server.core.decisions import Skip
from joyvl_server.core.errors import NoFrame, SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import TickSkipped
from joyvl_server.ingest.base import Source, SourceStatus
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.ticking.base import Ticking


class LockstepTicker:
    """Every second of a file gets its tick, however long it takes; at most `speed` times as fast as real time."""

    def __init__(self, clock: Clock, interval: float, *, speed: float | None) -> None:
        self._clock = clock
        self._interval = interval
        self._speed = speed

    def wake(self) -> None:
        """Nothing to do: the next tick comes as soon as this one has ended."""

    def online(self) -> None:
        """Nothing to do: it waits for the file anyway."""

    async def run(self, session: Ticking) -> None:
        """See `Ticker`. Raises `SourceError` when the file cannot be read."""
        start = self._clock.monotonic()
        last_t: float | None = None
        number = 0
        while True:
            at = number * self._interval
            try:
                frame, burst = await self._look(session, at)
            except NoFrame as error:
                if error.code == "ended":
                    return
                self._give_up_on_failure(session.source)
                continue
            if frame.t == last_t:
                session.take(TickSkipped(at, self._clock.wall(), Skip.NO_FRAME))
            else:
                last_t = frame.t
                now = self._clock.monotonic()
                session.tick(frame, burst, now, 1.0, session.client.at_once(now))
                await session.idle()
            number += 1
            if self._speed is not None:
                await self._clock.sleep(
                    max(0.0, start + number * self._interval / self._speed - self._clock.monotonic())
                )

    async def _look(self, session: Ticking, at: float) -> tuple[Frame, tuple[Frame, ...]]:
        """The picture at stream time `at`, and those of the second before it that the session wants."""
        earlier: dict[float, Frame] = {}
        for number in range(session.pictures - 1, 0, -1):
            moment = at - number * self._interval / session.pictures
            if moment > 0:
                seen = await session.look(moment)
                earlier[seen.t] = seen
        frame = await session.look(at)
        return frame, tuple(f for t, f in sorted(earlier.items()) if 0 < frame.t - t < self._interval)

    def _give_up_on_failure(self, source: Source) -> None:
        state = source.state
        if state.status is SourceStatus.OFFLINE:
            raise SourceError(state.error or "The file cannot be read.", code=state.error_code)
