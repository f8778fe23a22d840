"""The one back-off: how pauses grow, what is free, and what a success does."""

from __future__ import annotations

from random import Random

import pytest

from joyvl_server.kit.backoff import Backoff


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(1.0, 5.0)
    assert [backoff.failed() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert (backoff.failures, backoff.pause_s) == (5, 5.0)


def test_a_success_starts_it_again():
    backoff = Backoff(1.0, 60.0)
    backoff.failed()
    backoff.failed()
    backoff.worked()
    assert (backoff.failures, backoff.pause_s) == (0, 0.0)
    assert backoff.failed() == 1.0


def test_free_failures_cost_no_pause():
    backoff = Backoff(0.5, 30.0)
    assert [backoff.failed(free=1) for _ in range(4)] == [0.0, 0.5, 1.0, 2.0]
    assert backoff.failed() == 8.0  # the fifth in a row, and none of them was free


def test_steps_come_first():
    backoff = Backoff(3.0, 3.0, steps=((1.0, 2), (2.0, 1)))
    assert [backoff.failed() for _ in range(5)] == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_another_factor():
    backoff = Backoff(1.0, 100.0, factor=3.0)
    assert [backoff.failed() for _ in range(4)] == [1.0, 3.0, 9.0, 27.0]


def test_failures_without_end_are_no_overflow():
    backoff = Backoff(1.0, 60.0)
    assert [backoff.failed() for _ in range(5_000)][-1] == 60.0


def test_jitter_differs_but_not_by_much():
    backoff = Backoff(1.0, 1.0, jitter=0.2, random=Random(7))
    pauses = [backoff.failed() for _ in range(5)]
    assert len(set(pauses)) == 5
    assert pauses == pytest.approx([1.0] * 5, rel=0.2)
