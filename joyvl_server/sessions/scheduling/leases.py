"""A session's client at its engine's scheduler, the leases it is given, and the queue of those that wait for one.

A lease is one step's place at the engine. Pure but for the futures that answer requests; times are given.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from joyvl_server.core.decisions import Pressure
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceKind

LOST_A_CLASS = 2
"""seconds lost in a row that lift a client by one class"""


class Priority(IntEnum):
    """Who goes first when several wait."""

    ANSWER = 0
    """somebody waits for an answer"""
    CALL = 1
    CAMERA = 2
    SLICE = 3
    """work that nobody waits for"""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How short of time the engine is, and how many tokens a context may have; None where nothing bounds them."""

    pressure: Pressure = Pressure.NONE
    context_tokens: int | None = None


class LimitsListener(Protocol):
    """A session as its engine's scheduler tells it. Neither method may block."""

    def limits_changed(self, limits: EngineLimits) -> None: ...
    def engine_restarted(self) -> None:
        """The engine has lost what it had cached."""


class LeaseScheduler(Protocol):
    """The scheduler as clients and leases need it. See `EngineClient` for the calls that wait."""

    @property
    def breaker(self) -> Breaker: ...
    async def lease(self, client: EngineClient, priority: Priority, due: float, until: float) -> Lease | None: ...
    def urge(self, client: EngineClient) -> None: ...
    def began(self, lease: Lease) -> None: ...
    def speaks(self, lease: Lease) -> None: ...
    def released(self, lease: Lease, *, failed: bool) -> None: ...
    async def slice(self, client: EngineClient, kind: SliceKind) -> Slice: ...
    def finished(self, client: EngineClient, kind: SliceKind) -> None: ...
    def leave(self, client: EngineClient) -> None: ...


class Lease:
    """One step's place at the engine. Always `release` it; call `began` when its first request goes out.

    A step that goes on to speak calls `speaks`: its place is free from then on, though the engine still works for it.
    """

    def __init__(self, scheduler: LeaseScheduler, client: EngineClient, due: float, *, counted: bool = True) -> None:
        self.client = client
        self.due = due
        self.counted = counted
        self.full = True
        self.image_tokens = 0
        self.began_at: float | None = None
        self.area = 0.0
        """the load meter's count of requests × seconds when it began"""
        self.speaking = False
        self.released = False
        self._scheduler = scheduler

    def began(self, *, full: bool, image_tokens: int = 0) -> None:
        """The request goes out now; `full` when it brings a full look, not a glance. The full picture has this many
        `image_tokens`, where that is known."""
        if self.began_at is None and not self.released:
            self.full, self.image_tokens = full, image_tokens
            self._scheduler.began(self)

    def speaks(self) -> None:
        """It is scored, and the answer goes on alongside the leases of others."""
        if not self.released and not self.speaking:
            self._scheduler.speaks(self)

    def release(self, *, failed: bool = False) -> None:
        """The step is over, or never needed the engine; `failed` ones say nothing about its speed. Idempotent."""
        if not self.released:
            self._scheduler.released(self, failed=failed)


class EngineClient:
    """One session at its engine's scheduler. `leave` it at the end.

    The scheduler changes `limits` and `lost`; the session's ticker says by `next_due` when its next tick is due
    (monotonic), so that slices of others keep clear of it.
    """

    def __init__(
        self,
        scheduler: LeaseScheduler,
        session_id: str,
        interval_s: float | None,
        listener: LimitsListener | None,
        *,
        number: int,
        most_tokens: int | None,
        since: float,
    ) -> None:
        self.session_id = session_id
        self.interval_s = interval_s
        """None for a client that never ticks"""
        self.listener = listener
        self.number = number
        self.most_tokens = most_tokens
        self.since = since
        self.limits = EngineLimits()
        self.lost = 0
        """seconds lost in a row because others went first"""
        self.next_due: float | None = None
        self._scheduler = scheduler

    @property
    def pressure(self) -> Pressure:
        return self.limits.pressure

    @property
    def away(self) -> bool:
        """The engine is known to be away: nothing is asked of it."""
        return self._scheduler.breaker.open

    async def lease(self, priority: Priority, due: float, until: float) -> Lease | None:
        """Wait for a lease. None when it is `until` before that, or the engine is away.

        At most one request of a client waits: a further call replaces the one before, which gets None. Cancelled, it
        waits no longer and gives back what it was given.
        """
        return await self._scheduler.lease(self, priority, due, until)

    def urge(self) -> None:
        """Somebody waits for an answer now: a request that waits goes first."""
        self._scheduler.urge(self)

    def at_once(self, due: float) -> Lease:
        """A lease without waiting and uncounted, for files that wait for us."""
        return Lease(self._scheduler, self, due, counted=False)

    async def slice(self, kind: SliceKind) -> Slice:
        """Wait until a slice of background work may run, however long; cancel the call to give up."""
        return await self._scheduler.slice(self, kind)

    def finished(self, kind: SliceKind) -> None:
        """There is no more work of that kind for now: others may have their slices."""
        self._scheduler.finished(self, kind)

    def leave(self) -> None:
        self._scheduler.leave(self)


@dataclass(eq=False, slots=True)
class LeaseRequest:
    """`granted` gets the lease, or None where there is none for it in time."""

    client: EngineClient
    priority: Priority
    due: float
    until: float
    granted: asyncio.Future[Lease | None] = field(repr=False)

    @property
    def rank(self) -> tuple[int, int, float]:
        """Smallest first: class, lifted by lost seconds; then who lost more seconds in a row; then the deadline."""
        lost = self.client.lost
        return max(0, self.priority - lost // LOST_A_CLASS), -lost, self.until

    def answer(self, lease: Lease | None) -> None:
        if not self.granted.done():
            self.granted.set_result(lease)


class WaitQueue:
    """The requests that wait, at most one of a client, and which goes next."""

    def __init__(self) -> None:
        self.requests: dict[EngineClient, LeaseRequest] = {}

    def add(self, request: LeaseRequest) -> None:
        """An earlier request of the same client gets None."""
        earlier = self.requests.pop(request.client, None)
        if earlier is not None:
            earlier.answer(None)
        self.requests[request.client] = request

    def remove(self, request: LeaseRequest) -> None:
        if self.requests.get(request.client) is request:
            del self.requests[request.client]

    def urge(self, client: EngineClient) -> None:
        if client in self.requests:
            self.requests[client].priority = Priority.ANSWER

    def next(self, now: float, takes: float = 0.0) -> LeaseRequest | None:
        """Take out the request that goes next. Those whose second is over get None.

        A request that would not be through within its second, by the `takes` seconds of a step, goes after those that
        would: otherwise everybody is late as soon as there are a few too many. An answer that somebody waits for is
        given late too.
        """
        for over in [request for request in self.requests.values() if request.until <= now]:
            self.remove(over)
            over.answer(None)
        if not self.requests:
            return None
        waiting = self.requests.values()
        in_time = [r for r in waiting if r.priority is Priority.ANSWER or r.until - now >= takes]
        first = min(in_time or waiting, key=lambda request: request.rank)
        self.remove(first)
        return first

    def refuse(self, client: EngineClient | None = None) -> None:
        """Every request, or that of this one client, gets None."""
        for request in [r for r in self.requests.values() if client is None or r.client is client]:
            self.remove(request)
            request.answer(None)
