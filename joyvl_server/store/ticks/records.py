"""One tick as a record, and many ticks of one session packed small.

A span of ticks is two blobs: what is kept for long (score, threshold, decision and when) and the details. Each is JSON
in columns, deflated: about 7 bytes a tick for the first, 11 for the second, and each carries a checksum.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

SCORE = 10_000
"""Scores, thresholds and changes are kept to four digits, times in hundredths of a millisecond."""
_WORDS = ("decision", "look", "skipped", "suppressed", "kind", "epoch")
"""Kept for long as they are; nearly free where neighbours are alike."""
_PARTS = ("change",)
_TIMES = ("frame_age_ms", "request_ms", "score_ms", "total_ms")
_RARE = ("query", "watches", "zone", "box", "text", "question", "detail", "attribution")


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One second of one session.

    `id`: microseconds since 1970 when it was decided, unique and growing in its session. `t` is stream seconds, `wall`
    the same moment in Unix seconds, both to the millisecond; times are milliseconds. `threshold` is what the
    score was compared with. `box` is (x0, y0, x1, y1), parts of the picture. `attribution`: what the engine took the
    remark to be about, each `{"watch_id", "query_id", "share"}`, the largest share first; None where it was not asked.
    `compact`: its details are not kept any more.
    """

    id: int
    session_id: str
    t: float
    wall: float
    decision: str
    look: str
    score: float | None = None
    threshold: float | None = None
    change: float | None = None
    skipped: str | None = None
    suppressed: str | None = None
    kind: str | None = None
    query: str | None = None
    epoch: int | None = None
    watches: tuple[str, ...] = ()
    frame_age_ms: float | None = None
    request_ms: float | None = None
    score_ms: float | None = None
    total_ms: float | None = None
    zone: str | None = None
    box: tuple[float, ...] | None = None
    text: str = ""
    question: str = ""
    detail: str = ""
    attribution: tuple[dict[str, Any], ...] | None = None
    compact: bool = False


def pack(ticks: Sequence[TickRecord]) -> tuple[bytes, bytes]:
    """(what is kept for long, the details) of at least one tick of one session, in the order of their ids."""
    first = ticks[0]
    since = [tick.id - first.id for tick in ticks]
    long = {
        "id": [first.id, *(later - earlier for earlier, later in pairwise(since))],
        "wall": [_scaled(tick.wall, 1000) - tick.id // 1000 for tick in ticks],
        # Stream time runs at the same pace as the clock, so their difference is small.
        "t": [_scaled(tick.t, 1000) - passed // 1000 for tick, passed in zip(ticks, since, strict=True)],
        "score": _column(_scaled(tick.score, SCORE) for tick in ticks),
        "threshold": _column(_scaled(tick.threshold, SCORE) for tick in ticks),
        **{name: _column(getattr(tick, name) for tick in ticks) for name in _WORDS},
    }
    details: dict[str, Any] = {
        name: _column(_scaled(getattr(tick, name), scale) for tick in ticks)
        for names, scale in ((_PARTS, SCORE), (_TIMES, 100))
        for name in names
    }
    for name in _RARE:
        if found := {str(n): value for n, tick in enumerate(ticks) if (value := getattr(tick, name))}:
            details[name] = found
    return _deflate(long), _deflate(details)


def unpack(session_id: str, long: bytes, details: bytes | None) -> list[TickRecord]:
    """The ticks of a span. Without `details` they are compact. Raises `ValueError` where a blob is damaged."""
    try:
        return _records(session_id, _inflate(long), None if details is None else _inflate(details))
    except (zlib.error, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"a span of ticks is damaged: {error!r}") from error


def _records(session_id: str, long: dict[str, Any], details: dict[str, Any] | None) -> list[TickRecord]:
    ids = list(accumulate(long["id"]))
    count = len(ids)
    values: dict[str, list[Any]] = {
        "wall": [(wall + id // 1000) / 1000 for id, wall in zip(ids, long["wall"], strict=True)],
        "t": [(t + (id - ids[0]) // 1000) / 1000 for id, t in zip(ids, long["t"], strict=True)],
        "score": _unscaled(long["score"], SCORE, count),
        "threshold": _unscaled(long["threshold"], SCORE, count),
        **{name: _values(long[name], count) for name in _WORDS},
    }
    rare: list[dict[str, Any]] = [{} for _ in ids]
    if details is not None:
        for names, scale in ((_PARTS, SCORE), (_TIMES, 100)):
            values |= {name: _unscaled(details[name], scale, count) for name in names}
        for name in _RARE:
            for n, value in details.get(name, {}).items():
                rare[int(n)][name] = tuple(value) if isinstance(value, list) else value
    return [
        TickRecord(
            id=id, session_id=session_id, compact=details is None, **dict(zip(values, row, strict=True)), **rare[n]
        )
        for n, (id, row) in enumerate(zip(ids, zip(*values.values(), strict=True), strict=True))
    ]


def _scaled(value: Any, scale: int) -> Any:
    return None if value is None else round(value * scale)


def _unscaled(column: Any, scale: int, count: int) -> list[float | None]:
    return [None if value is None else value / scale for value in _values(column, count)]


def _column(values: Iterable[Any]) -> Any:
    """A list, or the one value that all have."""
    found = list(values)
    return found[0] if all(value == found[0] for value in found) else found


def _values(column: Any, count: int) -> list[Any]:
    return column if isinstance(column, list) else [column] * count


def _deflate(columns: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode())


def _inflate(blob: bytes) -> dict[str, Any]:
    columns: dict[str, Any] = json.loads(zlib.decompress(blob))
    return columns
