"""How long to wait before the next try to reach a source."""

from __future__ import annotations

from random import Random

RUNGS = ((1.0, 5), (2.0, 5), (5.0, 5))
"""(seconds, how often): a camera that restarts is back at once, one that is away is not hammered."""
LAST_S = 30.0
JITTER = 0.1
"""Twenty cameras behind one switch that comes back shall not all knock in the same moment."""


class Ladder:
    """`attempts` counts the failed tries since the last success."""

    def __init__(self, random: Random) -> None:
        self.attempts = 0
        self._random = random

    def next_s(self) -> float:
        """Another try has failed: the pause before the next one, in seconds."""
        rung = self.attempts
        self.attempts += 1
        return self._pause(rung) * self._random.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """It worked."""
        self.attempts = 0

    def _pause(self, rung: int) -> float:
        for seconds, times in RUNGS:
            if rung < times:
                return seconds
            rung -= times
        return LAST_S
