from __future__ import annotations

from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.engines.motion.queue import DOUBT, KEEP_S, MOST, SightingQueue
from joyvl_server.engines.motion.sighting import Sighting


def sighting(key: str, kind: str = "enter", value: float = 0.9, t: float = 0.0) -> Sighting:
    return Sighting(kind, value, None, key, t)


def offered(queue: SightingQueue) -> list[str]:
    """Keys in the order in which a session that takes everything would hear them."""
    keys = []
    while (best := queue.best()) is not None:
        keys.append(best.key)
        queue.done(best.key)
    return keys


def test_a_change_comes_first_a_departure_last():
    queue = SightingQueue()
    queue.add([sighting("a", "leave"), sighting("b", "enter"), sighting("c", "changed")], 0.0)
    assert offered(queue) == ["c", "b", "a"]


def test_what_somebody_wants_comes_before_the_rest():
    queue = SightingQueue()
    queue.add([sighting("a", "changed"), sighting("b", "leave"), sighting("c", "enter", t=1.0)], 1.0)
    best = queue.best((WatchKind.ENTER,))
    assert best is not None
    assert best.key == "c"
    queue.done("c")
    rest = queue.best((WatchKind.ENTER,))
    assert rest is not None
    assert rest.key == "a"


def test_the_same_key_replaces_and_no_value_withdraws():
    queue = SightingQueue()
    queue.add([sighting("a", value=0.3)], 0.0)
    queue.add([sighting("a", value=0.8, t=1.0)], 1.0)
    best = queue.best()
    assert best is not None
    assert best.value == 0.8
    queue.add([sighting("a", value=0.0, t=1.0)], 1.0)
    assert queue.best() is None


def test_what_is_hardly_likely_is_not_offered():
    queue = SightingQueue()
    queue.add([sighting("a", value=DOUBT - 0.01)], 0.0)
    assert queue.best() is None


def test_old_news_is_dropped():
    queue = SightingQueue()
    queue.add([sighting("a")], 0.0)
    queue.add([], KEEP_S)
    assert queue.best() is not None
    queue.add([], KEEP_S + 0.1)
    assert queue.best() is None


def test_what_was_declined_waits_behind_the_others():
    queue = SightingQueue()
    queue.add([sighting("a", "changed"), sighting("b")], 0.0)
    queue.declined("a")
    assert offered(queue) == ["b", "a"]


def test_it_is_bounded_and_keeps_the_surest():
    queue = SightingQueue()
    queue.add([sighting(str(n), value=0.5 + n / 100) for n in range(3 * MOST)], 0.0)
    assert len(offered(queue)) == MOST
