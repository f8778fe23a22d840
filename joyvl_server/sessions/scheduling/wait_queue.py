"""The turns that wait for a place at one engine, and who goes next. Pure; times are given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from joyvl_server.sessions.scheduling.leases import EngineClient, Lease, Priority

LOST_A_CLASS = 2
"""seconds lost in a row that lift a seat by one class"""


@dataclass(eq=False, slots=True)
class LeaseRequest:
    """A turn asked for. `granted` gets the grant, or None where it came to nothing."""

    seat: EngineClient
    priority: Priority
    due: float
    until: float
    granted: asyncio.Future[Lease | None] = field(repr=False)

    @property
    def rank(self) -> tuple[int, int, float]:
        """Smallest first: class, lifted by lost seconds; then who lost more seconds in a row; then the deadline."""
        lost = self.seat.lost
        return max(0, self.priority - lost // LOST_A_CLASS), -lost, self.until

    def answer(self, grant: Lease | None) -> None:
        if not self.granted.done():
            self.granted.set_result(grant)


class WaitQueue:
    """At most one turn a seat."""

    def __init__(self) -> None:
        self._asked: dict[EngineClient, LeaseRequest] = {}

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def seats(self) -> set[EngineClient]:
        return set(self._asked)

    def add(self, asked: LeaseRequest) -> None:
        """A turn that this seat asked for before gets None."""
        earlier = self._asked.pop(asked.seat, None)
        if earlier is not None:
            earlier.answer(None)
        self._asked[asked.seat] = asked

    def remove(self, asked: LeaseRequest) -> None:
        if self._asked.get(asked.seat) is asked:
            del self._asked[asked.seat]

    def urge(self, seat: EngineClient) -> None:
        if seat in self._asked:
            self._asked[seat].priority = Priority.ANSWER

    def next(self, now: float, takes: float = 0.0) -> LeaseRequest | None:
        """Take out who goes next. Those whose second is over get None.

        Who would not be through within its second, by the `takes` seconds of a turn, goes after those who would: else
        everybody is late as soon as there are a few too many. But who waits for an answer gets it late too.
        """
        for over in [asked for asked in self._asked.values() if asked.until <= now]:
            self.remove(over)
            over.answer(None)
        if not self._asked:
            return None
        waiting = self._asked.values()
        in_time = [a for a in waiting if a.priority is Priority.ANSWER or a.until - now >= takes]
        first = min(in_time or waiting, key=lambda asked: asked.rank)
        self.remove(first)
        return first

    def send_away(self, seat: EngineClient | None = None) -> None:
        """Everybody, or this one seat, gets None."""
        for asked in [a for a in self._asked.values() if seat is None or a.seat is seat]:
            self.remove(asked)
            asked.answer(None)
