"""Learns from the steps of a session how long its engine takes over pictures, where nobody says so."""

from __future__ import annotations

from joyvl_server.core.prompt.picture_limit import PictureCosts, PictureLimit
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.clock import Clock


def costs_unknown(can: Capabilities) -> bool:
    """Must it be found out what pictures cost? Not at a server that scores: it keeps what it has read."""
    return can.follows_instructions and not can.needs_every_frame and not can.scores


class PictureCostMeter:
    """`asked` when a step's request goes out, `took` when it is answered."""

    def __init__(self, clock: Clock, tick_s: float) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._costs = PictureCosts(tick_s)
        self._request: tuple[int, float, tuple[int, int]] | None = None
        """step, when it went out (monotonic), and its pictures, as `Context.pictures`"""

    @property
    def limit(self) -> PictureLimit:
        """How many pictures a prompt may have."""
        return self._costs.limit

    def asked(self, step: int, pictures: tuple[int, int]) -> None:
        again = self._request is not None and self._request[0] == step  # a choice came before: all of it is read
        self._request = None if again else (step, self._clock.monotonic(), pictures)

    def took(self, step: int) -> bool:
        """The decision of this step is there, or will not come in time. True when something was learnt."""
        if self._request is None or self._request[0] != step:
            return False
        _, began, (new, old) = self._request
        self._costs.took(new, old, self._clock.monotonic() - began)
        return True

    def forget(self) -> None:
        """It is another engine, or it has lost what it had read."""
        self._costs = PictureCosts(self._tick_s)
