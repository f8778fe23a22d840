"""Hands out an engine's slices, one at a time, and cuts off what takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

import structlog

from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.cost_model import LoadMeter
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceClient, SliceKind, SlicePolicy

log = structlog.get_logger(__name__)

CUT_S = 0.55
"""a slice that takes longer is cut off as soon as a step waits"""
PATIENCE_S = 0.2
"""of a step with a slice of its own session that has not ended yet"""
LEAST_TOKENS = 6
PEEK_S = 0.25
"""how often a slice looks whether its moment has come, while nothing else happens"""


@dataclass(frozen=True, slots=True)
class DispatchState:
    """How things stand at the engine; see `SlicePolicy.length`."""

    quiet: bool
    free: bool
    next_due: float | None
    slack: float
    engaged: Set[SliceClient]
    """clients that wait for a lease or have one"""


class SliceHost(Protocol):
    """The scheduler as the dispatcher needs it."""

    def dispatch_state(self, now: float) -> DispatchState | None:
        """None while nothing may be asked of the engine."""

    def ticks_between(self, begin: float, end: float, but: SliceClient) -> int:
        """How many ticks are due in that time, of all clients but one."""

    def pump(self) -> None:
        """Something has changed."""


class SliceDispatcher:
    """`wanted` are the slices that wait; nothing needs to be pumped while there are none."""

    def __init__(self, clock: Clock, engine: str, meter: LoadMeter, metrics: Metrics, host: SliceHost) -> None:
        self.current: Slice | None = None
        """the slice that runs and holds the engine up"""
        self.beside: Slice | None = None
        """the one that runs alongside the ticks of others"""
        self._clock = clock
        self._engine = engine
        self._meter = meter
        self._metrics = metrics
        self._host = host
        self._policy = SlicePolicy()
        self.wanted = self._policy.wanted

    async def slice(self, client: SliceClient, kind: SliceKind) -> Slice:
        """See `EngineClient.slice`."""
        granted: asyncio.Future[Slice] = asyncio.get_running_loop().create_future()
        self._policy.want(self._clock.monotonic(), client, kind, granted)
        try:
            self.pump(self._clock.monotonic())
            while not await wait_until(self._clock, granted, self._clock.monotonic() + PEEK_S):
                self.pump(self._clock.monotonic())
            return granted.result()
        except asyncio.CancelledError:
            if granted.done():
                granted.result().give_back()
            raise
        finally:
            if not granted.done():
                self._policy.forget(self._clock.monotonic(), client, kind)

    def finished(self, client: SliceClient, kind: SliceKind) -> None:
        """The client has no more of that work for now."""
        self._policy.forget(self._clock.monotonic(), client, kind)

    def pump(self, now: float) -> None:
        """Give out the next slices if this is their moment."""
        if not self.wanted:
            return
        state = self._host.dispatch_state(now)
        if state is None:
            return
        side_by_side = self._meter.cost.parallel > 1
        key = self._policy.first(("warm",) if side_by_side else ("warm", "write"))
        if key is None:
            self._policy.idle(now)
            if self.beside is None and self.current is None and state.free:
                found = self._policy.beside(now, state.engaged)
                if found is not None:
                    client, pause = found
                    self.beside = self._give(now, client, "write", pause, self._held_up(now, client, pause))
            return
        if self.current is not None:
            return
        length = self._policy.length(
            now, quiet=state.quiet, free=state.free, next_due=state.next_due, slack=state.slack
        )
        if length is not None:
            self._meter.slice_began(now)
            self.current = self._give(now, *key, length)

    def _held_up(self, now: float, client: SliceClient, length: float) -> float:
        """Seconds that the ticks of others take out of a slice alongside them."""
        return self._meter.cost.usual * self._host.ticks_between(now, now + length, client)

    def _give(self, now: float, client: SliceClient, kind: SliceKind, length: float, held_up: float = 0.0) -> Slice:
        future = self._policy.take(client, kind)
        tokens = max(LEAST_TOKENS, self._meter.cost.tokens(kind, length - held_up))
        given = Slice(self, client, kind, length, tokens, now)
        if not future.done():
            future.set_result(given)
        return given

    def sliced(self, slice: Slice, outcome: str, tokens: int) -> None:
        """See `Slice`."""
        if slice.over:
            return
        slice.over = True
        slice.ended.set()
        now = self._clock.monotonic()
        if self.beside is slice:
            self.beside = None
        else:
            self._meter.slice_ended(now)
            self.current = None
            self._policy.spent(now, now - slice.began_at)
        if outcome == "done":
            self._meter.sliced(now, slice.kind, slice.tokens, tokens, slice.seconds, now - slice.began_at)
        self._metrics.slices.labels(self._engine, outcome).inc()
        # First whoever had this slice may ask for the next one.
        asyncio.get_running_loop().call_soon(self._host.pump)

    def patience(self, now: float, until: float) -> float:
        """Until when a step should wait before it asks again: a slice that takes too long is cut off then."""
        if self.current is None:
            return until
        at = self.current.began_at + CUT_S
        if now >= at:
            self._cut(self.current)
            return until
        return min(until, at)

    async def make_way(self, client: SliceClient, due: float, *, at_once: bool) -> None:
        """The client asks for a lease: a slice of its own beside others ends, `at_once` where somebody waits for it.

        Cancelled, it cuts nothing off.
        """
        slice = self.beside
        if slice is None or slice.client is not client:
            return
        if at_once or not await wait_until(self._clock, slice.ended.wait(), due + PATIENCE_S):
            self._cut(slice)

    def leave(self, client: SliceClient) -> None:
        self._policy.forget(self._clock.monotonic(), client)
        for slice in (self.current, self.beside):
            if slice is not None and slice.client is client:
                slice.give_back()

    def _cut(self, slice: Slice) -> None:
        if self._clock.monotonic() - slice.began_at > slice.seconds:
            self._meter.cost.slice_too_long(slice.kind)
        log.debug("slice cut off", engine=self._engine, session=slice.client.session_id, kind=slice.kind)
        slice.cut()
        self.sliced(slice, "cut", 0)
