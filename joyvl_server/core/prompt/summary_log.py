"""What is known of the video that is no longer in the context: summaries under their times, and single events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.prompt.history import moment, retagged, span_tag
from joyvl_server.core.prompt.prefix import shorten
from joyvl_server.core.prompt.wire_format import clean, text_tokens

MAX_EVENTS = 256
MAX_SUMMARIES = 96
MAX_EVENT = 300
LONGEST_S = 60.0
"""of a stretch told in words, unless nothing happens in it"""
ONE_CHANGE_S = 2.5
"""changes no further apart are one"""
MAX_CHANGES = 4
"""told of one stretch"""


@dataclass(frozen=True, slots=True)
class Summary:
    """A stretch of video, `start` to `end` in stream seconds, and its text with times counted from `origin`.

    Without a text it is told by what was said in it and, where somebody looked, by when the picture changed: `changes`
    are (first, last) stream times. A block is an account of several summaries.
    """

    number: int
    start: float
    end: float
    origin: float = 0.0
    text: str | None = None
    block: bool = False
    changes: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class _Event:
    t: float
    text: str


class SummaryLog:
    """Oldest first. Where there are too many, the oldest that has no text is forgotten, then the oldest."""

    def __init__(self) -> None:
        self._summaries: list[Summary] = []
        self._events: deque[_Event] = deque(maxlen=MAX_EVENTS)
        self._count = 0
        self.changed = False
        """something came that may call for `oldest`; whoever looked sets it back"""

    def __len__(self) -> int:
        return len(self._summaries)

    @property
    def end(self) -> float | None:
        """The stream time up to which there are summaries."""
        return self._summaries[-1].end if self._summaries else None

    def event(self, t: float, text: str) -> None:
        """Something was said. Where two tell the same of one moment, the longer one is kept."""
        event = _Event(t, clean(text, MAX_EVENT))
        last = self._events[-1] if self._events else None
        if last is not None and last.t == t and (event.text in last.text or last.text in event.text):
            self._events.pop()
            event = max(last, event, key=lambda event: len(event.text))
        self._events.append(event)

    def add(self, start: float, end: float) -> int:
        """A summary that nobody has summed up yet; returns its number."""
        self._count += 1
        self._summaries.append(Summary(self._count, start, end))
        if len(self._summaries) > MAX_SUMMARIES:
            without_text = (summary for summary in self._summaries[:-1] if summary.text is None)
            self._summaries.remove(next(without_text, self._summaries[0]))
        self.changed = True
        return self._count

    def tell(self, start: float, end: float, *, changed: bool) -> None:
        """A moment whose picture the model will see no more, told in words. Quiet ones become one stretch."""
        last = self._summaries[-1] if self._summaries else None
        if last is None or last.changes is None or last.text is not None:
            self.add(start, end)
            changed = changed and last is not None  # there was nothing before that it could differ from
            self._summaries[-1] = replace(self._summaries[-1], changes=((end, end),) if changed else ())
            return
        changes = last.changes
        quiet = not changed and not self._events_in(start, end)
        if changed and changes and end - changes[-1][1] <= ONE_CHANGE_S:
            changes = (*changes[:-1], (changes[-1][0], end))
        elif changed:
            changes = (*changes, (end, end))
        calm = quiet and not changes and not self._events_in(last.start, last.end)
        if calm or (end - last.start <= LONGEST_S and len(changes) <= MAX_CHANGES):
            self._summaries[-1] = replace(last, end=end, changes=changes)
        else:
            self.add(start, end)
            self._summaries[-1] = replace(self._summaries[-1], changes=((end, end),) if changed else ())

    def write(self, numbers: Sequence[int], text: str, origin: float) -> Summary | None:
        """The text of one summary that has none, or one account of several, as it is kept; None where one is gone."""
        chosen = [summary for summary in self._summaries if summary.number in numbers]
        if len(chosen) < len(numbers) or (len(numbers) == 1 and chosen[0].text is not None):
            return None
        first = chosen[0]
        whole = replace(first, end=chosen[-1].end, origin=origin, text=text, block=len(numbers) > 1)
        kept = [summary for summary in self._summaries if summary.number not in numbers]
        self._summaries = sorted([*kept, whole], key=lambda summary: summary.number)
        self.changed = True
        return whole

    def has(self, numbers: Sequence[int]) -> bool:
        """Are all of these there?"""
        return {summary.number for summary in self._summaries}.issuperset(numbers)

    def shorten(self, numbers: Sequence[int], tokens: int) -> None:
        """One account of several without an engine: the start of each."""
        chosen = [summary for summary in self._summaries if summary.number in numbers]
        each = tokens // max(1, len(chosen))
        origin = chosen[0].origin if chosen else 0.0
        texts = [shorten(self.text(summary, origin, tokens), each) for summary in chosen]
        self.write(numbers, " ".join(text for text in texts if text), origin)

    def text(self, summary: Summary, origin: float, tokens: int) -> str:
        """What is known of it, with times of `origin`; of things said, the newest that fit `tokens`."""
        if summary.text is not None:
            return retagged(summary.text, summary.origin - origin)
        changes = _in_words(summary, origin)
        tokens -= text_tokens(changes)
        kept: list[str] = []
        for event in reversed(self._events_in(summary.start, summary.end)):
            line = f"<{moment(event.t - origin)}> {event.text}"
            tokens -= text_tokens(line) + 1
            if tokens < 0:
                break
            kept.append(line)
        if changes and not kept:
            kept = ["Nothing was said."]
        return " ".join([*reversed(kept), *([changes] if changes else [])])

    def told(self, tokens: int) -> list[Summary]:
        """Those of which something is known, oldest first, each with its text, with stream times. `tokens` bounds
        things said."""
        texts = ((summary, self.text(summary, 0.0, tokens)) for summary in self._summaries)
        return [replace(summary, origin=0.0, text=text) for summary, text in texts if text]

    def lines(self, origin: float, tokens: int, summaries: Iterable[Summary] | None = None) -> list[str]:
        """Those of which something is known, each under its times, oldest first. `tokens` bounds things said."""
        texts = [(summary, self.text(summary, origin, tokens)) for summary in summaries or self._summaries]
        return [f"{span_tag(p.start - origin, p.end - origin)} {text}" for p, text in texts if text]

    def oldest(self, available: int, tokens: int) -> list[Summary]:
        """Two or more that should become one, because all of them take more than three quarters of `available` tokens.

        They are the oldest of the single ones or of the blocks, whichever take more.
        """
        sizes = {p.number: text_tokens(self.text(p, p.origin, tokens)) for p in self._summaries}
        if sum(sizes.values()) <= available * 3 // 4:
            return []
        told = [summary for summary in self._summaries if sizes[summary.number]]
        groups = [[summary for summary in told if summary.block is block] for block in (True, False)]
        group = max(groups, key=lambda group: (len(group) > 1, sum(sizes[summary.number] for summary in group)))
        if len(group) < 2:
            group = told
        chosen: list[Summary] = []
        for summary in group:
            if len(chosen) > 1 and sum(sizes[p.number] for p in chosen) >= available // 4:
                break
            chosen.append(summary)
        return chosen if len(chosen) > 1 else []

    def forget(self, since: float, until: float) -> None:
        """What lies, even in part, between these stream times."""
        self._events = deque((event for event in self._events if not since <= event.t < until), MAX_EVENTS)
        self._summaries = [p for p in self._summaries if p.end < since or p.start >= until]
        self.changed = True

    def shift(self, seconds: float) -> None:
        """Stream time jumped: what was stays as long ago as it is."""
        self._events = deque((replace(event, t=event.t + seconds) for event in self._events), MAX_EVENTS)
        self._summaries = [
            replace(
                p,
                start=p.start + seconds,
                end=p.end + seconds,
                origin=p.origin + seconds,
                changes=p.changes and tuple((first + seconds, last + seconds) for first, last in p.changes),
            )
            for p in self._summaries
        ]

    def _events_in(self, start: float, end: float) -> list[_Event]:
        return [event for event in self._events if start <= event.t <= end]


def _in_words(summary: Summary, origin: float) -> str:
    """When the picture changed in it; empty where nobody looked."""
    if summary.changes is None:
        return ""
    times = [
        f"at <{moment(first - origin)}>"
        if first == last
        else f"from <{moment(first - origin)}> to <{moment(last - origin)}>"
        for first, last in summary.changes
    ]
    return f"The picture changed {', '.join(times)}." if times else "Little changed."
