"""The circuit breaker before an engine: one that is known to be away is not asked again and again. Pure; times are
given.

Closed: everything passes. Open: nothing passes; after a pause one probe may go (half-open). A probe that fails doubles
the pause, one that succeeds closes it. Pauses are exact, without jitter: there is one probe for all sessions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from joyvl_server.kit.backoff import Backoff

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 5.0
"""A check costs the server nothing, and whoever waits for it should not wait longer once it is back."""
OPENS_AT = 5
"""failures in a row, over all sessions of the engine"""
WEIGHTS = {
    "engine_unavailable": 1,
    "engine_cut": 1,
    "engine_overloaded": 1,
    "engine_timeout": 3,
}
"""What says that the engine is away. A timeout has cost many seconds: two in a row are enough. Anything else (a context
too long, a call out of order, a wrong key) is about the request and passes by."""


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """`open`: nothing may be asked now; the probe goes another way. `calm`: closed, and the last requests worked."""

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.open = False
        self.calm = True
        self.opened_at = 0.0
        self.probe_at = 0.0
        """when the next probe may go, while it is open"""
        self._failures = 0
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)

    def failed(self, code: str, now: float) -> bool:
        """A request failed with this code. True when that opened the breaker."""
        weight = WEIGHTS.get(code, 0)
        self._failures += weight
        self.calm = self.calm and not weight
        if self.open or self._failures < OPENS_AT:
            return False
        self._become(BreakerState.OPEN)
        self.opened_at = now
        self.probe_at = now + (self._backoff.pause_s or self._backoff.failed())
        return True

    def worked(self) -> bool:
        """A request succeeded: the engine is there, and the pauses are short again. True when that closed it."""
        self._backoff.worked()
        closed = self._close()
        self.calm = True
        return closed

    def probing(self) -> None:
        """The probe goes out."""
        self._become(BreakerState.HALF_OPEN)

    def probe_failed(self, now: float) -> None:
        self._become(BreakerState.OPEN)
        self.probe_at = now + self._backoff.failed()

    def probe_worked(self) -> bool:
        """One success closes it. The pause stays as long as it is until a real request works too."""
        return self._close()

    def _close(self) -> bool:
        self._failures = 0
        closed = self.open
        self._become(BreakerState.CLOSED)
        return closed

    def _become(self, state: BreakerState) -> None:
        self.state = state
        self.open = state is not BreakerState.CLOSED


class BreakerListener(Protocol):
    """The monitor, as it hears of the breaker."""

    def opened(self) -> None:
        """So many requests failed that nothing is asked for now."""

    def recovered(self, *, closed: bool) -> None:
        """A request has worked after others failed; `closed`: the breaker was open until now."""
