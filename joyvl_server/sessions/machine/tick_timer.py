"""How long the steps of one session take, and each second with its times as it is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from joyvl_server.core.decisions import Share
from joyvl_server.core.effects import Decided
from joyvl_server.core.prompt.turns import Look
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.store.ticks.records import TickRecord

TOTALS_KEPT = 300


@dataclass(slots=True)
class TickTimes:
    """When a step went through its phases, monotonic. None: it did not, or has not yet."""

    look_began: float | None = None
    look_ended: float | None = None
    due: float | None = None
    began: float | None = None
    asked: float | None = None
    scored: float | None = None


class TickTracer(Protocol):
    """Takes the times of every tick that was decided. Must return at once."""

    def took(self, record: TickRecord, times: TickTimes) -> None: ...
    def close(self) -> None:
        """Send what waits. Blocks, for some seconds at most."""


class TickTimer:
    """Takes the times of the step in flight and keeps the newest totals for the percentiles.

    Times in a record are milliseconds: `frame_age_ms` from capture to due, 0 where a tick that was late got a newer
    picture; `request_ms` from due to the request; `score_ms` from the request to the score; `total_ms` from capture to
    the decision.
    """

    def __init__(self, session_id: str, clock: Clock, metrics: Metrics) -> None:
        self._session_id = session_id
        self._clock = clock
        self._metrics = metrics
        self._looked: tuple[float, float] | None = None
        self._times = TickTimes()
        self._totals: deque[float] = deque(maxlen=TOTALS_KEPT)
        self._due = 0.0
        self._age_s = 0.0
        self._asked = 0.0
        self._frame_age_ms: float | None = None
        self._request_ms: float | None = None
        self._score_ms: float | None = None

    def looked(self, began: float) -> None:
        """A picture has come that was asked for at `began` (monotonic)."""
        self._looked = (began, self._clock.monotonic())

    def due(self, due: float, age_s: float) -> None:
        """A tick begins: it was due at `due` (monotonic), and its frame is `age_s` old now."""
        self._due, self._age_s = due, age_s - (self._clock.monotonic() - due)
        if self._metrics.traces is not None:
            began, ended = self._looked or (None, None)
            self._times = TickTimes(began, ended, due, self._clock.monotonic())
        age = max(0.0, self._age_s)
        self._frame_age_ms, self._request_ms, self._score_ms = age * 1000, None, None
        self._metrics.frame_age.observe(age)

    def asked(self) -> None:
        self._asked = self._times.asked = self._clock.monotonic()
        delay = max(0.0, self._asked - self._due)
        self._request_ms = delay * 1000
        self._metrics.request_delay.observe(delay)

    def scored(self) -> None:
        self._times.scored = self._clock.monotonic()
        self._score_ms = (self._times.scored - self._asked) * 1000

    def record(self, decided: Decided, id: int, threshold: float) -> TickRecord:
        """The second as it is kept, and counted; `threshold` is the session's.

        One that was skipped, or about a sound, has no times: another may be in flight, and they are that one's.
        """
        self._count(decided)
        age_ms = request_ms = score_ms = total_ms = None
        if decided.skipped is None and decided.look is not Look.SKIP:
            total_ms = self._total_ms()
            age_ms, request_ms, score_ms = self._frame_age_ms, self._request_ms, self._score_ms
        box = decided.box
        record = TickRecord(
            id=id,
            session_id=self._session_id,
            t=round(decided.t, 3),
            wall=round(decided.wall, 3),
            decision=decided.decision.value,
            look=decided.look.value,
            score=decided.score,
            threshold=threshold if decided.threshold is None else decided.threshold,
            change=_rounded(decided.change, 4),
            skipped=decided.skipped and decided.skipped.value,
            suppressed=decided.suppressed and decided.suppressed.value,
            kind=decided.kind,
            query=decided.query,
            epoch=decided.epoch,
            watches=decided.watches,
            frame_age_ms=_rounded(age_ms, 2),
            request_ms=_rounded(request_ms, 2),
            score_ms=_rounded(score_ms, 2),
            total_ms=_rounded(total_ms, 2),
            zone=decided.zone,
            box=None if box is None else tuple(round(v, 4) for v in (box.x0, box.y0, box.x1, box.y1)),
            text=decided.text,
            question=decided.question,
            detail=decided.detail,
            attribution=tuple(_shown(share) for share in decided.shares) or None,
        )
        if total_ms is not None and self._metrics.traces is not None and self._times.began is not None:
            self._metrics.traces.took(record, self._times)
        return record

    def _count(self, decided: Decided) -> None:
        if decided.suppressed is not None:
            self._metrics.suppressed.labels(decided.suppressed.value).inc()
        if decided.skipped is None:
            self._metrics.decisions.labels(decided.decision.value).inc()
        else:
            self._metrics.skipped.labels(decided.skipped.value).inc()

    def _total_ms(self) -> float:
        total = max(0.0, self._age_s + self._clock.monotonic() - self._due)
        self._metrics.decision_latency.observe(total)
        self._totals.append(total * 1000)
        return total * 1000

    def summary(self) -> dict[str, float | int | None]:
        """`p50_ms` and `p95_ms` of capture to decision by nearest rank (None while there is nothing), `count`."""
        ordered = sorted(self._totals)
        return {"p50_ms": _rank(ordered, 0.50), "p95_ms": _rank(ordered, 0.95), "count": len(ordered)}


def _rank(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def _shown(share: Share) -> dict[str, Any]:
    return {"watch_id": share.watch, "query_id": share.query, "share": round(share.share, 4)}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
