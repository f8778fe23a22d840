"""How long to wait before the next try to reach a source."""

from __future__ import annotations

from random import Random

RUNGS = ((1.0, 5), (2.0, 5))
"""(seconds, how often), then `LAST_S`: a camera that restarts is back at once, one that is away is not hammered."""
LAST_S = 3.0
"""A try takes a second where nothing answers: together with it, and with the jitter, tries are under 5 s apart."""
REFUSED_RUNGS = ((30.0, 2), (60.0, 2))
REFUSED_LAST_S = 300.0
"""Many cameras lock an account, or us, for half an hour after some five wrong passwords within minutes."""
JITTER = 0.2
"""Twenty cameras behind one switch that comes back must not all be tried in the same moment."""


class Backoff:
    """`attempts` counts the failed tries since the last success."""

    def __init__(self, random: Random) -> None:
        self.attempts = 0
        self._refused = 0
        self._random = random

    def next_s(self, code: str | None = None) -> float:
        """Another try has failed, with this error's code: the pause before the next one, in seconds."""
        if code == "unauthorized":
            rung, rungs, last = self._refused, REFUSED_RUNGS, REFUSED_LAST_S
            self._refused += 1
        else:
            rung, rungs, last = self.attempts, RUNGS, LAST_S
        self.attempts += 1
        return _pause(rung, rungs, last) * self._random.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """It worked."""
        self.attempts = self._refused = 0


def _pause(rung: int, rungs: tuple[tuple[float, int], ...], last: float) -> float:
    for seconds, times in rungs:
        if rung < times:
            return seconds
        rung -= times
    return last
