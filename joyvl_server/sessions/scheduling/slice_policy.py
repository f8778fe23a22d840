"""When a slice of background work may run, and how long it may be. Pure; times are given.

Slices that hold an engine up (warming, and writing where it does one thing at a time) fill the pauses between ticks.
What waits is owed `SHARE` of the time that passes meanwhile, so that an engine without pauses does not starve it.
Warming goes before writing: a switch of chunks has its day, a text has none. Where requests go side by side, writing
runs beside the ticks of others, since a token now and then holds up nobody; it only keeps clear of its own session.
"""

from __future__ import annotations

import asyncio

from joyvl_server.sessions.scheduling.leases import EngineClient, Slice, SliceKind

SLICE_S = 0.34
"""the usual length"""
BESIDE_S = 0.7
"""of a slice that goes beside the ticks of others"""
SHORTEST_S = 0.15
"""of a pause that is worth a slice: a request costs something by itself"""
CLEAR_S = 0.02
"""kept between the end of a slice and the next tick"""
SHARE = 0.5
OWED_SLICE_S = 0.2
"""with as much owed, a slice may meet ticks, as long as they are all scored in time after it"""
MOST_OWED_S = 1.0
OVERDUE_S, OVERDUE_SLICE_S = 4.0, 0.15
"""when none ran for so long, one of that length goes before the turns that wait"""


class SlicePolicy:
    """The slices that wait, at most one a seat and kind, and the time they are owed.

    Who began to ask first gets all it needs before the next one: half a chunk that is warm serves nobody.
    """

    def __init__(self) -> None:
        self.wanted: dict[tuple[EngineClient, SliceKind], asyncio.Future[Slice]] = {}
        self._since: dict[tuple[EngineClient, SliceKind], int] = {}
        self._asked = 0
        self._owed = 0.0
        self._counted_at = self._ran_at = 0.0

    def want(self, now: float, seat: EngineClient, kind: SliceKind, slot: asyncio.Future[Slice]) -> None:
        self._count(now)
        if not self.wanted and not self._since:
            self._ran_at = now
        self._asked += 1
        self._since.setdefault((seat, kind), self._asked)
        self.wanted[seat, kind] = slot

    def forget(self, now: float, seat: EngineClient, kind: SliceKind | None = None) -> None:
        """It waits no longer, and has no more of that work."""
        self._count(now)
        for key in [k for k in self._since if k[0] is seat and kind in (None, k[1])]:
            del self._since[key]
            self.wanted.pop(key, None)

    def take(self, seat: EngineClient, kind: SliceKind) -> asyncio.Future[Slice]:
        return self.wanted.pop((seat, kind))

    def first(self, kinds: tuple[SliceKind, ...]) -> tuple[EngineClient, SliceKind] | None:
        """The one that began first, of the first of these kinds that any waits for."""
        for kind in kinds:
            waiting = [key for key in self.wanted if key[1] == kind]
            if waiting:
                return min(waiting, key=self._since.__getitem__)
        return None

    def beside(self, now: float, engaged: set[EngineClient]) -> tuple[EngineClient, float] | None:
        """Who may write beside the ticks of others, and for how many seconds; none that is `engaged` with its own."""
        for key in sorted(self.wanted, key=self._since.__getitem__):
            seat, kind = key
            if kind == "write" and seat not in engaged:
                pause = BESIDE_S if seat.next_due is None else min(BESIDE_S, seat.next_due - now - CLEAR_S)
                if pause >= SHORTEST_S:
                    return seat, pause
        return None

    def length(self, now: float, *, quiet: bool, free: bool, next_due: float | None, slack: float) -> float | None:
        """Seconds a slice may take now, or None.

        `quiet`: no turn waits or runs, none is overdue. `free`: there is a place. `next_due`: of any seat, None where
        nobody ticks. `slack`: so long may the ticks that come be held up and are still in time.
        """
        self._count(now)
        if quiet:
            pause = SLICE_S if next_due is None else min(SLICE_S, next_due - now - CLEAR_S)
            owed = min(SLICE_S, slack) if self._owed >= OWED_SLICE_S else 0.0
            length = max(owed, pause)
            if length >= SHORTEST_S:
                return length
        return OVERDUE_SLICE_S if free and now - self._ran_at >= OVERDUE_S else None

    def idle(self, now: float) -> None:
        """Nothing that holds the engine up waits: nothing is owed for this time."""
        self._counted_at = self._ran_at = now

    def spent(self, now: float, seconds: float) -> None:
        """A slice took so long."""
        self._count(now)
        self._owed = max(0.0, self._owed - seconds)
        self._ran_at = now

    def _count(self, now: float) -> None:
        if self.wanted:
            self._owed = min(MOST_OWED_S, self._owed + SHARE * (now - self._counted_at))
        self._counted_at = now
