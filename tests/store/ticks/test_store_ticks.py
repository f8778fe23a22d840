import asyncio
import random
import sqlite3

import pytest
from store_records import drained, session, tick

from joyvl_server.core.errors import NotFound
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.store import Store
from joyvl_server.store.ticks import spans
from joyvl_server.store.ticks import ticks as ticks_module
from joyvl_server.store.ticks.ticks import DAY_S, TickRetention, Ticks

START = 1_795_166_400
"""Unix seconds of the first tick here."""


@pytest.fixture
async def store(tmp_path):
    opened = await Store.open(tmp_path)
    yield opened
    await opened.aclose()


class Clock:
    """A wall clock that tests set."""

    def __init__(self):
        self.now = float(START)

    def wall(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def ticks_of(store, clock=None, **retention):
    return Ticks(store.ticks, store.main, TickRetention(**retention), clock or Clock())


def second(n, session_id="ses_1", **changes):
    """The tick of the n-th second."""
    wall = START + n
    return tick(session_id, id=wall * 1_000_000 + 150_000 + n % 997, t=float(n), wall=float(wall), **changes)


def pack_often(monkeypatch, seconds=10, span=7):
    monkeypatch.setattr(ticks_module, "PACK_S", float(seconds))
    monkeypatch.setattr(spans, "SPAN_TICKS", span)


FULL = {
    "decision": "delegate",
    "look": "glance",
    "score": 0.1235,
    "threshold": 0.55,
    "change": 0.25,
    "suppressed": "below",
    "kind": "enter",
    "query": "qry_1",
    "epoch": 3,
    "watches": ("wch_1", "wch_2"),
    "frame_age_ms": 31.25,
    "request_ms": 0.0,
    "score_ms": 140.52,
    "total_ms": 171.75,
    "zone": "door",
    "box": (0.1, 0.2, 0.3, 0.4),
    "text": "Jemand kommt – links.",
    "question": "Who is it?",
    "detail": "x",
    "attribution": (
        {"watch_id": "wch_1", "query_id": None, "share": 0.9},
        {"watch_id": None, "query_id": None, "share": 0.1},
    ),
}
LOST_WITH_AGE = {
    "change": None,
    "query": None,
    "watches": (),
    "frame_age_ms": None,
    "request_ms": None,
    "score_ms": None,
    "total_ms": None,
    "zone": None,
    "box": None,
    "text": "",
    "question": "",
    "detail": "",
    "attribution": None,
}


@pytest.mark.parametrize("packed", [False, True])
async def test_a_tick_comes_back_as_it_was(store, monkeypatch, packed):
    monkeypatch.setattr(ticks_module, "PACK_TICKS", 1 if packed else 1_000_000)
    monkeypatch.setattr(ticks_module, "PACK_S", 1e9 if packed else 1e12)
    ticks = ticks_of(store)
    made = [second(0), second(1, **FULL), second(2, score=None, look="skip", skipped="still")]
    for one in made:
        ticks.post(one)
    await drained(store.ticks)
    assert await ticks.list("ses_1") == made[::-1]


async def test_the_same_tick_twice_is_one(store):
    ticks = ticks_of(store)
    for _ in range(3):
        ticks.post(second(0))
        await drained(store.ticks)
    assert await ticks.list("ses_1") == [second(0)]
    assert ticks.dropped == 0


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, lambda s: True),
        ({"since": START + 11.0}, lambda s: s >= START + 11),
        ({"until": START + 11.0}, lambda s: s < START + 11),
        ({"since": START + 11.0, "until": START + 90.0}, lambda s: START + 11 <= s < START + 90),
        ({"since": 2e9}, lambda s: False),
    ],
)
@pytest.mark.parametrize("shuffled", [False, True])
async def test_pages_of_one_session_newest_first(store, monkeypatch, filters, wanted, limit, shuffled):
    """100 seconds of two sessions, some packed and some not, in order and in none."""
    pack_often(monkeypatch)
    ticks, made = ticks_of(store), [second(n, f"ses_{n % 2}", score=n / 100) for n in range(100)]
    order = random.Random(1).sample(range(100), 100) if shuffled else range(100)
    for number, n in enumerate(order):
        ticks.post(made[n])
        if number % 20 == 19:
            await drained(store.ticks)
    seen, before = [], None
    while page := await ticks.list("ses_1", **filters, limit=limit, before=before):
        assert len(page) <= limit
        seen += page
        before = page[-1].id
    assert seen == [t for t in reversed(made) if t.session_id == "ses_1" and wanted(t.wall)]


async def test_a_session_without_ticks_is_empty_and_an_unknown_one_is_not_found(store):
    known = session()
    await Sessions(store.main).add(known)
    assert await ticks_of(store).list(known.id) == []
    with pytest.raises(NotFound, match="ses_none"):
        await ticks_of(store).list("ses_none")


async def test_ticks_are_there_after_a_restart(tmp_path):
    store = await Store.open(tmp_path)
    for n in range(3):
        ticks_of(store).post(second(n))
    await store.aclose()  # without waiting for the writer
    store = await Store.open(tmp_path)
    assert await ticks_of(store).list("ses_1") == [second(n) for n in (2, 1, 0)]
    await store.aclose()


async def test_what_comes_while_a_commit_is_under_way_is_kept_when_the_store_closes(tmp_path):
    store = await Store.open(tmp_path)
    ticks, real = ticks_of(store), ticks_module.insert_fresh
    ticks_module.insert_fresh = lambda connection, some: (real(connection, some), ticks.post(second(len(some))))[0]
    try:
        ticks.post(second(0))
        closing = asyncio.ensure_future(store.ticks.aclose())
        await asyncio.sleep(0)
        ticks_module.insert_fresh, patched = real, ticks_module.insert_fresh
        ticks_module.insert_fresh = patched
        await asyncio.sleep(0.05)
        ticks_module.insert_fresh = real
        await closing
    finally:
        ticks_module.insert_fresh = real
    await store.aclose()
    store = await Store.open(tmp_path)
    assert len(await ticks_of(store).list("ses_1")) >= 2
    await store.aclose()


async def test_details_go_before_scores_and_both_with_age(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=600, span=600)
    ticks = ticks_of(store, clock, scores_s=7 * DAY_S, details_s=DAY_S)
    hours = 24 * 9
    for hour in range(hours):
        clock.now = float(START + hour * 3600)
        for n in range(2):
            ticks.post(second(hour * 3600 + n, score=0.25, threshold=0.5, text="Someone comes in.", kind="enter"))
        await drained(store.ticks)
    kept = await ticks.list("ses_1", limit=1000)
    age = [(clock.now - t.wall) / 3600 for t in kept]
    whole = [t for t in kept if not t.compact]
    # At least as long as promised, and not much longer.
    assert 24 * 7 <= max(age) <= 24 * 7 + 2
    assert 24 <= max(a for a, t in zip(age, kept, strict=True) if not t.compact) <= 26
    assert all(t.text == "Someone comes in." for t in whole)
    old = [t for t in kept if t.compact]
    assert {(t.score, t.threshold, t.kind, t.text) for t in old} == {(0.25, 0.5, "enter", "")}
    assert len(kept) == 2 * len({int(a) for a in age})


async def test_what_is_left_of_an_old_tick(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=1)
    ticks = ticks_of(store, clock, details_s=100.0)
    ticks.post(second(0, **FULL))
    await drained(store.ticks)
    clock.now += 200
    ticks.post(second(200, **FULL))
    await drained(store.ticks)
    assert await ticks.list("ses_1") == [
        second(200, **FULL),
        second(0, **{**FULL, **LOST_WITH_AGE, "compact": True}),
    ]


async def test_beyond_the_size_the_oldest_details_go_first_then_the_oldest_ticks(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=30, span=30)
    monkeypatch.setattr(spans, "TRIM_BATCH", 2)
    ticks = ticks_of(store, clock, max_bytes=100_000)
    noise = random.Random(1)
    sizes, rows = [], []
    count = "SELECT (SELECT count(*) FROM details), (SELECT count(*) FROM spans)"
    for minute in range(300):
        for n in range(30):
            ticks.post(second(minute * 30 + n, score=noise.random(), text=noise.randbytes(40).hex()))
        await drained(store.ticks)
        rows.append(await store.ticks.read(lambda c: tuple(c.execute(count).fetchone())))
        sizes.append(await store.ticks.read(spans.used_bytes))
    assert max(sizes) < 140_000
    thinned = next(n for n, (details, spans) in enumerate(rows) if details < spans)
    fewer = next(n for n in range(1, 300) if rows[n][1] < rows[n - 1][1])
    assert 20 < thinned < fewer - 20
    assert rows[fewer][0] <= 4  # while there were details to delete, no score went
    kept = await ticks.list("ses_1", limit=1000)
    assert kept[0].wall == float(START + 300 * 30 - 1)
    assert not kept[0].compact


async def test_nothing_is_kept_of_a_session_whose_last_tick_went(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=1)
    ticks = ticks_of(store, clock, scores_s=1000.0)
    ticks.post(second(0, "ses_gone"))
    await drained(store.ticks)
    clock.now += 5000
    ticks.post(second(5000, "ses_here"))
    await drained(store.ticks)
    names = await store.ticks.read(lambda c: [r[0] for r in c.execute("SELECT session_id FROM tick_sessions")])
    assert names == ["ses_here"]


async def test_old_ticks_go_at_the_start_also_where_no_tick_comes(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=1)
    ticks_of(store, clock).post(second(0))
    await drained(store.ticks)
    clock.now += 10 * DAY_S
    ticks_of(store, clock).tidy()
    await drained(store.ticks)
    with pytest.raises(NotFound):
        await ticks_of(store).list("ses_1")


async def test_a_damaged_span_costs_only_itself(store, monkeypatch, clock):
    pack_often(monkeypatch, seconds=1)
    ticks = ticks_of(store, clock)
    for n in range(0, 30, 10):
        ticks.post(second(n))
        await drained(store.ticks)
    await store.ticks.write(lambda c: c.execute("UPDATE spans SET scores = x'00ff' WHERE seq = 2") and None)
    assert [t.t for t in await ticks.list("ses_1")] == [20.0, 0.0]


async def test_more_than_can_wait_is_dropped_and_counted(store, monkeypatch):
    monkeypatch.setattr(ticks_module, "MAX_WAITING", 10)
    ticks = ticks_of(store)
    for n in range(25):
        ticks.post(second(n))
    assert ticks.dropped == 15
    await drained(store.ticks)
    assert len(await ticks.list("ses_1")) == 10
    ticks.post(second(30))
    await drained(store.ticks)
    assert (await ticks.list("ses_1"))[0] == second(30)


async def test_a_tick_is_small_on_the_disk(tmp_path):
    """What the settings promise: about 12 bytes of score, and about as many of details, a tick."""
    store = await Store.open(tmp_path)
    clock, noise = Clock(), random.Random(1)
    ticks = ticks_of(store, clock)
    for n in range(3 * 600):
        clock.now = float(START + n)
        for s in range(8):
            jitter = noise.randrange(20_000)
            ticks.post(
                second(
                    n,
                    f"ses_{s:026d}",
                    score=round(noise.random() ** 3, 4),
                    threshold=0.5,
                    change=round(noise.random() / 3, 4),
                    frame_age_ms=round(noise.random() * 60, 2),
                    request_ms=round(noise.random() * 2, 2),
                    score_ms=round(100 + noise.random() * 30, 2),
                    total_ms=round(150 + jitter / 1000, 2),
                )
            )
        if n % 5 == 4:
            await drained(store.ticks)
    count = 3 * 600 * 8
    await store.ticks.write(lambda c: spans.pack_fresh(c, spans.DamageLog()))
    used = await store.ticks.read(
        lambda c: [
            c.execute(f"SELECT sum(length({x})) FROM {y}").fetchone()[0]
            for x, y in (("scores", "spans"), ("data", "details"))
        ]
    )
    whole = await store.ticks.read(spans.used_bytes)
    await store.aclose()
    assert used[0] / count < 10
    assert used[1] / count < 14
    assert whole / count < 35


async def test_pages_come_from_the_index_without_sorting(store):
    plan = await store.ticks.read(
        lambda c: [r["detail"] for r in c.execute(f"EXPLAIN QUERY PLAN {spans.SPANS}", (1, 1, 9))]
    )
    assert plan[0].startswith("SEARCH s USING INDEX spans_session (session=? AND last>?)")
    assert not any("TEMP B-TREE" in line for line in plan)


def test_a_file_of_ticks_opens_with_plain_sqlite(tmp_path):
    """For people who look themselves."""
    asyncio.run(_one_tick(tmp_path))
    connection = sqlite3.connect(tmp_path / "ticks.db")
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


async def _one_tick(folder):
    store = await Store.open(folder)
    ticks_of(store).post(second(0))
    await store.aclose()
