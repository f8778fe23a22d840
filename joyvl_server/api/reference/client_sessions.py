"""The sessions behind the clients of the reference's API, by the names they give them: bounded, ended when idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.reference.client_session import OpenClientSession
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.spec import SessionSpec

log = structlog.get_logger(__name__)

MAX_CLIENTS = 64
MAX_WAITING = 8
"""requests of one session at once, the one that is being answered included"""
IDLE_S = 900.0
"""a session of which nobody asked anything for so long is ended"""
EVICTED_S = 60.0
"""… and where there are too many, the one that is idle longest, if for so long"""
SWEEP_S = 30.0

Name = tuple[str, str]
"""(whose key, which session): clients with different keys do not share one"""


@dataclass(eq=False, slots=True)
class _Place:
    """One name's session; None until its first picture, and after its end."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    used: float = 0.0
    open: OpenClientSession | None = None


class ReferenceSessions:
    """Of one server. Requests of one name are answered one after the other, in the order in which they came."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._places: dict[Name, _Place] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many sessions are open."""
        return sum(place.open is not None for place in self._places.values())

    @asynccontextmanager
    async def session(self, name: Name, engine: str | None = None) -> AsyncIterator[OpenClientSession]:
        """Its session, for this caller alone; a new one where there is none, on `engine` where that is named.

        Raises `Unavailable` (too_many_requests, too_many_sessions), and as `Registry.open_pushed`. Cancelled while it
        waits, nothing has happened.
        """
        async with self._held(name) as place:
            if place.open is not None and place.open.over:
                place.open = None
            if place.open is None:
                place.open = await self._opened(name, engine)
            yield place.open

    async def reset(self, name: Name) -> None:
        """End its session, once what it answers is answered: the next request begins another. Idempotent.

        Cancelled while it is being ended, it ends all the same.
        """
        if name not in self._places:
            return
        async with self._held(name) as place:
            await self._end(place)

    def close(self) -> None:
        """The server stops; the registry ends the sessions."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._places.clear()

    @asynccontextmanager
    async def _held(self, name: Name) -> AsyncIterator[_Place]:
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = _Place()
        if place.waiting >= MAX_WAITING:
            raise Unavailable(f"{MAX_WAITING} requests of this session wait already.", code="too_many_requests")
        place.waiting += 1
        try:
            async with place.lock:
                yield place
        finally:
            place.waiting -= 1
            place.used = self._clock.monotonic()
            if place.open is None and not place.waiting and self._places.get(name) is place:
                del self._places[name]

    async def _opened(self, name: Name, engine: str | None) -> OpenClientSession:
        await self._make_way()
        spec = SessionSpec(engine=engine, voice="off", listen="off")
        session, ticker = await self._registry.open_requested(name=f"Client {name[1]}"[:80], spec=spec)
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep(), name="end of idle clients of the reference's API")
        return OpenClientSession(session, ticker, self._clock)

    async def _make_way(self) -> None:
        if len(self) < MAX_CLIENTS:
            return
        idle = self._idle(EVICTED_S)
        if not idle:
            sentence = f"{MAX_CLIENTS} clients have sessions; reset one of them first."
            raise Unavailable(sentence, code="too_many_sessions")
        await self._end(min(idle, key=lambda place: place.used))

    def _idle(self, seconds: float) -> list[_Place]:
        """Those with a session that nobody asked for so long."""
        before = self._clock.monotonic() - seconds
        places = self._places.values()
        return [one for one in places if one.open is not None and not one.waiting and one.used <= before]

    async def _sweep(self) -> None:
        while self._places:
            await self._clock.sleep(SWEEP_S)
            for place in self._idle(IDLE_S):
                async with place.lock:
                    if not place.waiting:
                        await self._end(place)
            self._places = {name: one for name, one in self._places.items() if one.open is not None or one.waiting}

    async def _end(self, place: _Place) -> None:
        opened, place.open = place.open, None
        if opened is not None:
            try:
                await self._registry.close_pushed(opened.session.id)
            except JoyvlError as error:
                log.warning("the session of a client could not be ended", error=str(error))
