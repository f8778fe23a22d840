"""Who asks: the name, the role and the cameras of a key or of a signed-in browser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from joyvl_server.sessions.memory.requests import Asker
from joyvl_server.store.access.records import Role


def own_cameras(request: Request) -> tuple[str, ...]:
    """Ids of the cameras that a list for this caller is to hold entries of; none: all entries."""
    return tuple(sorted(request.state.cameras))


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is safe to log and to store; `shown` is for people. `cameras`: all it is for; empty: everything.

    `until_wall`: Unix seconds at which the key is over, None: never. `counted_as`: what its requests count to, empty:
    itself; the browsers of a key count as one. `ended` is set when it is removed or over.
    """

    name: str
    shown: str
    role: Role
    cameras: frozenset[str] = frozenset()
    until_wall: float | None = None
    counted_as: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event, compare=False)

    @property
    def counted(self) -> str:
        """What its requests, and what it makes the server keep, count to."""
        return self.counted_as or self.name

    @property
    def asker(self) -> Asker:
        """What its written words may do."""
        everywhere = not self.cameras
        return Asker(across=everywhere, erases=self.role == "admin", allows=everywhere)
