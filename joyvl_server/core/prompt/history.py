"""What was asked, said and found out, for the `[Q&A History]` of later chunks, and times as the model reads them."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum

from joyvl_server.core.prompt.wire_format import clean

MAX_ENTRIES = 64
MAX_TEXT = 400
_TAG = re.compile(r"<(\d{1,7}(?:\.\d+)?) seconds>")


class Entry(StrEnum):
    QUERY = "Query"
    RESPONSE = "Response"
    RESULT = "Result"


@dataclass(frozen=True, slots=True)
class _Line:
    t: float
    entry: Entry
    text: str


class History:
    """Queries, responses and results with their stream times; the oldest is forgotten first."""

    def __init__(self, size: int = MAX_ENTRIES) -> None:
        self._lines: deque[_Line] = deque(maxlen=size)

    def add(self, entry: Entry, t: float, text: str) -> None:
        self._lines.append(_Line(t, entry, clean(text, MAX_TEXT)))

    def render(self, *, before: float, origin: float) -> list[str]:
        """The entries before stream time `before`, oldest first; model time 0 is at stream time `origin`.

        `#1 [Query@12.0 seconds] …`, `[Response@15.0 seconds] …`; what lies before model time 0 is told in minutes.
        """
        lines = []
        queries = 0
        for line in sorted(self._lines, key=lambda line: line.t):
            if line.t >= before:
                continue
            number = ""
            if line.entry is Entry.QUERY:
                queries += 1
                number = f"#{queries} "
            lines.append(f"{number}[{line.entry}{_when(line.t - origin)}] {line.text}")
        return lines

    def forget(self, since: float, until: float) -> None:
        """What lies between these stream times."""
        self._lines = deque((line for line in self._lines if not since <= line.t < until), self._lines.maxlen)

    def shift(self, seconds: float) -> None:
        """Stream time jumped: what was stays as long ago as it is."""
        self._lines = deque((replace(line, t=line.t + seconds) for line in self._lines), self._lines.maxlen)


def _when(t: float) -> str:
    return f"@{moment(t)}" if t >= 0 else f" {moment(t)}"


def moment(t: float) -> str:
    """Model time `t` in words: `12.0 seconds`, or `3 minutes before` where it lies before model time 0."""
    if t >= 0:
        return f"{t:.1f} seconds"
    minutes = _minutes(t)
    return f"{minutes} minute{'' if minutes == 1 else 's'} before"


def span_tag(start: float, end: float) -> str:
    """`<0.0 seconds ~ 90.0 seconds>`, or `<12 to 3 minutes before>`."""
    if end >= 0:
        return f"<{moment(start)} ~ {moment(end)}>"
    first, last = _minutes(start), _minutes(end)
    return f"<{first} to {last} minutes before>" if first > last else f"<{moment(end)}>"


def retagged(text: str, shift: float) -> str:
    """`text` with `shift` seconds added to each of its time tags."""
    if not shift:
        return text
    return _TAG.sub(lambda tag: f"<{moment(float(tag[1]) + shift)}>", text)


def _minutes(t: float) -> int:
    return max(1, round(-t / 60))
