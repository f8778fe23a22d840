from __future__ import annotations

from joyvl_server.sessions.ticking.base import phase
from joyvl_server.sessions.ticking.ticker import Grid


def test_sessions_are_spread_over_the_interval():
    offsets = sorted(phase(n, 1.0) for n in range(32))
    gaps = [b - a for a, b in zip(offsets, offsets[1:] + [offsets[0] + 1.0], strict=True)]
    assert max(gaps) < 2.7 / 32  # golden-ratio steps: no gap is more than 2.62 times the even one
    assert all(0 <= offset < 1 for offset in offsets)


def test_a_grid_goes_on_from_second_to_second():
    grid = Grid(10.0, 1.0)
    assert grid.advance(10.2) == []
    assert grid.due == 11.0


def test_a_tick_within_its_second_is_late_but_not_missed():
    grid = Grid(10.0, 1.0)
    assert grid.advance(11.9) == []
    assert grid.due == 11.0


def test_whole_seconds_that_passed_are_missed_and_named():
    grid = Grid(10.0, 1.0)
    assert grid.advance(14.5) == [11.0, 12.0, 13.0]
    assert grid.due == 14.0
