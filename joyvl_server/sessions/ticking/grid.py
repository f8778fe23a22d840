"""When a session's next tick is due. Sessions are spread over the second, so that they do not all ask at once."""

from __future__ import annotations

import math

GOLDEN = (math.sqrt(5) - 1) / 2


def phase(number: int, interval: float) -> float:
    """Offset of the n-th session within `interval`: golden-ratio steps stay evenly spread however many there are."""
    return (number * GOLDEN) % 1.0 * interval


class Grid:
    """Due times on a monotonic clock, `interval` seconds apart. A late tick is skipped, never queued."""

    def __init__(self, start: float, interval: float) -> None:
        self._interval = interval
        self.due = start

    def keep_clear(self, until: float) -> None:
        """Nothing is due before `until`, and nothing was missed: there was a tick out of turn."""
        while self.due < until:
            self.due += self._interval

    def advance(self, now: float) -> list[float]:
        """Move to the next due time after `now`; returns the due times that were missed, oldest first.

        A tick is missed when its whole second has passed: until then it is served, only late.
        """
        self.due += self._interval
        missed = []
        while self.due + self._interval <= now:
            missed.append(self.due)
            self.due += self._interval
        return missed
