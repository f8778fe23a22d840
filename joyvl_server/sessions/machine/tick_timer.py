"""How long the steps of one session take."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of one tick.

    `frame_age`: capture to due, 0 where a tick that was late got a newer picture; `request`: due to the request;
    `score`: request to score; `total`: capture to decision.
    """

    frame_age_ms: float | None = None
    request_ms: float | None = None
    score_ms: float | None = None
    total_ms: float | None = None


class TickTimer:
    """Takes the times of the step in flight and keeps the newest totals for the percentiles."""

    def __init__(self, clock: Clock, metrics: Metrics, kept: int = 300) -> None:
        self._clock = clock
        self._metrics = metrics
        self._totals: deque[float] = deque(maxlen=kept)
        self._due = 0.0
        self._age_s = 0.0
        self._asked = 0.0
        self._now = Timings()

    def due(self, due: float, age_s: float) -> None:
        """A tick begins: it was due at `due` (monotonic), and its frame is `age_s` old now."""
        self._due, self._age_s = due, age_s - (self._clock.monotonic() - due)
        age = max(0.0, self._age_s)
        self._now = Timings(frame_age_ms=age * 1000)
        self._metrics.frame_age.observe(age)

    def asked(self) -> None:
        self._asked = self._clock.monotonic()
        delay = max(0.0, self._asked - self._due)
        self._now = replace(self._now, request_ms=delay * 1000)
        self._metrics.request_delay.observe(delay)

    def scored(self) -> None:
        self._now = replace(self._now, score_ms=(self._clock.monotonic() - self._asked) * 1000)

    def decided(self) -> Timings:
        total = max(0.0, self._age_s + self._clock.monotonic() - self._due)
        self._metrics.decision_latency.observe(total)
        self._totals.append(total * 1000)
        return replace(self._now, total_ms=total * 1000)

    def summary(self) -> dict[str, float | int | None]:
        """`p50_ms` and `p95_ms` of capture to decision by nearest rank (None while there is nothing), `count`."""
        ordered = sorted(self._totals)
        return {"p50_ms": _rank(ordered, 0.50), "p95_ms": _rank(ordered, 0.95), "count": len(ordered)}


def _rank(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
