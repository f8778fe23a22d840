"""The pauses between tries: five of 1 s, five of 2 s, then 3 s; far longer ones after a refused password."""

from random import Random

import pytest

from joyvl_server.ingest.backoff import JITTER, SourceBackoff
from joyvl_server.ingest.source_errors import REACH_TIMEOUT_S

DAY_S = 86_400.0


class Middle(Random):
    def uniform(self, low: float, high: float) -> float:
        assert (low, high) == (1 - JITTER, 1 + JITTER)
        return 1.0


def test_the_steps() -> None:
    backoff = SourceBackoff(Middle())
    assert [backoff.failed() for _ in range(13)] == [1.0] * 5 + [2.0] * 5 + [3.0] * 3
    assert backoff.attempts == 13


@pytest.mark.parametrize("code", ["refused", "unreachable", "timeout", "not_found", "not_a_stream", "lost", "stalled"])
def test_however_long_it_is_away_tries_are_never_more_than_five_seconds_apart(code: str) -> None:
    backoff, away_s, longest = SourceBackoff(Random(3)), 0.0, 0.0
    while away_s < DAY_S / 4:
        between = backoff.failed(code) + REACH_TIMEOUT_S  # where nothing answers, a try takes that long
        away_s, longest = away_s + between, max(longest, between)
    assert 4.0 < longest <= 5.0


def test_a_refused_password_is_not_tried_until_the_camera_locks_us_out() -> None:
    backoff = SourceBackoff(Middle())
    pauses = [backoff.failed("unauthorized") for _ in range(7)]
    assert pauses == [30.0, 30.0, 60.0, 60.0, 300.0, 300.0, 300.0]


def test_a_password_that_is_refused_now_and_then_is_still_tried_slowly() -> None:
    backoff = SourceBackoff(Middle())
    codes = ["refused", "unauthorized", "refused", "unauthorized", "unauthorized"]
    assert [backoff.failed(code) for code in codes] == [1.0, 30.0, 1.0, 30.0, 60.0]


def test_a_success_starts_it_again() -> None:
    backoff = SourceBackoff(Middle())
    for _ in range(12):
        backoff.failed()
        backoff.failed("unauthorized")
    backoff.worked()
    assert backoff.attempts == 0
    assert backoff.failed() == 1.0
    assert backoff.failed("unauthorized") == 30.0


def test_pauses_differ_but_not_by_much() -> None:
    backoff = SourceBackoff(Random(7))
    pauses = [backoff.failed() for _ in range(5)]
    assert len(set(pauses)) == 5
    assert pauses == pytest.approx([1.0] * 5, rel=JITTER)
