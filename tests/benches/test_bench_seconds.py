"""From the requests of an engine to what became of each second."""

from __future__ import annotations

import pytest
from bench.simulation.replies import CHOOSE, SAY, SCORE, WARM
from bench.simulation.seconds import jain, seconds_of, times
from bench.simulation.server import Request
from bench.simulation.sources import name_of


def request(kind: str, began: float, ended: float, *moments: float) -> Request:
    pictures = tuple(name_of(0, t, False) for t in moments)
    return Request(kind, began, ended, tokens=100, cached=0, fresh=100, images=0, bytes=10, pictures=pictures)


def seconds(*requests: Request, count: int = 4):
    """Ticks are due at 100.5, 101.5 …; the source opened at 100."""
    return seconds_of(requests, opened=100.0, phase=0.5, count=count)


def test_a_second_is_decided_when_a_turn_with_its_picture_is_scored_in_time():
    found = seconds(
        request(SCORE, 100.5, 100.8, 0.46),
        request(SCORE, 101.5, 102.6, 1.5),
        request(SCORE, 103.5, 103.9, 3.5),
    )
    assert [second.decided for second in found] == [True, False, False, True]
    assert found[0].took == pytest.approx(0.3)
    assert found[2].scored is None


def test_a_second_during_a_reply_counts_from_the_replys_end():
    found = seconds(
        request(SCORE, 100.5, 100.8, 0.5),
        request(SAY, 100.8, 102.0, 0.5),
        request(SCORE, 102.5, 102.9, 1.46, 2.5),
        request(SCORE, 103.5, 103.9, 3.5),
    )
    assert all(second.decided for second in found)
    assert (found[1].free, found[1].took) == (102.0, pytest.approx(0.9))
    assert [second.spoke for second in found] == [True, True, False, False]
    late = seconds(
        request(SCORE, 100.5, 100.8, 0.5),
        request(SAY, 100.8, 102.0, 0.5),
        request(SCORE, 102.5, 103.1, 1.46, 2.5),
        request(CHOOSE, 103.5, 103.9, 3.5),
    )
    assert [second.decided for second in late] == [True, False, True, False]


def test_slices_beside_a_tick_are_seen():
    found = seconds(
        request(WARM, 100.2, 100.6),
        request(SCORE, 100.5, 100.9, 0.5),
        request(SCORE, 101.5, 101.9, 1.5),
        request(WARM, 102.0, 102.4),
        request(SCORE, 102.5, 102.9, 2.5),
        request(SCORE, 103.5, 103.9, 3.5),
    )
    assert [second.met_slice for second in found] == [True, False, False, False]


def test_percentiles_and_fairness():
    assert times([0.3, None, 0.1, 0.2]) == {"count": 3, "p50_s": 0.2, "p99_s": 0.3, "max_s": 0.3}
    assert times([])["max_s"] is None
    assert jain([5, 5, 5]) == 1.0
    assert jain([9, 0, 0]) == pytest.approx(1 / 3)
