"""When a session ticks whose client pushes its pictures one by one: when the client asks, and at its times."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

from joyvl_server.core.errors import Conflict, EngineTimeout, EngineUnavailable, JoyvlError
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.audio.base import SourceAudio
from joyvl_server.ingest.base import ClipOrder, CutClip, Source, SourceClient, SourceState, SourceStatus
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.scheduling.leases import Priority
from joyvl_server.sessions.ticking.base import Ticking

LOOK_AROUND_S = 1.0
"""how often it looks whether the source is over, while nobody asks"""


class RequestedSource:
    """A source whose stream time is what its client says."""

    def __init__(self, source: Source) -> None:
        self.id = source.id
        self._source = source
        self._now = 0.0

    @property
    def state(self) -> SourceState:
        return self._source.state

    @property
    def now(self) -> float:
        return self._now

    @property
    def audio(self) -> SourceAudio:
        return self._source.audio

    @property
    def client(self) -> SourceClient:
        return self._source.client

    async def show(self, picture: bytes, t: float) -> None:
        """From now on this is what is seen, and it is stream time `t`. See `SourceClient.show`."""
        await self._source.client.show(picture)
        self._now = t

    async def clip(self, order: ClipOrder) -> CutClip:
        """See `Source.clip`."""
        return await self._source.clip(order)

    async def look(self, *, at: float | None = None, glance: bool = False, trail: bool = False) -> Frame:
        """See `Source.look`. There are no moments before: the client sends all there is."""
        t = self._now
        frame = await self._source.look(glance=glance)
        return replace(frame, t=t, trail=())

    async def aclose(self) -> None:
        """See `Source.aclose`."""
        await self._source.aclose()


@dataclass(frozen=True, slots=True)
class TickRequest:
    """The pictures of one tick (JPEG or PNG), oldest first, at least one.

    `start` is the stream time of the first in seconds; None: a tick after the one before. `offsets`: how much later
    each of them was, below one tick and growing; empty: evenly spread over the tick.
    """

    pictures: tuple[bytes, ...]
    start: float | None = None
    offsets: tuple[float, ...] = ()


@dataclass(eq=False, slots=True)
class _Asked:
    request: TickRequest
    until: float
    t: float = 0.0
    done: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RequestedTicker:
    """See `Ticker`. `decide` is for one caller at a time."""

    def __init__(self, clock: Clock, interval: float) -> None:
        self._clock = clock
        self._interval = interval
        self._next = 0.0
        self._awaited = False
        self._asked: _Asked | None = None
        self._wake = asyncio.Event()
        self._over = False
        self._source: RequestedSource | None = None

    def over(self, source: Source) -> RequestedSource:
        """The source that the session looks at; call it once."""
        self._source = RequestedSource(source)
        return self._source

    def wake(self) -> None:
        """The next tick carries a question: it goes before those of others."""
        self._awaited = True

    def online(self) -> None:
        """Nothing to do: it waits for its client anyway."""

    async def decide(self, request: TickRequest, within_s: float) -> float:
        """Tick with these pictures; returns the stream time of the last one, when the step is over.

        Raises `SourceError` (bad_picture), `EngineUnavailable` where the engine is away or has no time for it,
        `EngineTimeout` where it takes longer than `within_s`, `Conflict` where the session is over. Cancelled, or too
        late, a step in flight goes on.
        """
        if self._over:
            raise _ended()
        asked = self._asked = _Asked(request, self._clock.monotonic() + within_s)
        self._wake.set()
        try:
            if not await wait_until(self._clock, asked.done, asked.until):
                raise EngineTimeout(f"The session did not come to a decision within {within_s:g} s.")
            return asked.done.result()
        finally:
            if self._asked is asked:
                self._asked = None

    async def run(self, session: Ticking) -> None:
        """See `Ticker`."""
        session.rest(True)
        try:
            while session.source.state.status is not SourceStatus.ENDED:
                if not self._wake.is_set():
                    await wait_until(self._clock, self._wake.wait(), self._clock.monotonic() + LOOK_AROUND_S)
                    continue
                self._wake.clear()
                asked, self._asked = self._asked, None
                if asked is not None:
                    await self._answer(session, asked)
        finally:
            self._over = True
            if self._asked is not None and not self._asked.done.done():
                self._asked.done.set_exception(_ended())

    async def _answer(self, session: Ticking, asked: _Asked) -> None:
        error: BaseException = _ended()
        session.rest(False)
        try:
            await self._tick(session, asked)
            with suppress(asyncio.InvalidStateError):  # nobody waits any more
                asked.done.set_result(asked.t)
            return
        except JoyvlError as raised:
            error = raised
        finally:
            session.rest(True)
            if not asked.done.done():
                asked.done.set_exception(error)
                asked.done.exception()  # where nobody waits any more, it is nobody's mistake

    async def _tick(self, session: Ticking, asked: _Asked) -> None:
        if session.busy and not await wait_until(self._clock, session.idle(), asked.until):
            raise EngineTimeout("The step before has not ended yet.")
        *earlier, frame = await self._frames(session, asked.request)
        lease = None
        if not session.client.away:
            now = self._clock.monotonic()
            lease = await session.client.lease(Priority.ANSWER if self._awaited else session.priority, now, asked.until)
        if lease is None:
            raise EngineUnavailable(
                "The engine is away." if session.client.away else "The engine has no time for this session.",
                code="engine_unavailable" if session.client.away else "engine_overloaded",
            )
        self._awaited = False
        asked.t = frame.t
        session.tick(frame, tuple(earlier), self._clock.monotonic(), 1.0, lease)
        await session.idle()

    async def _frames(self, session: Ticking, request: TickRequest) -> list[Frame]:
        """Each picture as the session sees it. Only when all are good is time taken from the client's."""
        assert self._source is not None, "over() comes first"
        start = self._next if request.start is None else request.start
        count = len(request.pictures)
        offsets = request.offsets or tuple(number * self._interval / count for number in range(count))
        frames = []
        for picture, offset in zip(request.pictures, offsets, strict=True):
            await self._source.show(picture, start + offset)
            frames.append(await session.look())
        self._next = start + self._interval
        return frames


def _ended() -> Conflict:
    return Conflict("The session has ended; the next request begins another.", code="session_ended")
