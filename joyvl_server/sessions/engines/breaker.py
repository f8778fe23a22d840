"""The circuit breaker before an engine: what is known to be away is not asked again and again. Pure; times are given.

Closed: everything passes. Open: nothing passes; after a pause one probe may go (half-open). A probe that fails doubles
the pause, one that succeeds closes it. Pauses are exact, without jitter: there is one probe for all sessions.
"""

from __future__ import annotations

from enum import StrEnum

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
    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.opened_at = 0.0
        self._failures = 0
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._probe_at = 0.0

    @property
    def open(self) -> bool:
        """Nothing may be asked now; the probe goes another way."""
        return self.state is not BreakerState.CLOSED

    @property
    def shaky(self) -> bool:
        """The last requests failed, or it is open."""
        return self.open or self._failures > 0

    @property
    def probe_at(self) -> float:
        """When the next probe may go, while it is open."""
        return self._probe_at

    def failed(self, code: str, now: float) -> bool:
        """A request failed with this code. True when that opened the breaker."""
        self._failures += WEIGHTS.get(code, 0)
        if self.open or self._failures < OPENS_AT:
            return False
        self.state = BreakerState.OPEN
        self.opened_at = now
        self._probe_at = now + (self._backoff.pause_s or self._backoff.failed())
        return True

    def worked(self) -> bool:
        """A request succeeded: the engine is there, and short pauses are fair again. True when that closed it."""
        self._backoff.worked()
        return self._close()

    def probing(self) -> None:
        """The probe goes out."""
        self.state = BreakerState.HALF_OPEN

    def probe_failed(self, now: float) -> None:
        self.state = BreakerState.OPEN
        self._probe_at = now + self._backoff.failed()

    def probe_worked(self) -> bool:
        """One success closes it. The pause stays as long as it is until a real request works too."""
        return self._close()

    def _close(self) -> bool:
        self._failures = 0
        closed, self.state = self.open, BreakerState.CLOSED
        return closed
