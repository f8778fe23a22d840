"""How long to wait before the next try, for everything that is tried again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


class Backoff:
    """The pauses between failed tries, in seconds: `first_s`, then `factor` times as long with each failure in a row,
    at most `longest_s`.

    `steps`: (seconds, how many times) that come before those. `jitter`: the share by which each pause may be shorter
    or longer, drawn from `random`; without it pauses are exact.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        factor: float = 2.0,
        steps: Sequence[tuple[float, int]] = (),
        jitter: float = 0.0,
        random: Random | None = None,
    ) -> None:
        self.failures = 0
        """in a row, since the last success"""
        self.pause_s = 0.0
        """the last pause; 0 before the first failure"""
        self._first_s = first_s
        self._longest_s = longest_s
        self._factor = factor
        self._steps = tuple(steps)
        self._jitter = jitter
        self._random = random

    def failed(self, *, free: int = 0) -> float:
        """A try has failed: the pause before the next one. As many failures in a row as are `free` cost none."""
        self.failures += 1
        number = self.failures - 1 - free
        pause = self._pause(number) if number >= 0 else 0.0
        if self._random is not None and self._jitter:
            pause *= self._random.uniform(1 - self._jitter, 1 + self._jitter)
        self.pause_s = pause
        return pause

    def worked(self) -> None:
        """A try has worked: the next failure counts as the first."""
        self.failures = 0
        self.pause_s = 0.0

    def _pause(self, number: int) -> float:
        for seconds, times in self._steps:
            if number < times:
                return seconds
            number -= times
        return min(self._longest_s, self._first_s * self._factor ** min(number, 64))
