"""Hands out an engine's slices, one at a time, and cuts off what takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.leases import EngineClient, Priority, Slice, SliceKind
from joyvl_server.sessions.scheduling.load_meter import LoadMeter
from joyvl_server.sessions.scheduling.slice_policy import SlicePolicy

log = structlog.get_logger(__name__)

CUT_S = 0.55
"""a slice that takes longer is cut off as soon as a turn waits"""
PATIENCE_S = 0.2
"""of a turn with a slice of its own session that has not ended yet"""
LEAST_TOKENS = 6
PEEK_S = 0.25
"""how often a slice looks whether its moment has come, while nothing else happens"""


@dataclass(frozen=True, slots=True)
class DispatchState:
    """How things stand at the engine; see `SlicePolicy.length`. `away`: nothing may be asked of it."""

    quiet: bool
    free: bool
    next_due: float | None
    slack: float
    away: bool
    engaged: set[EngineClient]
    """seats that wait for a turn or have one"""


class SliceDispatcher:
    """`moment` says how things stand, `due` how many seats but one tick between two moments; `changed` is called when a
    slice has ended."""

    def __init__(
        self,
        clock: Clock,
        engine: str,
        meter: LoadMeter,
        metrics: Metrics,
        moment: Callable[[float], DispatchState],
        due: Callable[[float, float, EngineClient], int],
        changed: Callable[[], None],
    ) -> None:
        self.slot: Slice | None = None
        """the slice that runs and holds the engine up"""
        self.beside: Slice | None = None
        """the one that runs beside the ticks of others"""
        self._clock = clock
        self._engine = engine
        self._meter = meter
        self._metrics = metrics
        self._moment = moment
        self._due = due
        self._changed = changed
        self._spare = SlicePolicy()

    async def slice(self, seat: EngineClient, kind: SliceKind) -> Slice:
        """See `EngineClient.slice`."""
        slot: asyncio.Future[Slice] = asyncio.get_running_loop().create_future()
        self._spare.want(self._clock.monotonic(), seat, kind, slot)
        try:
            self.pump(self._clock.monotonic())
            while not await wait_until(self._clock, slot, self._clock.monotonic() + PEEK_S):
                self.pump(self._clock.monotonic())
            return slot.result()
        except asyncio.CancelledError:
            if slot.done():
                slot.result().give_back()
            raise
        finally:
            if not slot.done():
                self._spare.forget(self._clock.monotonic(), seat, kind)

    def finished(self, seat: EngineClient, kind: SliceKind) -> None:
        """The seat has no more of that work for now."""
        self._spare.forget(self._clock.monotonic(), seat, kind)

    def pump(self, now: float) -> None:
        """Give out the next slices if this is their moment."""
        if not self._spare.wanted:
            return
        moment = self._moment(now)
        if moment.away:
            return
        side_by_side = self._meter.pace.parallel > 1
        key = self._spare.first(("warm",) if side_by_side else ("warm", "write"))
        if key is None:
            self._spare.idle(now)
            if self.beside is None and self.slot is None and moment.free:
                found = self._spare.beside(now, moment.engaged)
                if found is not None:
                    seat, pause = found
                    self.beside = self._give(now, seat, "write", pause, self._held_up(now, seat, pause))
            return
        if self.slot is not None:
            return
        length = self._spare.length(
            now,
            quiet=moment.quiet,
            free=moment.free,
            next_due=moment.next_due,
            slack=moment.slack,
        )
        if length is not None:
            self._meter.count(now)
            self._meter.slicing = True
            self.slot = self._give(now, *key, length)

    def _held_up(self, now: float, seat: EngineClient, length: float) -> float:
        """Seconds that the ticks of others take out of a slice beside them."""
        return self._meter.pace.usual * self._due(now, now + length, seat)

    def _give(self, now: float, seat: EngineClient, kind: SliceKind, length: float, held_up: float = 0.0) -> Slice:
        future = self._spare.take(seat, kind)
        tokens = max(LEAST_TOKENS, self._meter.pace.tokens(kind, length - held_up))
        slot = Slice(self, seat, kind, length, tokens, now)
        if not future.done():
            future.set_result(slot)
        return slot

    def sliced(self, slot: Slice, outcome: str, tokens: int) -> None:
        """See `Slice`."""
        if slot.over:
            return
        slot.over = True
        slot.ended.set()
        now = self._clock.monotonic()
        if self.beside is slot:
            self.beside = None
        else:
            self._meter.count(now)
            self._meter.slicing, self.slot = False, None
            self._spare.spent(now, now - slot.began_at)
        if outcome == "done":
            self._meter.sliced(now, slot, tokens)
        self._metrics.slices.labels(self._engine, outcome).inc()
        # First whoever had this slice may ask for the next one.
        asyncio.get_running_loop().call_soon(self._changed)

    def patience(self, now: float, until: float) -> float:
        """Until when a turn should wait before it asks again: a slice that takes too long is cut off then."""
        if self.slot is None:
            return until
        at = self.slot.began_at + CUT_S
        if now >= at:
            self._cut(self.slot)
            return until
        return min(until, at)

    async def make_way(self, seat: EngineClient, priority: Priority, due: float) -> None:
        """The seat asks for a turn: a slice of its own beside others ends, at once where somebody waits for it."""
        slot = self.beside
        if slot is None or slot.seat is not seat:
            return
        if priority is Priority.ANSWER or not await wait_until(self._clock, slot.ended.wait(), due + PATIENCE_S):
            self._cut(slot)

    def leave(self, seat: EngineClient) -> None:
        self._spare.forget(self._clock.monotonic(), seat)
        for slot in (self.slot, self.beside):
            if slot is not None and slot.seat is seat:
                slot.give_back()

    def _cut(self, slot: Slice) -> None:
        if self._clock.monotonic() - slot.began_at > slot.seconds:
            self._meter.pace.slice_too_long(slot.kind)
        log.debug("slice cut off", engine=self._engine, session=slot.seat.session_id, kind=slot.kind)
        if slot.on_cut is not None:
            slot.on_cut()
        self.sliced(slot, "cut", 0)
