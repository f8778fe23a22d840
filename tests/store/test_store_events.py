import random
import threading

import pytest
from store_records import drained, event

from fakes.patience import PATIENCE_S
from joyvl_server.store import events as events_module
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.timeline import reading


@pytest.fixture
async def timeline(db):
    """60 events over two sessions, a camera and a call, three types, one a second."""
    events, made = Events(db), []
    for n in range(60):
        made.append(
            event(
                session_id=f"ses_{n % 2}",
                camera_id="cam_0" if n % 2 == 0 else None,
                type=("spoke", "watch_fired", "camera_offline")[n % 3],
                wall=1000.0 + n,
                text=str(n),
            )
        )
        events.post(made[-1])
    await drained(db)
    return events, made


async def test_an_event_comes_back_as_it_was(db):
    posted = event(camera_id=None, data={"deep": {"a": [1, None, True, "ü"]}, "n": 1.25})
    Events(db).post(posted)
    await drained(db)
    assert await Events(db).list() == [posted]


async def test_what_json_does_not_know_is_kept_as_text(db, tmp_path):
    Events(db).post(event(data={"path": tmp_path}))
    await drained(db)
    assert (await Events(db).list())[0].data == {"path": str(tmp_path)}


async def test_text_that_cannot_be_written_as_utf_8_is_not_lost(db):
    Events(db).post(event(text="a \ud800 b", data={"question": "\udfff"}))
    await drained(db)
    (kept,) = await Events(db).list(EventFilter(words="b"))
    assert (kept.text, kept.data) == ("a ? b", {"question": "?"})
    assert db.dropped == 0


async def test_the_same_event_twice_is_one(db):
    posted = event()
    for _ in range(2):
        Events(db).post(posted)
    await drained(db)
    assert len(await Events(db).list()) == 1
    assert db.dropped == 0


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, lambda e: True),
        ({"session_id": "ses_1"}, lambda e: e.session_id == "ses_1"),
        ({"camera_id": "cam_0"}, lambda e: e.camera_id == "cam_0"),
        ({"types": ("spoke",)}, lambda e: e.type == "spoke"),
        ({"since": 1010.0}, lambda e: e.wall >= 1010.0),
        ({"until": 1010.0}, lambda e: e.wall < 1010.0),
        (
            {"session_id": "ses_0", "types": ("spoke",), "since": 1005.0, "until": 1040.0},
            lambda e: e.session_id == "ses_0" and e.type == "spoke" and 1005.0 <= e.wall < 1040.0,
        ),
        (
            {"types": ("spoke", "camera_offline"), "until": 1050.0},
            lambda e: e.type in ("spoke", "camera_offline") and e.wall < 1050.0,
        ),
        ({"types": ("no such",)}, lambda e: False),
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("few", [10, 5000])
async def test_filters_and_pages(timeline, filters, wanted, limit, few, monkeypatch):
    monkeypatch.setattr(reading, "FEW", few)
    events, made = timeline
    seen, before = [], None
    while page := await events.list(EventFilter(**filters), limit=limit, before=before):
        assert len(page) <= limit
        seen += page
        before = page[-1].id
    assert seen == [e for e in reversed(made) if wanted(e)]


async def test_a_page_stays_where_it_is_while_events_arrive(timeline, db):
    events, made = timeline
    first = await events.list(limit=10)
    for _ in range(5):
        events.post(event())
    await drained(db)
    assert await events.list(limit=10, before=first[-1].id) == made[40:50][::-1]


async def test_limits_are_limits(timeline, monkeypatch):
    events, _ = timeline
    monkeypatch.setattr(events_module, "MAX_PAGE", 5)
    assert len(await events.list(limit=1000)) == 5
    assert len(await events.list(limit=0)) == 1


@pytest.mark.parametrize(
    ("column", "further"),
    [
        (None, ""),  # a range of time alone has to be sorted
        *((column, further) for column in ("session_id", "camera_id", "type") for further in ("", "AND wall >= 1")),
    ],
)
async def test_pages_come_from_an_index_alone_without_sorting(db, column, further):
    clause = f"{column} = 'x' AND" if column else ""
    query = f"EXPLAIN QUERY PLAN SELECT seq FROM events WHERE {clause} id < 'x' {further} ORDER BY id DESC LIMIT 10"
    plan = await db.read(lambda c: [row["detail"] for row in c.execute(query)])
    index = (
        f"events_{column.removesuffix('_id')} ({column}=? AND id<?)" if column else "sqlite_autoindex_events_1 (id<?)"
    )
    assert plan == [f"SEARCH events USING COVERING INDEX {index}"]


async def test_the_newest_are_kept_and_the_rest_goes_in_batches(db, monkeypatch):
    monkeypatch.setattr(events_module, "TRIM_EVERY", 4)
    monkeypatch.setattr(events_module, "TRIM_BATCH", 10)
    events = Events(db, kept=20)
    made = [event(text=str(n)) for n in range(200)]
    for one in made:
        events.post(one)
        await drained(db)
        assert await db.read(lambda c: c.execute("SELECT count(*) FROM events").fetchone()[0]) < 24
    left = await events.list(limit=1000)
    assert left == made[-len(left) :][::-1]
    assert len(left) >= 20


async def test_a_smaller_limit_is_reached_without_a_long_stop(db, monkeypatch):
    monkeypatch.setattr(events_module, "TRIM_EVERY", 1)
    monkeypatch.setattr(events_module, "TRIM_BATCH", 100)
    for _ in range(5000):
        Events(db, kept=10_000).post(event())
    Events(db, kept=50).post(event(text="last"))
    while True:
        await drained(db)
        if not db.pending and await db.read(lambda c: c.execute("SELECT count(*) FROM events").fetchone()[0]) == 50:
            break
    assert (await Events(db).list())[0].text == "last"


async def test_trimming_an_empty_timeline(db):
    events = Events(db, kept=1)
    events.post(event())
    await drained(db)
    assert len(await events.list()) == 1


async def test_order_is_that_of_ids(db):
    made = [event() for _ in range(30)]
    for one in random.Random(1).sample(made, 30):
        Events(db).post(one)
    await drained(db)
    assert await Events(db).list() == made[::-1]


@pytest.mark.parametrize("filters", [{}, {"since": 0.0}, {"types": ("spoke", "spoke", "task")}, {"words": "text"}])
async def test_pages_hold_each_event_once_though_clocks_jump_and_the_cursor_is_deleted(db, filters):
    events, draw = Events(db), random.Random(3)
    made = [event(wall=1000.0 + draw.choice((0, 0, 5000, -900)) + n, text=f"text {n}") for n in range(80)]
    for one in made:
        events.post(one)
    await drained(db)
    seen, before, deleted = [], None, 0
    while page := await events.list(EventFilter(**filters), limit=7, before=before):
        seen += [one.id for one in page]
        before = page[-1].cursor
        if deleted < 3:
            deleted += await events.delete([page[-1].id])
    assert set(seen) == {one.id for one in made}
    assert len(seen) == len(made)


@pytest.mark.parametrize("filters", [{"since": 0.0}, {"words": "text"}, {"camera_id": "cam_1"}, {"types": ("spoke",)}])
async def test_deleting_what_matches_takes_all_of_it_and_ends(db, filters, monkeypatch):
    monkeypatch.setattr(events_module, "DELETE_BATCH", 7)
    events, draw = Events(db), random.Random(4)
    gone = []
    events.on_removed(gone.extend)
    for n in range(60):
        events.post(event(wall=1000.0 + draw.choice((0, 5000, -900)) + n, text=f"text {n}"))
    await drained(db)
    events.on_removed(lambda removed: [events.post(event(text="text of one that comes meanwhile")) for _ in removed])
    assert await events.delete_matching(EventFilter(**filters)) == 60
    await drained(db)
    assert {one.text for one in await events.list(limit=100)} == {"text of one that comes meanwhile"}
    assert len(gone) == 60


async def test_what_is_kept_is_found_in_an_index(db):
    query = "EXPLAIN QUERY PLAN SELECT seq FROM events e WHERE e.kept = 1 ORDER BY e.id DESC LIMIT 10"
    plan = await db.read(lambda c: [row["detail"] for row in c.execute(query)])
    assert plan == ["SCAN e USING INDEX events_kept"]


async def test_what_was_posted_before_is_waited_for_but_not_long(db):
    events = Events(db)
    release = threading.Event()
    db.post(lambda c: release.wait(PATIENCE_S))
    made = event()
    events.post(made)
    await events.posted(0.05)
    assert await events.list() == []
    release.set()
    await events.posted(PATIENCE_S)
    assert await events.list() == [made]
