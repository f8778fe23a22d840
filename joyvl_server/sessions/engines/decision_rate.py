"""How often decisions come, where there is something to decide at every tick. Pure; times are given."""

from __future__ import annotations

from collections import deque
from statistics import median

LATELY, ENOUGH = 5, 4
"""intervals that count, and how many of them there must be: while the first ones are decided, much is learnt"""
SLOW, QUICK = 1.2, 1.1
"""ticks between two decisions: from the first on it is slow, below the second it is no longer"""
CHANGED = 0.2
"""another pace is worth telling when it differs by this share"""


class DecisionRate:
    """`decided` at every decision, `rested` at a tick at which the engine was asked nothing, or failed."""

    def __init__(self, tick_s: float) -> None:
        self.slow_s: float | None = None
        """seconds between two decisions, as long as they come too seldom; else None"""
        self._tick_s = tick_s
        self._intervals: deque[float] = deque(maxlen=LATELY)
        self._last: float | None = None

    def decided(self, now: float) -> None:
        if self._last is not None:
            self._intervals.append(now - self._last)
        self._last = now
        if len(self._intervals) < ENOUGH:
            return
        interval = median(self._intervals)
        if interval < (SLOW if self.slow_s is None else QUICK) * self._tick_s:
            self.slow_s = None
        elif self.slow_s is None or abs(interval - self.slow_s) > CHANGED * self.slow_s:
            self.slow_s = interval

    def rested(self) -> None:
        self._last = None
