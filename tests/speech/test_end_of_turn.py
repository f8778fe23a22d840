"""The wait for the end of a turn stays within its bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.end_of_turn import TurnWait


def test_the_voice_makes_the_wait_shorter_or_longer():
    wait = TurnWait()
    assert [wait.seconds(p) for p in (1.0, 0.8, 0.5, 0.2, 0.0, None)] == pytest.approx([0.3, 0.3, 0.6, 1.2, 1.2, 0.6])


@given(st.floats(), st.floats())
def test_it_is_bounded_whatever_is_told_and_never_longer_where_the_end_is_surer(first, second):
    wait = TurnWait()
    for told in (first, second):
        assert 0.3 <= wait.seconds(told) <= 1.2
    if 0 <= first <= second <= 1 and not math.isnan(first + second):
        assert wait.seconds(first) >= wait.seconds(second)


@pytest.mark.parametrize("wrong", [{"least_s": 0}, {"least_s": 0.7}, {"most_s": 0.5}, {"sure_open": 0.9}])
def test_bounds_that_do_not_rise_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        TurnWait(**wrong)
