"""Who may ask the engine now: one scheduler per engine, for all its sessions.

- A session asks for its turn when its tick is due, and looks at its source when the turn is granted. A turn whose
  second is over is dropped. A seat has at most one waiting turn, so nothing ever piles up. Whose second would be over
  before it is through lets the others go first.
- Order (`wait_queue`): class (somebody waits for an answer, call, camera); within it, who lost more seconds in a row,
  then the earliest deadline. Every two lost seconds lift a seat by one class: after four, a camera goes before the
  calls.
- Background work runs in slices (`slice_policy`), one at a time: while no turn waits or runs and the next tick of any
  seat is further off than the slice is long; and where that never comes, in the time it is owed.
- What the engine can do is learnt (`cost_model`); it makes sessions step back (`degradation`) and turns new ones away
  (`admission`).
- An engine that is away is not asked (`breaker`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from joyvl_server.core.decisions import Pressure
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling import admission
from joyvl_server.sessions.scheduling.cost_model import WINDOW_S
from joyvl_server.sessions.scheduling.leases import EngineClient, Lease, OnRoom, Priority
from joyvl_server.sessions.scheduling.load_meter import LoadMeter
from joyvl_server.sessions.scheduling.slice_dispatcher import DispatchState, SliceDispatcher
from joyvl_server.sessions.scheduling.wait_queue import LeaseRequest, WaitQueue

log = structlog.get_logger(__name__)


IN_TIME_S = 0.7
"""from a tick being due to its score, also where it met a slice; a little under a second, for what is not foreseen"""


class EngineScheduler:
    """Everything on one event loop; nothing here blocks. `can` may come later, by `adapt`."""

    def __init__(
        self, clock: Clock, *, engine: str, parallel: int, metrics: Metrics, can: Capabilities | None = None
    ) -> None:
        self.engine = engine
        self.breaker = Breaker()
        self.on_open: Callable[[], None] = lambda: None
        """called when the breaker has opened"""
        self.on_recovery: Callable[[], None] = lambda: None
        """called when a request works again after others failed"""
        self.coming = 0
        """sessions that have room here, and no seat yet"""
        self._clock = clock
        self._metrics = metrics
        self._can = can or Capabilities(parallel=parallel)
        self._meter = LoadMeter(parallel, clock.monotonic())
        self._seats: list[EngineClient] = []
        self._line = WaitQueue()
        self._speaking: set[Lease] = set()
        self.desk = SliceDispatcher(clock, engine, self._meter, metrics, self._moment, self._due, self._pump)
        metrics.engine_load.labels(engine).set_function(lambda: self._meter.pace.load(clock.monotonic()))
        self._show()

    # --------------------------------------------------------------------------------------------------------- seats

    def join(
        self,
        session_id: str,
        interval_s: float | None,
        on_room: OnRoom = lambda pressure, tokens: None,
        *,
        on_restart: Callable[[], None] = lambda: None,
        admitted: bool = False,
        most_tokens: int | None = None,
    ) -> EngineClient:
        """A seat for a session that ticks every `interval_s` seconds; None for one that only wants slices.

        Raises `NotAllowed` (engine_full), unless it was `admitted` before. `on_room` tells later changes; what holds
        now is in `seat.pressure` and `seat.context_tokens`. `most_tokens` is the longest context it wants.
        """
        if interval_s is not None and not admitted:
            self.check_room(interval_s)
        taken = {seat.number for seat in self._seats}
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        seat = EngineClient(
            self, session_id, interval_s, on_room, on_restart, number, most_tokens, self._clock.monotonic()
        )
        self._seats.append(seat)
        seat.told = self._told(seat)
        self._tell()
        return seat

    def check_room(self, interval_s: float) -> None:
        """Raises `NotAllowed` (engine_full) where one session more, ticking like this, could not be held."""
        now = self._clock.monotonic()
        seats = {seat: 1 / seat.interval_s for seat in self._seats if seat.interval_s}
        unseen = sum(rate * max(0.0, 1 - (now - seat.since) / WINDOW_S) for seat, rate in seats.items())
        pace, rates = self._meter.pace, [*seats.values(), *[1 / interval_s] * self.coming]
        load = pace.load(now) + (unseen + self.coming / interval_s) * pace.usual
        admission.check(self.engine, self._can, pace, load, rates, 1 / interval_s, self.pressure)

    def leave(self, seat: EngineClient) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
            self._line.send_away(seat)
            self.desk.leave(seat)
            for grant in [g for g in self._meter.running | self._speaking if g.seat is seat]:
                grant.release(failed=True)
            self._tell()

    def adapt(self, can: Capabilities) -> None:
        """The engine was probed: what it can do now."""
        self._can = can
        self._meter.pace.parallel = max(1, can.parallel)
        self._tell()
        self._pump()

    def restarted(self) -> None:
        """The engine has lost what it had cached: every session begins anew."""
        for seat in self._seats:
            seat.on_restart()

    @property
    def pressure(self) -> Pressure:
        return self._meter.step

    @property
    def away(self) -> bool:
        """Nothing may be asked of it: the breaker is open."""
        return self.breaker.open

    def snapshot(self) -> dict[str, Any]:
        """For the API: the ladder's step as number and word, sessions, load, turns that wait, the breaker's state."""
        return {
            "engine": self.engine,
            "pressure": int(self.pressure),
            "step": self.pressure.name.lower(),
            "sessions": self._sessions,
            "load": round(self._meter.pace.load(self._clock.monotonic()), 3),
            "waiting": len(self._line),
            "breaker": self.breaker.state.value,
        }

    # --------------------------------------------------------------------------------------------------------- turns

    async def turn(self, seat: EngineClient, priority: Priority, due: float, until: float) -> Lease | None:
        """See `EngineClient.turn`."""
        await self.desk.make_way(seat, priority, due)
        if self.breaker.open:
            return None
        asked = LeaseRequest(seat, priority, due, until, asyncio.get_running_loop().create_future())
        self._line.add(asked)
        self._pump()
        try:
            while not asked.granted.done():
                now = self._clock.monotonic()
                if now >= until:
                    break
                await wait_until(self._clock, asked.granted, self.desk.patience(now, until))
        except asyncio.CancelledError:
            self._line.remove(asked)
            if asked.granted.done() and (grant := asked.granted.result()) is not None:
                grant.release()
            raise
        self._line.remove(asked)
        grant = asked.granted.result() if asked.granted.done() else None
        if grant is None and not self.breaker.open:
            seat.lost += 1
            self._meter.lost(self._clock.monotonic())
            self._assess()
        return grant

    def urge(self, seat: EngineClient) -> None:
        self._line.urge(seat)

    def began(self, grant: Lease) -> None:
        """See `Lease.began`."""
        self._meter.began(self._clock.monotonic(), grant)

    def speaks(self, grant: Lease) -> None:
        """See `Lease.speaks`."""
        self._give_up_place(grant, answered=True)
        grant.speaking = True
        if grant.counted:
            self._speaking.add(grant)
        self._pump()

    def released(self, grant: Lease, *, failed: bool) -> None:
        """See `Lease.release`."""
        grant.released = True
        self._give_up_place(grant, answered=not failed)
        self._speaking.discard(grant)
        self._pump()

    def _give_up_place(self, grant: Lease, *, answered: bool) -> None:
        if grant in self._meter.running:
            now = self._clock.monotonic()
            if answered:
                self._meter.answered(now, grant)
            self._meter.count(now)
            self._meter.running.discard(grant)

    def _pump(self) -> None:
        """Whenever something changed: give out the places there are."""
        now = self._clock.monotonic()
        self.desk.pump(now)  # a slice that is overdue goes before the turns that wait
        while self.desk.slot is None and len(self._meter.running) < self._meter.pace.parallel:
            asked = self._line.next(now, self._meter.pace.takes(len(self._meter.running)))
            if asked is None:
                break
            self._grant(now, asked)
        self.desk.pump(now)
        self._assess()

    def _grant(self, now: float, asked: LeaseRequest) -> None:
        waited = max(0.0, now - asked.due)
        self._metrics.waiting.observe(waited)
        self._meter.granted(now, waited, asked.until - asked.due)
        self._meter.count(now)
        grant = Lease(self, asked.seat, asked.due)
        self._meter.running.add(grant)
        asked.seat.lost = 0
        asked.answer(grant)

    def _moment(self, now: float) -> DispatchState:
        # A tick that is due while its own step is in flight is asked for in a moment, and after a reply when that ends.
        speaking = {grant.seat for grant in self._speaking}
        overdue = any(s.next_due is not None and s.next_due <= now and s not in speaking for s in self._seats)
        return DispatchState(
            quiet=not self._meter.running and not self._line and not overdue,
            free=len(self._meter.running) < self._meter.pace.parallel,
            next_due=min((s.next_due for s in self._seats if s.next_due and s.next_due > now), default=None),
            slack=self._slack(now),
            away=self.breaker.open,
            engaged=self._line.seats | {grant.seat for grant in self._meter.running | self._speaking},
        )

    def _due(self, begin: float, end: float, but: EngineClient) -> int:
        """How many ticks are due in that time, of all seats but one."""
        return sum(s is not but and s.next_due is not None and begin < s.next_due < end for s in self._seats)

    def _slack(self, now: float) -> float:
        """How long the engine may be held up from now on so that the next tick of every seat is still in time."""
        cost = self._meter.pace.usual
        dues = sorted(s.next_due for s in self._seats if s.next_due is not None and s.next_due > now - 1)
        return min((due + IN_TIME_S - now - cost * (n + 1) for n, due in enumerate(dues)), default=IN_TIME_S)

    # ------------------------------------------------------------------------------------------- breaker and pressure

    def worked(self) -> None:
        """A request succeeded."""
        shaky = self.breaker.shaky
        if self.breaker.worked():
            self.back()
        if shaky:
            self.on_recovery()

    def failed(self, code: str) -> None:
        """A request failed; the breaker may open on it."""
        if self.breaker.failed(code, self._clock.monotonic()):
            log.debug("engine is asked nothing for now", engine=self.engine, code=code)
            self._line.send_away()
            self._show()
            self.on_open()

    def back(self) -> None:
        """The breaker has closed."""
        away = self._clock.monotonic() - self.breaker.opened_at
        log.debug("engine is asked again", engine=self.engine, away_s=round(away, 1))
        self._meter.is_back(self._clock.monotonic())
        self._show()
        self._pump()

    @property
    def _sessions(self) -> int:
        return sum(seat.interval_s is not None for seat in self._seats)

    def _told(self, seat: EngineClient) -> tuple[Pressure, int | None]:
        return self.pressure, admission.context_tokens(self._can, self._sessions, seat.number, seat.most_tokens)

    def _assess(self) -> None:
        if self._meter.assess(self._clock.monotonic(), self._sessions):
            log.info("engine pressure", **self.snapshot())
            self._tell()
            self._show()

    def _tell(self) -> None:
        """Tell every seat what changed for it."""
        for seat in list(self._seats):
            now = self._told(seat)
            if seat.told != now:
                seat.told = now
                seat.on_room(*now)

    def _show(self) -> None:
        self._metrics.engine_pressure.labels(self.engine).set(int(self.pressure))
        self._metrics.breaker_open.labels(self.engine).set(int(self.breaker.open))
