"""Quiet hours, by the clock on the wall of one time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo

from joyvl_server.store.alerts.records import QuietHours

DAY = 24 * 60
WEEK = 7 * DAY
"""in minutes"""
MOST_WINDOWS = 16
"""that follow one another without a gap, before we stop adding them up: two weeks"""


def quiet_until(hours: Iterable[QuietHours], wall: float, zone: tzinfo) -> float | None:
    """When the quiet hours end in which `wall` lies (Unix seconds), None where it lies in none.

    Hours that touch are one. Where clocks change, a time that there is twice means the first of the two, one that there
    is not means the same moment as if clocks had not changed.
    """
    windows = tuple(hours)
    until = None
    for _ in range(MOST_WINDOWS):
        end = _end(windows, wall if until is None else until, zone)
        if end is None:
            break
        until = end
    return until


def always_quiet(hours: Iterable[QuietHours]) -> bool:
    """Whether they leave no minute of the week, as the clock on the wall shows it."""
    minutes = bytearray(WEEK)
    for window in hours:
        start, end = _minute(window.start), _minute(window.end)
        for day in window.days or range(7):
            begins = day * DAY + start
            ends = begins + ((end - start) % DAY or DAY)
            minutes[begins:ends] = bytes([1]) * (min(ends, WEEK) - begins)
            minutes[: max(0, ends - WEEK)] = bytes([1]) * max(0, ends - WEEK)
    return all(minutes)


def _minute(text: str) -> int:
    at = clock_time(text)
    return at.hour * 60 + at.minute


def _end(windows: tuple[QuietHours, ...], wall: float, zone: tzinfo) -> float | None:
    today = datetime.fromtimestamp(wall, zone).date()
    ends = []
    for hours in windows:
        for day in (today - timedelta(days=1), today):
            if hours.days and day.weekday() not in hours.days:
                continue
            start, end = clock_time(hours.start), clock_time(hours.end)
            ends_on = day if end > start else day + timedelta(days=1)
            if _moment(day, start, zone) <= wall < (ending := _moment(ends_on, end, zone)):
                ends.append(ending)
    return max(ends, default=None)


def clock_time(text: str) -> time:
    """`HH:MM`. Raises `ValueError`."""
    return datetime.strptime(text, "%H:%M").time()


def _moment(day: date, at: time, zone: tzinfo) -> float:
    return datetime.combine(day, at, zone).timestamp()
