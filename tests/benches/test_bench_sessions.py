"""`joyvl bench sessions`: few levels, and short ones. How many it really holds is in the docs."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from bench.sessions import (
    COLUMNS,
    STALL_S,
    VARIANTS,
    Lengths,
    Seen,
    _calm_after,
    _level,
    _Measured,
    _row,
    bench_sessions,
)
from bench.simulation.seconds import Second
from bench.simulation.sources import drawn
from bench.simulation.virtual_time import run_virtual


@pytest.fixture(scope="module")
def result():
    return bench_sessions(None, quick=True)


def test_each_variant_says_how_many_it_holds(result):
    assert set(result["sessions_held"]) == {"full_252", "small_84", "adaptive", "eco"}
    assert all(held >= 1 for held in result["sessions_held"].values())
    assert result["sessions_held"]["small_84"] >= result["sessions_held"]["full_252"]
    assert all(key in row for row in result["rows"] for key, _ in COLUMNS)
    assert json.loads(json.dumps(result)) == result


def test_one_session_is_served_as_it_should_be(result):
    for row in result["rows"]:
        if row["offered"] == 1:
            assert row["held"]
            assert row["took_p99_s"] < 1.0
            assert row["fairness"] == 1.0
            assert sum(row["load_by_kind"].values()) == pytest.approx(row["load"], abs=0.01)
    costs = {row["variant"]: row["load_by_kind"]["score"] for row in result["rows"] if row["offered"] == 1}
    assert costs["small_84"] < costs["full_252"]
    assert costs["adaptive"] < costs["full_252"]


def test_a_stall_builds_no_queue(result):
    (stall,) = result["stalls"]
    assert stall["stall_s"] == STALL_S
    assert stall["waiting_most"] <= stall["sessions"]
    assert stall["requests_at_engine_most"] <= 2 * stall["sessions"]
    assert stall["recovered_after_s"] is not None
    assert stall["recovered_after_s"] < 30


@pytest.mark.parametrize(("late", "after"), [((), 0.0), ((101.0, 103.0), 4.0), ((101.0, 140.0), 2.0)])
def test_recovered_means_nothing_late_for_a_while(late, after):
    assert _calm_after(100.0, late, 160.0) == after
    assert _calm_after(100.0, [*range(101, 160)], 160.0) is None


@pytest.mark.slow
def test_far_too_many_are_refused_and_the_rest_share_alike():
    row = run_virtual(_level(VARIANTS[0], 24, drawn(), Lengths(10, 30)))
    assert row["refused"] > 0
    assert row["degradation_step"] != "none"
    assert row["waiting_most"] <= row["admitted"]
    assert row["fairness"] > 0.95


def second(due: float, scored: float | None) -> Second:
    return Second(due, scored, due)


def measured(*missed: int, looks: str = "full", count: int = 200) -> _Measured:
    return _Measured([second(n, None if n in missed else n + 0.3) for n in range(count)], Counter({looks: count}), 0)


@pytest.mark.parametrize(
    ("sessions", "steps", "held"),
    [
        ([measured(), measured(5, 7)], {"none": 1}, True),
        ([measured(), measured(5, 7, 9)], {"none": 1}, False),  # the worst session counts, not the mean
        ([measured(looks="glance")], {"glances": 1}, False),  # faithful means full looks
        ([], {"none": 1}, False),
    ],
)
def test_held_means_every_session_in_time_with_full_looks(sessions, steps, held):
    row = _row(VARIANTS[0], len(sessions), 0, sessions, Seen(Counter(steps)), {"score": 0.5})
    assert row["held"] is held
