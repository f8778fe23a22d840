"""Quiet hours: over midnight, on some days, and where clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.notify.rules.quiet import always_quiet, quiet_until
from joyvl_server.store.alerts.records import QuietHours

ZURICH = ZoneInfo("Europe/Zurich")
NIGHT = (QuietHours("22:00", "07:00"),)


def wall(text: str, zone: ZoneInfo = ZURICH, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20 21:59", None),
        ("2026-11-20 22:00", "2026-11-21 07:00"),
        ("2026-11-21 06:59", "2026-11-21 07:00"),
        ("2026-11-21 07:00", None),
        ("2026-11-21 12:00", None),
    ],
)
def test_over_midnight(now: str, until: str | None):
    assert quiet_until(NIGHT, wall(now), ZURICH) == (None if until is None else wall(until))


def test_days_are_those_on_which_it_begins():
    friday_night = (QuietHours("22:00", "07:00", (4,)),)
    assert quiet_until(friday_night, wall("2026-11-20 23:00"), ZURICH) is not None  # Friday
    assert quiet_until(friday_night, wall("2026-11-21 03:00"), ZURICH) is not None
    assert quiet_until(friday_night, wall("2026-11-21 23:00"), ZURICH) is None


def test_hours_that_touch_are_one():
    hours = (QuietHours("20:00", "22:00"), QuietHours("22:00", "23:30"), QuietHours("23:00", "01:00"))
    assert quiet_until(hours, wall("2026-11-20 20:30"), ZURICH) == wall("2026-11-21 01:00")


def test_all_day():
    assert quiet_until((QuietHours("00:00", "00:00"),), wall("2026-11-20 12:00"), ZURICH) is not None


@pytest.mark.parametrize(
    ("hours", "always"),
    [
        ((), False),
        ((QuietHours("10:00", "10:00"),), True),
        ((QuietHours("10:00", "10:00", (0, 1, 2, 3, 4, 5)),), False),
        ((QuietHours("10:00", "09:59"),), False),
        ((QuietHours("22:00", "07:00"), QuietHours("07:00", "22:00")), True),
        ((QuietHours("22:00", "07:00"), QuietHours("07:00", "22:00", (0, 1, 2, 3, 4, 6))), False),
        ((QuietHours("23:00", "00:30", (6,)), QuietHours("00:00", "23:30")), False),
        ((QuietHours("23:00", "00:30"), QuietHours("00:00", "23:30")), True),
    ],
)
def test_quiet_hours_that_never_end(hours: tuple[QuietHours, ...], always: bool):
    assert always_quiet(hours) is always


def test_clocks_go_forward():
    """On 29 March 2026 there is no 02:30 in Zurich."""
    assert quiet_until(NIGHT, wall("2026-03-29 01:59"), ZURICH) == wall("2026-03-29 07:00")
    hours = (QuietHours("01:00", "02:30"),)
    assert quiet_until(hours, wall("2026-03-29 01:30"), ZURICH) == wall("2026-03-29 03:30")
    assert quiet_until((QuietHours("02:30", "04:00"),), wall("2026-03-29 03:45"), ZURICH) == wall("2026-03-29 04:00")


def test_clocks_go_back():
    """On 25 October 2026 there is 02:30 twice: the night is an hour longer."""
    began, ends = wall("2026-10-24 22:00"), quiet_until(NIGHT, wall("2026-10-25 02:30", fold=1), ZURICH)
    assert ends == wall("2026-10-25 07:00") == began + 10 * 3600


@given(
    st.integers(1_700_000_000, 1_900_000_000),
    st.tuples(st.integers(0, 23), st.integers(0, 59)),
    st.tuples(st.integers(0, 23), st.integers(0, 59)),
    st.sampled_from(["Europe/Zurich", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_any_hours_in_any_zone(now: int, begins: tuple[int, int], ends: tuple[int, int], name: str):
    """It is quiet just when the clock says so (but where clocks change), and the end is in the next day or two."""
    zone = ZoneInfo(name)
    hours = QuietHours(f"{begins[0]:02}:{begins[1]:02}", f"{ends[0]:02}:{ends[1]:02}")
    until = quiet_until((hours,), now, zone)
    if until is not None and begins != ends:
        assert now < until
        assert until == quiet_until((hours,), until - 1, zone)
    local = datetime.fromtimestamp(now, zone)
    near = [datetime.fromtimestamp(now + hour * 3600, zone).utcoffset() for hour in (-26, 0, 26)]
    if near == [near[0]] * 3 and begins != ends:
        at = (local.hour, local.minute)
        inside = begins <= at < ends if begins < ends else at >= begins or at < ends
        assert (until is not None) == inside
        if until is not None:
            assert until - now <= timedelta(days=1).total_seconds()
