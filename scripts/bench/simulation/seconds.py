"""From what a simulated engine saw to the figures of a table: which seconds were decided, how fast, at what cost."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.simulation.replies import CHOOSE, SAY, SCORE, SLICES
from bench.simulation.server import Request
from bench.simulation.sources import moment_of

IN_TIME_S = 1.0
EARLY_S = 0.06
"""a picture may be taken this much before its tick is due"""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a session; times are monotonic. `free` is `due`, or the end of the reply under way then."""

    due: float
    scored: float | None
    """when a turn with a picture of this second was scored first"""
    free: float
    met_slice: bool = False
    spoke: bool = False
    """it was scored with a question or a reply in flight, or led to one"""

    @property
    def decided(self) -> bool:
        return self.scored is not None and self.scored <= self.free + IN_TIME_S + 1e-6

    @property
    def took(self) -> float | None:
        return None if self.scored is None else max(0.0, self.scored - self.free)


def seconds_of(requests: Sequence[Request], *, opened: float, phase: float, count: int) -> list[Second]:
    """What became of the first `count` seconds of one session, from its requests, oldest first."""
    scores = [request for request in requests if request.kind == SCORE]
    seen: dict[int, float] = {}
    for request in scores:
        for name in request.pictures:
            number = int((moment_of(name)[1] - phase + EARLY_S) // 1.0)
            seen.setdefault(number, request.ended)
    replies = _replies(requests)
    slices = [(request.began, request.ended) for request in requests if request.kind in SLICES]
    result = []
    for number in range(count):
        due = opened + phase + number
        scored = seen.get(number)
        free = max([due, *(end for begin, end in replies if begin <= due < end)])
        until = due if scored is None else scored
        near = any(begin < until and due < end for begin, end in replies)
        met = any(begin < until and due < end for begin, end in _near(slices, due))
        result.append(Second(due, scored, free, met, near))
    return result


def _replies(requests: Sequence[Request]) -> list[tuple[float, float]]:
    """From the first request of a turn that spoke to the end of what was said; questions at its tail included."""
    found, begin, pictures = [], 0.0, None
    for request in sorted(requests, key=lambda request: request.began):
        if request.kind in SLICES:
            continue
        if request.pictures != pictures:
            begin, pictures = request.began, request.pictures
        if request.kind in (SAY, CHOOSE):
            found.append((begin, request.ended))
    return found


def _near(intervals: Sequence[tuple[float, float]], at: float) -> Sequence[tuple[float, float]]:
    """Those that begin within a few seconds of `at`; `intervals` in order of their ends."""
    index = bisect_left(intervals, at - 5.0, key=lambda interval: interval[1])
    return intervals[index : index + 64]


def times(values: Iterable[float | None]) -> dict[str, Any]:
    """Percentiles by nearest rank, in seconds; None where there are no values."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return {"count": 0, "p50_s": None, "p99_s": None, "max_s": None}
    return {
        "count": len(ordered),
        "p50_s": round(rank(ordered, 0.50), 3),
        "p99_s": round(rank(ordered, 0.99), 3),
        "max_s": round(ordered[-1], 3),
    }


def rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness: 1 where all get the same, 1/n where one gets all."""
    squares = sum(value * value for value in values)
    return 1.0 if not squares else sum(values) ** 2 / (len(values) * squares)
