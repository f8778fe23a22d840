"""What may be meant by a day, a part of it and a time of day that stand together."""

from __future__ import annotations

from datetime import date, timedelta

from joyvl_server.core.past.atoms import DAY, DayPart, Days, Found, Link, Part, Point, TimeOfDay

ABOUT_MINUTES = 30
MOST_DAYS = 40
"""of one stretch that are looked at one by one, for a part of each"""
BARE_AFTER = (
    Link.AT, Link.ABOUT, Link.BETWEEN, Link.FROM, Link.SINCE, Link.ONWARDS, Link.UNTIL, Link.BEFORE, Link.AFTER
)  # fmt: skip
"""a mere number after one of these is a time of day"""
AFTER_THEIRS = {Link.AFTERWARDS: Link.AFTER, Link.BEFOREHAND: Link.BEFORE, Link.EVER_SINCE: Link.SINCE}


def opens_stretch(items: list[Found], place: int) -> bool:
    """`8 to 10 am`: does a stretch between two times of day begin here?"""
    following = [item.atom for item in items[place : place + 3]]
    if len(following) < 3 or following[1] not in (Link.TO, Link.UNTIL):
        return False
    return isinstance(following[0], TimeOfDay) and isinstance(following[2], TimeOfDay) and not following[2].bare


def clashes(point: Point, atom: object) -> bool:
    """Does the point have such a thing already?"""
    if isinstance(atom, DayPart):
        return point.days is not None or point.part is not None
    if isinstance(atom, Days):
        return point.days is not None
    return (point.part if isinstance(atom, Part) else point.clock) is not None


def nearest_before(first: Point, last: Point) -> Point:
    """Of "between 3 and 4 p.m." the three is in the afternoon too: the nearest before the end."""
    clock, end = first.clock, last.clock
    if clock is None or end is None or not clock.half or end.half or first.part is not None:
        return first
    minute = min((clock.minute, clock.minute + 720), key=lambda minute: (end.minute - minute) % DAY or DAY)
    return Point(first.days, None, TimeOfDay(minute))


def wider(clock: TimeOfDay) -> TimeOfDay:
    return TimeOfDay(clock.minute, clock.half, width=ABOUT_MINUTES)


def minutes_meant(clock: TimeOfDay, part: Part | None) -> list[int]:
    """Minutes since midnight that a time of day may mean; with a part of the day, those in it, which may be in the
    next day."""
    minutes = [clock.minute, clock.minute + 720] if clock.half else [clock.minute]
    if part is None:
        return minutes
    fitting = [m + more for m in minutes for more in (0, DAY) if part.start <= m + more <= part.end]
    return fitting[:1] or minutes


def likely(minutes: list[int], part: Part | None) -> list[int]:
    """Of a day that was named: "at three" is the afternoon, "at eight" may be both."""
    if len(minutes) == 2 and minutes[0] < 7 * 60:
        return minutes[1:]
    return minutes


def each_day(days: Days) -> list[date]:
    count = min((days.last - days.first).days, MOST_DAYS)
    return [days.last - timedelta(days=count - number) for number in range(count)]


def days_from(day: date) -> list[date]:
    return [day, day + timedelta(days=1), day + timedelta(days=2)]
