"""Numbers that are never given twice: ids of ticks, epochs of utterances."""

from __future__ import annotations

from collections.abc import Callable

UNWRITTEN = 60_000_000
"""How far the numbers in use may be ahead of those in the store: ticks are written within seconds."""


class UniqueNumbers:
    """Microseconds of the wall clock (`wall` gives Unix seconds). Each is greater than all before it.

    One for the process. Two moments may fall in one microsecond, and a clock may be set back: numbers grow all the
    same.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + 1, self._now())
        return self._last

    def used(self, number: int) -> None:
        """This one is taken; only greater ones follow."""
        self._last = max(self._last, number)

    def stored(self, number: int) -> None:
        """The greatest that an earlier process has written. What it had not written is left out too: the clock is
        past that, or was set back, and then a minute is left out."""
        self.used(number if number < self._now() else number + UNWRITTEN)

    def _now(self) -> int:
        return round(self._wall() * 1e6)
