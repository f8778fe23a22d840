"""What a ticker is, what it drives, and how sessions are spread over the second."""

from __future__ import annotations

import math
from typing import Protocol

from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import TickSkipped
from joyvl_server.ingest.base import Source
from joyvl_server.sessions.scheduling.leases import EngineClient, Lease, Priority

GOLDEN = (math.sqrt(5) - 1) / 2


def phase(number: int, interval: float) -> float:
    """Offset of the n-th session within `interval`: golden-ratio steps stay evenly spread however many there are."""
    return (number * GOLDEN) % 1.0 * interval


class Ticking(Protocol):
    """The machine that a ticker drives. Cancelling `idle` only ends the wait; for `look` see `Source.look`."""

    @property
    def source(self) -> Source: ...
    @property
    def client(self) -> EngineClient: ...
    @property
    def priority(self) -> Priority: ...
    @property
    def pictures(self) -> int:
        """Pictures of one second that a tick may bring."""

    async def look(self, at: float | None = None) -> Frame: ...
    @property
    def busy(self) -> bool: ...
    @property
    def replying(self) -> bool: ...
    async def idle(self) -> None: ...
    def tick(self, frame: Frame, burst: tuple[Frame, ...], due: float, speed: float, lease: Lease) -> None: ...
    def passed(self, frame: Frame, burst: tuple[Frame, ...]) -> None: ...
    def take(self, input: TickSkipped) -> None: ...
    def rest(self, resting: bool) -> None:
        """Nobody shows it anything until it rests no more: that it decides nothing is nobody's fault."""


class Ticker(Protocol):
    async def run(self, session: Ticking) -> None:
        """Tick until the source has ended. Cancelled, it stops at once; a step in flight goes on."""

    def wake(self) -> None:
        """Tick now, without waiting for the next second: somebody waits for an answer."""

    def online(self) -> None:
        """The source shows pictures now: the first one is worth a tick at once."""
