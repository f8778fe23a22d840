"""What is indexed of an event, and the expression that finds it.

`marks` are short words for camera, session, type, watches, day and thirty days of an event: FTS5 intersects them with
the words, so that a rare camera among frequent words costs no more. Two ids may share a mark; a row is judged by its
own columns in the end.
"""

from __future__ import annotations

from zlib import crc32

from joyvl_server.store.timeline.records import EventFilter, EventRecord
from joyvl_server.store.words import match_expression, spaced

DAY_S = 86_400
MONTH_DAYS = 30
MAX_MARKS = 62
"""days, or months, that one expression names"""


def indexed(event: EventRecord) -> tuple[str, str]:
    """(words, marks) of an event."""
    names = event.data.get("watch_names") or ()
    texts = [event.text, event.data.get("question"), *(names if isinstance(names, list) else ())]
    words = spaced(" \n ".join(dict.fromkeys(text for text in texts if isinstance(text, str) and text)))
    day = int(event.wall // DAY_S)
    marks = [_mark("s", event.session_id), _type_mark(event.type), _number("d", day), _number("m", day // MONTH_DAYS)]
    if event.camera_id is not None:
        marks.append(_mark("c", event.camera_id))
    marks += [_mark("w", watch) for watch in event.watches]
    if event.kept:
        marks.append("kept")
    return words, " ".join(marks)


def expression(wanted: EventFilter, oldest: float, newest: float) -> str | None:
    """For `event_words MATCH`; None where nothing can match. `oldest` and `newest`: Unix seconds of all events."""
    words = match_expression(wanted.words or "")
    if words is None:
        return None
    parts = [f"words : ({words})"]
    for letter, id in (("s", wanted.session_id), ("c", wanted.camera_id), ("w", wanted.watch_id)):
        if id is not None:
            parts.append(f"marks : {_mark(letter, id)}")
    if wanted.cameras:
        parts.append(_any([_mark("c", camera_id) for camera_id in wanted.cameras]))
    if wanted.types:
        parts.append(_any([_type_mark(type) for type in dict.fromkeys(wanted.types)]))
    if wanted.kept:
        parts.append("marks : kept")
    if wanted.since is not None or wanted.until is not None:
        begin = oldest if wanted.since is None else max(oldest, wanted.since)
        end = newest if wanted.until is None else min(newest, wanted.until)
        if begin > end:
            return None
        parts += _days(int(begin // DAY_S), int(end // DAY_S))
    return " AND ".join(parts)


def _days(first: int, last: int) -> list[str]:
    if last - first < MAX_MARKS:
        return [_any([_number("d", day) for day in range(first, last + 1)])]
    first, last = first // MONTH_DAYS, last // MONTH_DAYS
    if last - first < MAX_MARKS:
        return [_any([_number("m", month) for month in range(first, last + 1)])]
    return []


def _any(marks: list[str]) -> str:
    return f"marks : ({' OR '.join(marks)})"


def _mark(letter: str, id: str) -> str:
    return f"{letter}{crc32(id.encode('utf-8', 'ignore')):08x}"


def _type_mark(type: str) -> str:
    return _mark("t", type)


def _number(letter: str, number: int) -> str:
    return f"{letter}{number}" if number >= 0 else f"{letter}n{-number}"
