"""What the scheduler measures of its engine: how long looks take beside how many others, who came late, which step of
the ladder follows. Pure; times are given.
"""

from __future__ import annotations

from joyvl_server.core.decisions import Pressure
from joyvl_server.sessions.scheduling.cost_model import CostModel
from joyvl_server.sessions.scheduling.degradation import DegradationPolicy, LoadReading
from joyvl_server.sessions.scheduling.leases import Lease, Slice

ASSESS_S = 0.5
STALLED_S = 1.0
"""without any answer: the engine stands still, which says nothing about its speed"""
RECOVERY_S = 1.5


class LoadMeter:
    """`running` are the turns that hold a place; the scheduler adds and discards, and counts before it does."""

    def __init__(self, parallel: int, now: float) -> None:
        self.pace = CostModel(parallel)
        self.running: set[Lease] = set()
        self.slicing = False
        self._ladder = DegradationPolicy()
        self._area, self._counted_at = 0.0, now
        self._finished_at = now
        self._stalled_at = float("-inf")
        self._assessed_at = float("-inf")

    @property
    def step(self) -> Pressure:
        return self._ladder.step

    def count(self, now: float) -> float:
        """Requests × seconds so far; to be called just before their number changes."""
        self._area += (len(self.running) + self.slicing) * (now - self._counted_at)
        self._counted_at = now
        return self._area

    def began(self, now: float, grant: Lease) -> None:
        grant.began_at = now
        grant.area = self.count(now)

    def granted(self, now: float, waited: float, of: float) -> None:
        """A turn got its place after `waited` seconds of the `of` seconds it had."""
        if not self.stalled(now):
            self.pace.waited(now, late=waited > of / 2)

    def answered(self, now: float, grant: Lease) -> None:
        """Its requests are through."""
        if grant.began_at is None:
            return
        self._finished_at = now
        seconds = now - grant.began_at
        beside = (self.count(now) - grant.area) / seconds if seconds > 0 else 1.0
        self.pace.looked(now, grant.full, seconds, beside, grant.image_tokens)

    def sliced(self, now: float, slot: Slice, tokens: int) -> None:
        """A slice went through, with this many tokens worked on."""
        self._finished_at = now
        self.pace.sliced(slot.kind, slot.tokens, tokens, slot.seconds, now - slot.began_at)

    def lost(self, now: float) -> None:
        """A turn's second was over before it got a place."""
        if not self.stalled(now):
            self.pace.lost(now)

    def is_back(self, now: float) -> None:
        """It was away until now."""
        self._stalled_at = now

    def stalled(self, now: float) -> bool:
        """No answer for long, or just now again: what waits then says nothing about the load."""
        begun = [grant.began_at for grant in self.running if grant.began_at is not None]
        usual = self.pace.alone(True) or 0.0
        if begun and now - max(self._finished_at, min(begun)) > max(STALLED_S, 4 * usual):
            self._stalled_at = now
        return now - self._stalled_at < RECOVERY_S

    def assess(self, now: float, sessions: int) -> bool:
        """Read the ladder, at most twice a second; True when its step changed."""
        if now - self._assessed_at < ASSESS_S or self.stalled(now):
            return False
        self._assessed_at = now
        return self._ladder.read(now, LoadReading(self.pace.load(now), self.pace.late(now), sessions))
