"""Moments and stretches of time, and what tells local time: the core knows no zone by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol


class Calendar(Protocol):
    """The clock on the wall of one zone."""

    def local(self, unix: float) -> datetime:
        """What it shows at that moment; without a zone."""

    def unix(self, local: datetime) -> float:
        """The moment at which it shows `local`: with `fold` 0 the first one, with 1 the last one, where the clock is
        set back. A time that is left out counts on from the clock before."""


@dataclass(frozen=True, slots=True)
class Span:
    """Unix seconds, `end` left out. Empty where the clock left the time out."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in Unix seconds and as the clock on the wall shows it."""

    now: float
    calendar: Calendar

    @property
    def local(self) -> datetime:
        return self.calendar.local(self.now)

    @property
    def today(self) -> date:
        return self.local.date()

    def span(self, start: datetime, end: datetime) -> Span:
        """Of local times; where the clock is set back, all that both can mean."""
        first = self.calendar.unix(start.replace(fold=0))
        return Span(first, max(first, self.calendar.unix(end.replace(fold=1))))


def at_minute(day: date, minute: int) -> datetime:
    """`minute` since midnight, on the clock; 1440 and more are the next day."""
    return datetime.combine(day, time()) + timedelta(minutes=minute)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order; those that meet are one."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if kept and span.start <= kept[-1].end:
            kept[-1] = Span(kept[-1].start, max(kept[-1].end, span.end))
        else:
            kept.append(span)
    return tuple(kept)
