import random

import pytest
from store_records import drained, session, tick

from joyvl_server.core.errors import NotFound
from joyvl_server.store import ticks as ticks_module
from joyvl_server.store.database import Database
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.ticks import Ticks


async def count(db, table="ticks"):
    return await db.read(lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.fixture
async def two_sessions(db):
    """50 seconds of each of two sessions, one a second, taking turns."""
    ticks, made = Ticks(db), []
    for n in range(100):
        made.append(tick(f"ses_{n % 2}", id=1_000_000 * (n + 1), t=float(n), score=n / 100))
        ticks.post(made[-1])
    await drained(db)
    return ticks, made


async def test_a_tick_comes_back_as_it_was(db):
    plain = tick()
    full = tick(
        id=plain.id + 1,
        decision="delegate",
        look="glance",
        score=0.123456789,
        change=0.25,
        suppressed="below",
        kind="enter",
        query="qry_1",
        epoch=3,
        watches=("wch_1", "wch_2"),
        frame_age_ms=31.25,
        request_ms=0.0,
        score_ms=140.5,
        total_ms=171.75,
        zone="door",
        box=(0.1, 0.2, 0.3, 0.4),
        text="Jemand kommt – links.",
        question="Who is it?",
        detail="x",
    )
    skipped = tick(id=plain.id + 2, score=None, look="skip", skipped="still")
    for one in (plain, full, skipped):
        Ticks(db).post(one)
    await drained(db)
    assert await Ticks(db).list("ses_1") == [skipped, full, plain]


async def test_the_same_tick_twice_is_one(db):
    for _ in range(2):
        Ticks(db).post(tick())
    await drained(db)
    assert (await count(db), db.dropped) == (1, 0)


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, lambda t: True),
        ({"since": 11.0}, lambda t: t.id >= 11_000_000),
        ({"until": 11.0}, lambda t: t.id < 11_000_000),
        ({"since": 11.0, "until": 90.0}, lambda t: 11_000_000 <= t.id < 90_000_000),
        ({"since": 1e9}, lambda t: False),
    ],
)
async def test_pages_of_one_session_newest_first(two_sessions, filters, wanted, limit):
    ticks, made = two_sessions
    seen, before = [], None
    while page := await ticks.list("ses_1", **filters, limit=limit, before=before):
        assert len(page) <= limit
        seen += page
        before = page[-1].id
    assert seen == [t for t in reversed(made) if t.session_id == "ses_1" and wanted(t)]


async def test_a_session_without_ticks_is_empty_and_an_unknown_one_is_not_found(db):
    known = session()
    await Sessions(db).add(known)
    assert await Ticks(db).list(known.id) == []
    with pytest.raises(NotFound, match="ses_none"):
        await Ticks(db).list("ses_none")


async def test_order_is_that_of_ids(db):
    made = [tick(id=n) for n in range(30)]
    for one in random.Random(1).sample(made, 30):
        Ticks(db).post(one)
    await drained(db)
    assert await Ticks(db).list("ses_1") == made[::-1]


async def test_pages_come_from_the_index_without_sorting(db):
    query = "EXPLAIN QUERY PLAN SELECT * FROM ticks WHERE session = 1 AND id >= 1 AND id < 9 ORDER BY id DESC LIMIT 10"
    plan = await db.read(lambda c: [row["detail"] for row in c.execute(query)])
    assert plan == ["SEARCH ticks USING INDEX ticks_session (session=? AND id>? AND id<?)"]


async def test_the_oldest_of_all_sessions_go_in_batches(db, monkeypatch):
    monkeypatch.setattr(ticks_module, "TRIM_EVERY", 4)
    monkeypatch.setattr(ticks_module, "TRIM_BATCH", 10)
    ticks = Ticks(db, kept=20)
    ticks.post(tick("ses_gone"))
    for n in range(200):
        ticks.post(tick(f"ses_{n % 2}", id=n))
        await drained(db)
        assert await count(db) < 24
    left = [t for name in ("ses_0", "ses_1") for t in await ticks.list(name, limit=1000)]
    assert sorted(t.id for t in left) == list(range(200 - len(left), 200))
    assert len(left) >= 20
    assert await count(db, "tick_sessions") == 2  # nothing is kept of a session whose last tick went


async def test_a_smaller_limit_is_reached_without_a_long_stop(db, monkeypatch):
    monkeypatch.setattr(ticks_module, "TRIM_EVERY", 1)
    monkeypatch.setattr(ticks_module, "TRIM_BATCH", 100)
    for n in range(3000):
        Ticks(db, kept=10_000).post(tick(id=n))
    Ticks(db, kept=50).post(tick(id=3000))
    for _ in range(100):
        await drained(db)
        if not db.pending and await count(db) == 50:
            break
    assert [t.id for t in await Ticks(db).list("ses_1", limit=1000)] == list(range(3000, 2950, -1))


async def test_ticks_are_there_after_a_restart(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    Ticks(db).post(tick())
    await db.aclose()  # without waiting for the writer
    db = await Database.open(tmp_path / "joyvl.db")
    assert await Ticks(db).list("ses_1") == [tick()]
    await db.aclose()


async def test_a_row_is_small(tmp_path):
    """What `store.max_ticks` promises: about 150 bytes each, index included."""
    db = await Database.open(tmp_path / "joyvl.db")
    empty = await db.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    rows = 20_000
    for start in range(0, rows, 5000):
        for n in range(start, start + 5000):
            score = (n % 997) / 997
            Ticks(db).post(
                tick(
                    f"ses_{n % 64:026d}",
                    id=1_795_166_400_000_000 + n * 15_625,
                    t=n / 64,
                    score=score,
                    change=score / 3,
                    frame_age_ms=31.25,
                    request_ms=1.37,
                    score_ms=141.52,
                    total_ms=172.9,
                )
            )
        await drained(db)
    pages = await db.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    assert 60 < (pages - empty) * 4096 / rows < 170
    await db.aclose()
