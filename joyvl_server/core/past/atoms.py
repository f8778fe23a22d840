"""What words of time come to, one by one, before they are put together (`time_words.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum, auto

from joyvl_server.core.past.spans import Moment, Span

DAY = 1440
"""minutes"""


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, `last` left out. `weekday`: it was named by its day of the week, and may be meant a week earlier."""

    first: date
    last: date
    weekday: bool = False

    @classmethod
    def one(cls, day: date, *, weekday: bool = False) -> Days:
        return cls(day, day + timedelta(days=1), weekday)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a day, in minutes since its midnight; `end` may lie in the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time of day in minutes since midnight. `half`: it may be as many minutes after noon. `bare`: a mere number, a
    time only where a word before it says so. `width`: minutes before and after it that are meant too."""

    minute: int
    half: bool = False
    bare: bool = False
    width: int = 15


@dataclass(frozen=True, slots=True)
class DayPart:
    """`yesterday evening` in one word."""

    days: Days
    part: Part


@dataclass(frozen=True, slots=True)
class Always:
    """`ever`, `once`: no limit."""


@dataclass(frozen=True, slots=True)
class NoTime:
    """Words that look like a time and are none, or one that nobody can date."""

    text: str = ""


class Link(Enum):
    AT = auto()
    ABOUT = auto()
    BETWEEN = auto()
    FROM = auto()
    AND = auto()
    TO = auto()
    SINCE = auto()
    ONWARDS = auto()
    """of a day that was named, to its end"""
    UNTIL = auto()
    BEFORE = auto()
    AFTER = auto()
    AFTERWARDS = auto()
    """after what was named before it"""
    BEFOREHAND = auto()
    EVER_SINCE = auto()


Atom = Days | Part | TimeOfDay | DayPart | Span | Always | NoTime | Link
Make = Callable[[re.Match[str], Moment], Atom | None]


Rule = tuple[re.Pattern[str], Make]
Rules = tuple[Rule, ...]
"""what matches makes an atom, or none"""


@dataclass(frozen=True, slots=True)
class Found:
    """An atom and where it stands in the text."""

    atom: Atom
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Point:
    """A day, a part of it, a time of day: what stands together."""

    days: Days | None = None
    part: Part | None = None
    clock: TimeOfDay | None = None

    @property
    def empty(self) -> bool:
        return self.days is None and self.part is None and self.clock is None

    def filled(self, other: Point) -> Point:
        """With what only `other` says; a part of the day only where a time of day needs it."""
        days = self.days or other.days
        part = self.part or (other.part if self.clock is not None else None)
        return replace(self, days=days, part=part)


# Parts of the day, in minutes.
MORNING = Part(4 * 60, 12 * 60)
EARLY = Part(4 * 60, 9 * 60)
FORENOON = Part(8 * 60, 12 * 60)
SMALL_HOURS = Part(0, 6 * 60)
NOON = Part(11 * 60, 14 * 60)
AFTERNOON = Part(12 * 60, 18 * 60)
EVENING = Part(17 * 60, 24 * 60)
DUSK = Part(17 * 60, 20 * 60)
LATE = Part(20 * 60, 26 * 60)
NIGHT = Part(21 * 60, 30 * 60)
LONG_NIGHT = Part(18 * 60, 30 * 60)
"""`last night`: the evening too"""
BREAKFAST = Part(6 * 60, 10 * 60)
DINNER = Part(17 * 60, 21 * 60)


def of_today(part: Part, moment: Moment) -> DayPart:
    """`this morning`, `this evening`. Before four, the morning is the one that is to come, and all since midnight; any
    other part is of the day that has just ended."""
    days = Days.one(moment.today)
    if moment.local.hour >= 4:
        return DayPart(days, part)
    if part.start < 9 * 60:
        return DayPart(days, Part(0, part.end))
    return DayPart(Days.one(moment.today - timedelta(days=1)), part)


def weekday(number: int, moment: Moment, *, week: int | None = None) -> Days:
    """The newest such day (0: Monday) before today; with `week`, the one in that week (0: this one, 1: the last)."""
    today = moment.today
    if week is None:
        back = (today.weekday() - number) % 7 or 7
        return Days.one(today - timedelta(days=back), weekday=True)
    return Days.one(today - timedelta(days=today.weekday() - number + 7 * week))


def week(back: int, moment: Moment) -> Days:
    """A week from Monday on; 0 is this one."""
    monday = moment.today - timedelta(days=moment.today.weekday() + 7 * back)
    return Days(monday, monday + timedelta(days=7))


def weekend(back: int, moment: Moment) -> Days:
    """The weekend that has begun last, or `back` before it."""
    today = moment.today
    saturday = today - timedelta(days=(today.weekday() - 5) % 7 + 7 * back)
    return Days(saturday, saturday + timedelta(days=2))


def month(back: int, moment: Moment) -> Days:
    count = moment.today.year * 12 + moment.today.month - 1 - back
    return _month(count)


def named_month(number: int, moment: Moment, year: int | None = None) -> Days | None:
    """That month (1 to 12) of that year, or the newest that has begun; None where there is none."""
    if not 1 <= number <= 12 or (year is not None and not 1970 <= year <= 2200):
        return None
    if year is None:
        year = moment.today.year - (number > moment.today.month)
    return _month(year * 12 + number - 1)


def year_days(year: int) -> Days | None:
    return Days(date(year, 1, 1), date(year + 1, 1, 1)) if 1970 <= year <= 2200 else None


def date_of(day: int, month: int, moment: Moment, year: int | None = None) -> Days | None:
    """A date; without a year the newest that is not to come. None where there is no such day."""
    if year is not None and year < 100:
        year += 2000
    for candidate in (year,) if year is not None else range(moment.today.year, moment.today.year - 9, -1):
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year is not None or found <= moment.today:
            return Days.one(found) if 1970 <= found.year <= 2200 else None
    return None


def day_of_month(day: int, moment: Moment) -> Days | None:
    """`on the 3rd`: the newest such day that is not to come."""
    today = moment.today
    for back in range(4):
        first = _month(today.year * 12 + today.month - 1 - back)
        found = first.first + timedelta(days=day - 1)
        if found < first.last and found <= today and day >= 1:
            return Days.one(found)
    return None


def lately(amount: float, unit: str, moment: Moment) -> Span:
    """The last `amount` of `unit`s: m, h (by the stop watch), d, w, M, y (by the clock on the wall)."""
    return Span(_back(amount, unit, moment), moment.now)


def ago(amount: float, unit: str, moment: Moment) -> Span | Days:
    """That long ago, and a bit: a quarter of it for minutes and hours, the day, the days around it."""
    if unit in ("s", "m", "h"):
        seconds = amount * SECONDS[unit]
        width = max(300.0, seconds / 4)
        return Span(moment.now - seconds - width, min(moment.now, moment.now - seconds + width))
    day = moment.calendar.local(_back(amount, unit, moment)).date()
    around = timedelta(days={"d": 0, "w": 1, "M": 5, "y": 30}[unit])
    return Days(day - around, day + around + timedelta(days=1))


SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_IN_DAYS = {"d": 1, "w": 7, "M": 30, "y": 365}


def _back(amount: float, unit: str, moment: Moment) -> float:
    if unit in SECONDS:
        return moment.now - min(amount * SECONDS[unit], 1e9)
    days = min(amount * _IN_DAYS[unit], 365 * 50, (moment.today - date(1970, 1, 3)).days)
    return moment.calendar.unix(moment.local - timedelta(days=max(0.0, days)))


def _month(count: int) -> Days:
    first = date(count // 12, count % 12 + 1, 1)
    after = count + 1
    return Days(first, date(after // 12, after % 12 + 1, 1))
