"""What pictures cost is learnt from how long decisions take; how many a prompt may have follows from it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from joyvl_server.core.prompt.picture_limit import MANY, RETRY_AFTER, PictureCosts, PictureLimit

NONE = PictureLimit()


class Server:
    """A chunk at a server: it grows by a picture a turn, and begins again where the limit says so."""

    def __init__(self, fixed: float, picture: float, *, reuses: bool = False, noise: float = 0.0) -> None:
        self.costs = PictureCosts(1.0)
        self.fixed, self.picture, self.reuses, self.noise = fixed, picture, reuses, noise
        self.pictures = 0
        self.sent: list[int] = []
        self.took: list[float] = []
        self._random = random.Random(4)

    def turn(self, *, extra: float = 0.0, begins: bool = False) -> None:
        limit = self.costs.limit
        if begins or self.pictures == 0 or (limit.most is not None and self.pictures + 1 > limit.most):
            bound = min((n for n in (limit.most, limit.fresh) if n is not None), default=30)
            fresh, old = max(1, min(self.pictures + 1, bound)), 0
        else:
            fresh, old = 1, self.pictures
        self.pictures = fresh + old
        read = fresh if self.reuses else self.pictures
        seconds = (self.fixed + self.picture * read) * self._random.gauss(1.0, self.noise) + extra
        self.sent.append(self.pictures)
        self.took.append(seconds)
        self.costs.took(fresh, old, seconds)

    def turns(self, count: int, *, extra: Callable[[int], float] = lambda n: 0.0) -> Server:
        for number in range(count):
            self.turn(extra=extra(number))
        return self


def test_nothing_is_limited_before_anything_is_known() -> None:
    costs = PictureCosts(1.0)
    assert (costs.limit, costs.alone) == (NONE, None)
    costs.took(1, 0, 0.2)
    costs.took(1, 1, 0.2)
    assert costs.limit.most is None


@pytest.mark.parametrize(("picture", "most"), [(0.25, 2), (0.2, 3), (0.1, 6), (0.03, 20)])
def test_a_server_that_reads_all_again_gets_what_fits_nine_tenths_of_a_tick(picture: float, most: int) -> None:
    server = Server(0.3, picture).turns(120)
    assert max(server.sent[40:]) == most
    assert max(server.took[40:]) <= 0.9 + 1e-9
    assert server.costs.alone == pytest.approx(0.3 + picture)
    # As many as fit nearly all the time: now and then one fewer, to see what they cost.
    assert sum(n >= most - 1 for n in server.sent[40:]) >= 78


def test_it_takes_a_few_decisions_to_find_out() -> None:
    assert max(Server(0.3, 0.25).turns(20).sent) <= 4
    assert Server(0.3, 3.0).turns(20).sent == [1, 2, 3, *[1] * 17]


@pytest.mark.parametrize(("fixed", "picture"), [(0.3, 0.25), (0.5, 0.1), (0.001, 0.0)])
def test_a_server_that_keeps_pictures_is_left_alone(fixed: float, picture: float) -> None:
    server = Server(fixed, picture, reuses=True, noise=0.1).turns(300)
    assert server.sent == list(range(1, 301))


def test_where_it_keeps_them_a_chunk_begins_with_as_many_as_there_is_time_for() -> None:
    server = Server(0.3, 0.2, reuses=True).turns(50)
    server.turn(begins=True)
    assert server.took[-1] <= 0.9  # nobody knew yet which part of a decision is the picture
    server.turns(20)
    server.turn(begins=True)
    server.turns(1)
    server.turn(begins=True)
    server.turns(5)
    assert server.costs.limit.fresh == 3  # 0.3 s + 3 × 0.2 s
    assert server.costs.limit.most is None


def test_where_one_picture_takes_longer_than_a_tick_there_is_one() -> None:
    server = Server(0.3, 3.0, noise=0.05).turns(RETRY_AFTER)
    assert set(server.sent[5:]) == {1}
    assert server.costs.limit == PictureLimit(1, 1)


def test_now_and_then_two_are_tried_where_there_is_time_for_one() -> None:
    server = Server(0.3, 3.0).turns(RETRY_AFTER + 40)
    assert server.sent.count(2) == 2  # once while it learnt, once on purpose
    server.fixed, server.picture, server.reuses = 0.2, 0.7, True  # somebody set up its cache
    server.pictures = 1
    server.turns(2000)
    assert server.costs.limit.most is None
    assert server.sent[-1] > 100


def test_old_pictures_that_cost_little_compared_with_the_rest_are_kept() -> None:
    """1.5 s whatever it is sent: fewer pictures would not make it quicker."""
    server = Server(1.5, 0.01).turns(60)
    assert max(server.sent[20:]) > 30


def test_slow_decisions_now_and_then_change_nothing() -> None:
    server = Server(0.3, 0.1).turns(100, extra=lambda n: 8.0 if n in (0, 30, 61) else 0.0)
    assert set(server.sent[34:]) <= {5, 6}
    assert Server(0.3, 0.1, reuses=True).turns(100, extra=lambda n: 8.0 if n in (0, 30, 61) else 0.0).sent[-1] == 100


def test_a_server_that_becomes_slower_gets_fewer_pictures_within_a_few_decisions() -> None:
    server = Server(0.3, 0.05).turns(60)
    assert server.sent[-1] >= 11
    server.fixed = 0.6
    server.turns(20)
    assert max(server.sent[-10:]) <= 6
    server.picture = 0.2
    server.turns(120)
    assert max(server.sent[-10:]) <= 2


def test_a_server_that_becomes_faster_gets_more() -> None:
    server = Server(0.3, 1.0).turns(60)
    assert server.sent[-1] == 1
    server.picture = 0.05
    server.turns(200)
    assert min(server.sent[-10:]) >= 10


def test_a_server_that_begins_to_keep_pictures_is_found_out() -> None:
    server = Server(0.3, 0.15).turns(60)
    assert max(server.sent[-10:]) == 4
    server.reuses = True
    server.turns(300)
    assert server.sent[-1] > 100


def test_turns_of_several_pictures_are_counted_by_pictures() -> None:
    costs = PictureCosts(1.0)
    for number in range(12):
        costs.took(4, 4 * number, 0.2 + 0.02 * 4 * (number + 1))
    assert costs.limit.most is not None
    assert 33 <= costs.limit.most <= 37


def test_prices_hardly_worth_counting_limit_nothing() -> None:
    assert Server(0.3, 0.003).turns(200).sent[-1] == 200
    assert Server(0.3, 0.5 / MANY).turns(60).sent[-1] == 60
