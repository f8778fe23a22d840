"""Times as the model reads them: seconds of its own time, and minutes for what lay before."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(\d{1,7}(?:\.\d+)?) seconds>")


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
