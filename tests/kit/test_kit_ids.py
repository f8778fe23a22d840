import re
import time
from concurrent.futures import ThreadPoolExecutor

from joyvl_server.kit import ids
from joyvl_server.kit.ids import new_id


def test_ids_are_safe_in_urls_and_file_names():
    assert re.fullmatch(r"cam_[0-9a-hjkmnp-tv-z]{26}", new_id("cam"))


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


def test_a_clock_that_steps_back_does_not_reorder(monkeypatch):
    first = new_id("evt")
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second, third = new_id("evt"), new_id("evt")
    assert first < second < third


def test_threads_never_share_an_id():
    with ThreadPoolExecutor(8) as pool:
        made = [i for batch in pool.map(lambda _: [new_id("x") for _ in range(500)], range(16)) for i in batch]
    assert len(set(made)) == 8000
