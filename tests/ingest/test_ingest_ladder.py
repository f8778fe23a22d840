"""The pauses between tries: five of 1 s, five of 2 s, five of 5 s, then 30 s, each within a tenth."""

from random import Random

import pytest

from joyvl_server.ingest.ladder import JITTER, Ladder


class Middle(Random):
    def uniform(self, low: float, high: float) -> float:
        assert (low, high) == (1 - JITTER, 1 + JITTER)
        return 1.0


def test_the_rungs() -> None:
    ladder = Ladder(Middle())
    assert [ladder.next_s() for _ in range(17)] == [1.0] * 5 + [2.0] * 5 + [5.0] * 5 + [30.0] * 2
    assert ladder.attempts == 17


def test_a_success_starts_it_again() -> None:
    ladder = Ladder(Middle())
    for _ in range(12):
        ladder.next_s()
    ladder.reset()
    assert ladder.attempts == 0
    assert ladder.next_s() == 1.0


def test_pauses_differ_but_not_by_much() -> None:
    ladder = Ladder(Random(7))
    pauses = [ladder.next_s() for _ in range(5)]
    assert len(set(pauses)) == 5
    assert pauses == pytest.approx([1.0] * 5, rel=JITTER)
