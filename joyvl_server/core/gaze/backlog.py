"""Seconds that passed while a reply was on its way: they go into the next turn, each under its own time tag."""

from __future__ import annotations

from collections.abc import Iterable

from joyvl_server.core.prompt.turns import Second

MAX_SECONDS = 8


class Backlog:
    """At most `MAX_SECONDS` wait; where there are more, every other one is dropped, the newest is kept.

    `offer` hands them to a turn; then it has `settled`, and they are done with, or `failed`, and they wait again.
    """

    def __init__(self) -> None:
        self._waiting: list[Second] = []
        self._offered: list[Second] = []

    def keep(self, second: Second) -> None:
        """Add a second; of those that are not older than it (time jumped back) none is kept."""
        self._waiting = _thinned([*_before(second.frames[0].t, self._waiting), second])

    def offer(self, t: float) -> tuple[Second, ...]:
        """All that is older than stream time `t`, oldest first; nothing else is kept (time jumped back)."""
        self._offered, self._waiting = _before(t, self._waiting), []
        return tuple(self._offered)

    def drop(self) -> None:
        """Nobody wants any of them."""
        self._waiting, self._offered = [], []

    def settled(self) -> None:
        self._offered = []

    def failed(self) -> None:
        """The turn failed, or none was sent."""
        older = _before(self._waiting[0].frames[0].t, self._offered) if self._waiting else self._offered
        self._waiting, self._offered = _thinned([*older, *self._waiting]), []


def _before(t: float, seconds: Iterable[Second]) -> list[Second]:
    return [second for second in seconds if second.frames[0].t < t]


def _thinned(seconds: list[Second]) -> list[Second]:
    while len(seconds) > MAX_SECONDS:
        seconds = seconds[::-1][::2][::-1]
    return seconds
