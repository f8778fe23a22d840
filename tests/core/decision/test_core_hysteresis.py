import pytest

from joyvl_server.core.decision.repetition import Hysteresis


def hot(level: float = 0.5, margin: float = 0.1) -> Hysteresis:
    hysteresis = Hysteresis(margin, window_s=30.0)
    hysteresis.spoke(level, 10.0)
    return hysteresis


def test_a_fresh_session_holds_nothing() -> None:
    fresh = Hysteresis(0.1, window_s=30.0)
    fresh.see(0.0, 0.0)
    assert not fresh.holds(0.5, 0.5)


@pytest.mark.parametrize(("score", "held"), [(0.5, True), (0.59, True), (0.6, False), (1.0, False)])
def test_a_hot_session_asks_for_more(score, held) -> None:
    assert hot().holds(score, 0.5) is held


def test_nobody_can_ask_for_more_than_all() -> None:
    assert hot(0.95).holds(0.99, 0.95)
    assert not hot(0.95).holds(1.0, 0.95)


@pytest.mark.parametrize(
    ("level", "score", "cools"), [(0.5, 0.4, False), (0.5, 0.39, True), (0.1, 0.05, False), (0.1, 0.04, True)]
)
def test_a_score_well_below_makes_it_normal_again(level, score, cools) -> None:
    hysteresis = hot(level)
    hysteresis.see(score, 11.0)
    assert hysteresis.holds(level, level) is not cools


@pytest.mark.parametrize(("t", "cools"), [(10.0, False), (39.9, False), (40.0, True), (9.0, True)])
def test_it_does_not_last_and_does_not_survive_a_jump_of_time(t, cools) -> None:
    hysteresis = hot()
    hysteresis.see(0.5, t)
    assert hysteresis.holds(0.5, 0.5) is not cools


def test_other_thresholds_end_the_hysteresis() -> None:
    hysteresis = hot()
    hysteresis.reset()
    assert not hysteresis.holds(0.5, 0.5)


def test_a_picky_watch_is_not_held_back_by_a_remark_on_an_eager_one() -> None:
    assert not hot(0.2).holds(0.9, 0.9)
    assert hot(0.9).holds(0.95, 0.9)
    assert not hot(0.9).holds(0.85, 0.2)


def test_without_a_margin_nothing_is_held() -> None:
    assert not hot(margin=0.0).holds(0.5, 0.5)
