from hypothesis import given
from hypothesis import strategies as st

from fakes.media.frames import make_frame
from joyvl_server.core.gaze.gaze import MAX_SECONDS, Backlog
from joyvl_server.core.prompt.turns import Second


def second(t: float) -> Second:
    return Second((make_frame(t),))


def backlog(*ts: float) -> Backlog:
    kept = Backlog()
    for t in ts:
        kept.keep(second(t))
    return kept


def times(kept: Backlog, t: float = 1000.0) -> list[float]:
    return [second.frames[0].t for second in kept.offer(t)]


def test_seconds_are_handed_over_once() -> None:
    kept = backlog(1, 2, 3)
    assert times(kept) == [1, 2, 3]
    kept.settled()
    kept.failed()
    assert times(kept) == []


def test_those_of_a_failed_turn_come_again_before_the_newer_ones() -> None:
    kept = backlog(1, 2)
    assert times(kept) == [1, 2]
    kept.keep(second(4))
    kept.failed()
    assert times(kept) == [1, 2, 4]
    kept.failed()
    assert times(kept) == [1, 2, 4]


def test_those_that_came_during_the_turn_stay_when_it_settles() -> None:
    kept = backlog(1, 2)
    times(kept)
    kept.keep(second(4))
    kept.settled()
    assert times(kept) == [4]


def test_of_too_many_every_other_one_goes_and_the_newest_stays() -> None:
    assert times(backlog(*range(9))) == [0, 2, 4, 6, 8]
    assert times(backlog(*range(12))) == [0, 2, 4, 6, 8, 9, 10, 11]
    kept = backlog(*range(8))
    times(kept)
    for t in range(10, 18):
        kept.keep(second(t))
    kept.failed()
    assert times(kept) == [1, 3, 5, 7, 11, 13, 15, 17]


def test_nothing_is_kept_out_of_order() -> None:
    assert times(backlog(5, 6, 2)) == [2]
    assert times(backlog(5, 5)) == [5]
    assert times(backlog(5, 6, 7), 7.0) == [5, 6]
    kept = backlog(5, 6)
    times(kept)
    kept.keep(second(1))
    kept.failed()
    assert times(kept) == [1]


@given(st.lists(st.tuples(st.sampled_from(["keep", "keep", "offer", "failed", "settled"]), st.integers(0, 40))))
def test_it_is_bounded_and_in_order_whatever_happens(calls) -> None:
    kept = Backlog()
    for name, t in calls:
        if name == "keep":
            kept.keep(second(t))
        elif name == "offer":
            offered = times(kept, t)
            assert len(offered) <= MAX_SECONDS
            assert offered == sorted(set(offered))
            assert all(one < t for one in offered)
        else:
            getattr(kept, name)()
    assert len(times(kept)) <= MAX_SECONDS
