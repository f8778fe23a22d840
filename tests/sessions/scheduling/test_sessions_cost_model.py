from __future__ import annotations

import pytest

from joyvl_server.sessions.scheduling.cost_model import CostModel


def served(
    cost: CostModel, count: int, seconds: float, *, beside: float = 1.0, full: bool = True, every: float = 1.0
) -> None:
    for n in range(count):
        cost.waited(n * every, late=False)
        cost.looked(n * every, full, seconds, beside)


def test_what_a_look_costs_is_learnt():
    cost = CostModel(1)
    assert cost.alone(True) is None
    served(cost, 30, 0.2)
    served(cost, 30, 0.08, full=False)
    assert cost.alone(True) == pytest.approx(0.2)
    assert cost.alone(False) == pytest.approx(0.08)
    served(cost, 60, 0.3)
    assert cost.alone(True) == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize(("image_tokens", "share"), [(0, 0.59), (254, 0.59), (86, 0.93), (64, 1.0), (1026, 0.22)])
def test_what_a_glance_costs_is_guessed_from_its_picture_until_one_was_measured(image_tokens: int, share: float):
    cost = CostModel(1)
    assert cost.alone(False) is None
    cost.looked(0.0, True, 0.2, 1.0, image_tokens)
    assert cost.alone(False) == pytest.approx(0.2 * share, rel=0.02)
    cost.looked(1.0, False, 0.15, 1.0, image_tokens)
    assert cost.alone(False) == pytest.approx(0.15)


def test_the_price_for_newcomers_is_no_mood_of_the_moment():
    cost = CostModel(1)
    assert cost.price == 0.0
    served(cost, 10, 0.1, full=False)
    assert cost.price == pytest.approx(0.1)
    for n in range(10, 60):
        cost.looked(float(n), False, 0.1, 1.0)
    for n in range(60, 63):
        cost.looked(float(n), False, 0.04, 1.0)
    assert cost.work(False) < 0.08
    assert cost.price > 0.095
    for n in range(63, 200):
        cost.looked(float(n), False, 0.04, 1.0)
    assert cost.price == pytest.approx(0.04, rel=0.05)


def test_how_long_a_look_takes_beside_others():
    cost = CostModel(4)
    assert cost.takes(3) == 0.0
    served(cost, 60, 0.1)
    assert cost.takes(0) == pytest.approx(0.1, rel=0.01)
    assert cost.takes(3) == pytest.approx(0.4, rel=0.01)  # for now it believes that one waits for the other


def test_a_stall_is_no_price():
    cost = CostModel(1)
    served(cost, 20, 0.2)
    cost.looked(100.0, True, 30.0, 1.0)
    assert cost.alone(True) < 0.4


def test_load_is_the_time_that_is_wanted():
    cost = CostModel(1)
    served(cost, 40, 0.2, every=0.25)
    assert cost.load(9.75) == pytest.approx(0.8, abs=0.05)
    assert cost.load(100.0) == 0.0


def test_lost_turns_count_as_load_and_as_late():
    cost = CostModel(1)
    served(cost, 40, 0.2, every=0.25)
    for n in range(32):
        cost.lost(2.0 + n * 0.25)
    assert cost.load(9.75) == pytest.approx(1.6, abs=0.1)
    assert cost.late(9.75) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("slower", "load"), [(1.0, 0.2), (4.0, 0.8)])
def test_side_by_side_or_one_after_the_other_makes_the_load(slower: float, load: float):
    """Four a second of 0.2 s each: a quarter of an engine that does four at once in 0.2 s, all of one that shares."""
    cost = CostModel(4)
    served(cost, 10, 0.2, every=1.0)
    for n in range(200):
        now = 10 + n * 0.25
        cost.waited(now, late=False)
        cost.looked(now, True, 0.2 * slower, 4.0)
    assert cost.alone(True) == pytest.approx(0.2, rel=0.15)
    assert cost.load(59.75) == pytest.approx(load, rel=0.15)


def slice_of(cost: CostModel, planned: float, rate: float, *, held_up: float = 0.0) -> None:
    """One slice on an engine with this rate, as long as it was meant to be or not."""
    tokens = cost.tokens("warm", planned)
    cost.sliced("warm", tokens, tokens, planned, 0.05 + tokens / rate + held_up)


@pytest.mark.parametrize("rate", [100.0, 500.0, 2000.0, 10_000.0])
def test_slices_grow_or_shrink_to_their_length(rate: float):
    cost = CostModel(1)
    assert cost.tokens("warm", 0.3) == 300
    for _ in range(30):
        slice_of(cost, 0.3, rate)
    assert cost.tokens("warm", 0.3) == pytest.approx(0.25 * rate, rel=0.1)
    cost.slice_too_long("warm")
    assert cost.tokens("warm", 0.3) == pytest.approx(0.175 * rate, rel=0.1)
    assert cost.tokens("write", 0.3) == 10  # each kind by itself


def test_being_held_up_does_not_shrink_slices_to_nothing():
    cost = CostModel(1)
    for n in range(200):
        slice_of(cost, 0.6, 1000.0, held_up=0.25 if n % 3 else 0.0)
    assert cost.tokens("warm", 0.6) > 200


def test_a_slice_that_was_not_filled_says_nothing():
    cost = CostModel(1)
    for _ in range(20):
        cost.sliced("warm", 300, 10, 0.3, 0.08)
    assert cost.tokens("warm", 0.3) == 300
