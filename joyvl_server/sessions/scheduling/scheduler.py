"""Who may ask the engine now: one scheduler per engine, for all its sessions.

- A session asks for a lease when its tick is due, and looks at its source when the lease is granted. A request whose
  second is over is dropped. A client has at most one waiting request, so nothing ever piles up. A request that would
  not be through within its second lets the others go first.
- Order (`leases`): class (somebody waits for an answer, call, camera); within it, who lost more seconds in a row, then
  the earliest deadline. Every two lost seconds lift a client by one class: after four, a camera goes before the calls.
- Background work runs in slices (`slice_policy`), one at a time: while no step waits or runs and the next tick of any
  client is further off than the slice is long; and where that never comes, in the time it is owed.
- What the engine can do is learnt (`cost_model`); it makes sessions step back (`degradation`) and turns new ones away
  (`admission`).
- An engine that is away is not asked: its monitor's breaker says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from joyvl_server.core.decisions import Pressure
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling import admission
from joyvl_server.sessions.scheduling.cost_model import ASSESS_S, WINDOW_S, LoadMeter
from joyvl_server.sessions.scheduling.leases import (
    EngineClient,
    EngineLimits,
    Lease,
    LeaseRequest,
    LimitsListener,
    Priority,
    WaitQueue,
)
from joyvl_server.sessions.scheduling.slice_dispatcher import DispatchState, SliceDispatcher
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceClient, SliceKind

log = structlog.get_logger(__name__)


IN_TIME_S = 0.7
"""from a tick being due to its score, also where it met a slice; a little under a second, for what is not foreseen"""


class EngineScheduler:
    """Everything on one event loop; nothing here blocks. `breaker` is only read: the engine's monitor changes it.

    `can`: what the engine can do; `adapt` tells what is found out later.
    """

    def __init__(self, clock: Clock, engine: str, can: Capabilities, breaker: Breaker, metrics: Metrics) -> None:
        self.engine = engine
        self.breaker = breaker
        self._clock = clock
        self._metrics = metrics
        self._can = can
        self._meter = LoadMeter(can.parallel, clock.monotonic())
        self._clients: list[EngineClient] = []
        self._opening = 0
        """sessions that were admitted and have not joined yet"""
        self._queue = WaitQueue()
        self._speaking: set[Lease] = set()
        self._slices = SliceDispatcher(clock, engine, self._meter, metrics, self)
        metrics.engine_load.labels(engine).set_function(lambda: self._meter.cost.load(clock.monotonic()))
        self._show()

    # ------------------------------------------------------------------------------------------------------- clients

    def join(
        self,
        session_id: str,
        interval_s: float | None,
        listener: LimitsListener | None = None,
        *,
        admitted: bool = False,
        most_tokens: int | None = None,
    ) -> EngineClient:
        """A client for a session that ticks every `interval_s` seconds; None for one that only wants slices.

        Raises `NotAllowed` (engine_full), unless it was `admitted` before. `listener` is told later changes; the
        limits that hold now are in `client.limits`. `most_tokens` is the longest context it wants.
        """
        if interval_s is not None and not admitted:
            self.check_admission(interval_s)
        taken = {client.number for client in self._clients}
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        since = self._clock.monotonic()
        client = EngineClient(
            self, session_id, interval_s, listener, number=number, most_tokens=most_tokens, since=since
        )
        self._clients.append(client)
        client.limits = self._limits(client)
        self._tell()
        return client

    @contextmanager
    def admit(self, interval_s: float) -> Iterator[None]:
        """A place for one session more, ticking like this, kept while the block opens it. Raises `NotAllowed`."""
        self.check_admission(interval_s)
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1

    def check_admission(self, interval_s: float) -> None:
        """Raises `NotAllowed` (engine_full) where one session more, ticking like this, could not be held."""
        now = self._clock.monotonic()
        clients = {client: 1 / client.interval_s for client in self._clients if client.interval_s}
        unseen = sum(rate * max(0.0, 1 - (now - client.since) / WINDOW_S) for client, rate in clients.items())
        cost, rates = self._meter.cost, [*clients.values(), *[1 / interval_s] * self._opening]
        load = cost.load(now) + (unseen + self._opening / interval_s) * cost.usual
        admission.check(self.engine, self._can, cost, load, rates, 1 / interval_s, self.pressure)

    def leave(self, client: EngineClient) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._queue.refuse(client)
            self._slices.leave(client)
            for lease in [held for held in self._meter.running | self._speaking if held.client is client]:
                lease.release(failed=True)
            self._tell()

    @property
    def pressure(self) -> Pressure:
        return self._meter.pressure

    def snapshot(self) -> dict[str, Any]:
        """For the API: the pressure as number and word, sessions, load, requests that wait, the breaker's state."""
        return {
            "engine": self.engine,
            "pressure": int(self.pressure),
            "step": self.pressure.name.lower(),
            "sessions": self._sessions,
            "load": round(self._meter.cost.load(self._clock.monotonic()), 3),
            "waiting": len(self._queue.requests),
            "breaker": self.breaker.state.value,
        }

    # --------------------------------------------------------------------------------------- what its monitor tells it

    def adapt(self, can: Capabilities) -> None:
        """What the engine can do now."""
        self._can = can
        self._meter.adapt(can.parallel)
        self._tell()
        self.pump()

    def restarted(self) -> None:
        """The engine has lost what it had cached: every session begins a new chunk."""
        for client in self._clients:
            if client.listener is not None:
                client.listener.engine_restarted()

    def went_away(self) -> None:
        """The breaker has opened: nobody waits for a lease any longer."""
        self._queue.refuse()

    def came_back(self) -> None:
        """The breaker has closed."""
        self._meter.is_back(self._clock.monotonic())
        self.pump()

    # -------------------------------------------------------------------------------------------------------- leases

    async def lease(self, client: EngineClient, priority: Priority, due: float, until: float) -> Lease | None:
        """See `EngineClient.lease`."""
        if self._slices.beside is not None:
            await self._slices.make_way(client, due, at_once=priority is Priority.ANSWER)
        if self.breaker.open:
            return None
        now = self._clock.monotonic()
        if now < until and self._idle and self._free:
            lease = self._grant(now, client, due, until)
            self._assess(now)
            return lease
        request = LeaseRequest(client, priority, due, until, asyncio.get_running_loop().create_future())
        self._queue.add(request)
        self.pump()
        granted = await self._answered(request)
        if granted is None and not self.breaker.open:
            client.lost += 1
            now = self._clock.monotonic()
            self._meter.lost(now)
            self._assess(now)
        return granted

    async def _answered(self, request: LeaseRequest) -> Lease | None:
        granted, until = request.granted, request.until
        try:
            while not granted.done():
                now = self._clock.monotonic()
                if now >= until:
                    break
                await wait_until(self._clock, granted, self._slices.patience(now, until))
        except asyncio.CancelledError:
            self._queue.remove(request)
            if granted.done() and (lease := granted.result()) is not None:
                lease.release()
            raise
        self._queue.remove(request)
        return granted.result() if granted.done() else None

    def urge(self, client: EngineClient) -> None:
        self._queue.urge(client)

    def began(self, lease: Lease) -> None:
        """See `Lease.began`."""
        self._meter.began(self._clock.monotonic(), lease)

    def speaks(self, lease: Lease) -> None:
        """See `Lease.speaks`."""
        self._meter.ended(self._clock.monotonic(), lease, answered=True)
        lease.speaking = True
        if lease.counted:
            self._speaking.add(lease)
        self.pump()

    def released(self, lease: Lease, *, failed: bool) -> None:
        """See `Lease.release`."""
        lease.released = True
        self._meter.ended(self._clock.monotonic(), lease, answered=not failed)
        self._speaking.discard(lease)
        self.pump()

    def pump(self) -> None:
        """Whenever something has changed: give out the places there are."""
        now = self._clock.monotonic()
        if not self._idle:
            self._slices.pump(now)  # a slice that is overdue goes before the requests that wait
            while self._slices.current is None and self._free:
                request = self._queue.next(now, self._meter.cost.takes(len(self._meter.running)))
                if request is None:
                    break
                request.answer(self._grant(now, request.client, request.due, request.until))
            self._slices.pump(now)
        self._assess(now)

    @property
    def _idle(self) -> bool:
        """No request waits, and no slice waits or holds the engine up."""
        return not (self._queue.requests or self._slices.wanted or self._slices.current)

    @property
    def _free(self) -> bool:
        """There is a place."""
        return len(self._meter.running) < self._meter.cost.parallel

    def _grant(self, now: float, client: EngineClient, due: float, until: float) -> Lease:
        waited = max(0.0, now - due)
        self._metrics.waiting.observe(waited)
        lease = Lease(self, client, due)
        self._meter.granted(now, lease, waited, until - due)
        client.lost = 0
        return lease

    # -------------------------------------------------------------------------------------------------------- slices

    async def slice(self, client: EngineClient, kind: SliceKind) -> Slice:
        """See `EngineClient.slice`."""
        return await self._slices.slice(client, kind)

    def finished(self, client: EngineClient, kind: SliceKind) -> None:
        """See `EngineClient.finished`."""
        self._slices.finished(client, kind)

    def dispatch_state(self, now: float) -> DispatchState | None:
        """See `SliceHost`."""
        if self.breaker.open:
            return None
        # A tick that is due while its own step is in flight is asked for in a moment, and after a reply when that ends.
        speaking = {lease.client for lease in self._speaking}
        overdue = any(c.next_due is not None and c.next_due <= now and c not in speaking for c in self._clients)
        return DispatchState(
            quiet=not self._meter.running and not self._queue.requests and not overdue,
            free=self._free,
            next_due=min((c.next_due for c in self._clients if c.next_due and c.next_due > now), default=None),
            slack=self._slack(now),
            engaged=set(self._queue.requests) | {lease.client for lease in self._meter.running | self._speaking},
        )

    def ticks_between(self, begin: float, end: float, but: SliceClient) -> int:
        """See `SliceHost`."""
        return sum(c is not but and c.next_due is not None and begin < c.next_due < end for c in self._clients)

    def _slack(self, now: float) -> float:
        """How long the engine may be held up from now on so that the next tick of every client is still in time."""
        cost = self._meter.cost.usual
        dues = sorted(c.next_due for c in self._clients if c.next_due is not None and c.next_due > now - 1)
        return min((due + IN_TIME_S - now - cost * (n + 1) for n, due in enumerate(dues)), default=IN_TIME_S)

    # ------------------------------------------------------------------------------------------------------ pressure

    @property
    def _sessions(self) -> int:
        return sum(client.interval_s is not None for client in self._clients)

    def _limits(self, client: EngineClient) -> EngineLimits:
        tokens = admission.context_tokens(self._can, self._sessions, client.number, client.most_tokens)
        return EngineLimits(self.pressure, tokens)

    def _assess(self, now: float) -> None:
        if now - self._meter.assessed_at >= ASSESS_S and self._meter.assess(now, self._sessions):
            log.info("engine pressure", **self.snapshot())
            self._tell()
            self._show()

    def _tell(self) -> None:
        """Tell every client what has changed for it."""
        for client in list(self._clients):
            limits = self._limits(client)
            if client.limits != limits:
                client.limits = limits
                if client.listener is not None:
                    client.listener.limits_changed(limits)

    def _show(self) -> None:
        self._metrics.engine_pressure.labels(self.engine).set(int(self.pressure))
