from __future__ import annotations

import pytest

from joyvl_server.sessions.engines.breaker import LONGEST_PAUSE_S, Breaker, BreakerState


def opened(now: float = 100.0) -> Breaker:
    breaker = Breaker()
    assert [breaker.failed("engine_unavailable", now) for _ in range(5)] == [False] * 4 + [True]
    return breaker


def test_it_opens_after_failures_in_a_row():
    breaker = opened()
    assert breaker.open
    assert breaker.opened_at == 100.0
    assert breaker.probe_at == 101.0


def test_one_success_in_between_begins_the_count_anew():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed("engine_cut", 1.0)
    breaker.worked()
    assert [breaker.failed("engine_cut", 2.0) for _ in range(4)] == [False] * 4
    assert not breaker.open


def test_two_timeouts_are_enough():
    breaker = Breaker()
    assert not breaker.failed("engine_timeout", 1.0)
    assert breaker.failed("engine_timeout", 21.0)


@pytest.mark.parametrize("code", ["engine_context", "engine_misuse", "engine_unauthorized", "engine_refused"])
def test_what_is_about_the_request_never_opens_it(code: str):
    breaker = Breaker()
    assert not any(breaker.failed(code, float(n)) for n in range(100))


def test_pauses_double_until_the_longest_and_one_probe_closes_it():
    breaker, pauses = opened(), []
    for _ in range(8):
        breaker.probing()
        assert breaker.state is BreakerState.HALF_OPEN
        assert breaker.open  # nothing but the probe passes
        now = breaker.probe_at
        breaker.probe_failed(now)
        pauses.append(breaker.probe_at - now)
    assert pauses[:5] == [2, 4, 5, 5, 5]
    assert pauses[-1] == LONGEST_PAUSE_S
    breaker.probing()
    assert breaker.probe_worked()
    assert not breaker.open


def test_an_engine_whose_check_works_but_no_request_is_asked_less_and_less_often():
    breaker = opened()
    breaker.probe_failed(101.0)  # now the pause is 2 s
    breaker.probe_worked()
    for _ in range(5):
        breaker.failed("engine_unavailable", 200.0)
    assert breaker.probe_at == 202.0
    breaker.probe_worked()
    breaker.worked()  # a real request: short pauses again
    for _ in range(5):
        breaker.failed("engine_unavailable", 300.0)
    assert breaker.probe_at == 301.0


def test_failures_while_it_is_open_change_nothing():
    breaker = opened()
    assert not breaker.failed("engine_timeout", 500.0)
    assert breaker.opened_at == 100.0
    assert breaker.worked()  # one that was on its way all the time
    assert not breaker.open
