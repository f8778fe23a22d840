import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from joyvl_server.kit import ids
from joyvl_server.kit.ids import new_id, wall_of


def test_ids_are_url_safe_and_carry_their_time():
    before = time.time()
    made = new_id("cam")
    assert re.fullmatch(r"cam_[0-9a-hjkmnp-tv-z]{26}", made)
    assert before - 0.001 <= wall_of(made) <= time.time()


def test_ids_sort_in_the_order_of_their_making():
    made = [new_id("evt") for _ in range(20_000)]
    assert sorted(made) == made
    assert len(set(made)) == len(made)


def test_ids_sort_like_wall_time(monkeypatch):
    monkeypatch.setattr(ids, "_last", 0)
    walls = [1e9, 1e9 + 0.001, 1.7e9, 1.8e9, 4e9]
    made = []
    for wall in walls:
        monkeypatch.setattr(time, "time_ns", lambda wall=wall: round(wall * 1e9))
        made.append(new_id("evt"))
    assert sorted(made) == made
    assert [wall_of(i) for i in made] == pytest.approx(walls, abs=0.0015)


def test_a_clock_that_steps_back_does_not_reorder(monkeypatch):
    first = new_id("evt")
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second, third = new_id("evt"), new_id("evt")
    assert first < second < third


def test_threads_never_share_an_id():
    with ThreadPoolExecutor(8) as pool:
        made = [i for batch in pool.map(lambda _: [new_id("x") for _ in range(500)], range(16)) for i in batch]
    assert len(set(made)) == 8000


@pytest.mark.parametrize("text", ["cam_1", "", "cam_" + "u" * 26, "cam_" + "i" * 26])
def test_what_is_no_id(text):
    with pytest.raises(ValueError, match=r"not an id|substring not found"):
        wall_of(text)
