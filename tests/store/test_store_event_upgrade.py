"""A database of an older version: its events stay, become searchable while the server runs, and can be deleted."""

import json
import shutil
import sqlite3

import pytest
from store_records import drained, event

from joyvl_server.store import events as events_module
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS
from joyvl_server.store.timeline import writing

COUNT = 1200


@pytest.fixture
async def path(tmp_path):
    """As version 0.6 left it: a remark stands there once as spoken and once for each watch."""
    older = tmp_path / "older"
    older.mkdir()
    for script in sorted(MIGRATIONS.glob("000[1-7]_*.sql")):
        shutil.copy(script, older)
    path = tmp_path / "joyvl.db"
    db = await Database.open(path, migrations=older)
    rows = []
    for n in range(COUNT):
        one = event(text=f"parcel number {n} 包裹", wall=1.8e9 + n)
        data = {"watch_id": "wch_1", "watches": ["wch_1", "wch_2"]} if n % 2 else {"score": 0.5}
        type = "watch_fired" if n % 2 else "spoke"
        rows.append((one.id, "ses_1", "cam_1", type, one.t, one.wall, one.text, json.dumps(data)))
    insert = "INSERT INTO events (id, session_id, camera_id, type, t, wall, text, data) VALUES (?,?,?,?,?,?,?,?)"
    await db.write(lambda c: c.executemany(insert, rows) and None)
    await db.aclose()
    return path


def sound(path):
    """No index is damaged, and both FTS tables and counts agree."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.execute("INSERT INTO event_words (event_words) VALUES ('integrity-check')")
    counts = [
        connection.execute(query).fetchone()[0]
        for query in ("SELECT count(*) FROM events", "SELECT n FROM event_count")
    ]
    indexed = connection.execute("SELECT count(*) FROM event_words").fetchone()[0]
    watched = connection.execute("SELECT count(*) FROM event_watches").fetchone()[0]
    connection.close()
    assert counts[0] == counts[1]
    return counts[0], indexed, watched


async def test_old_events_become_searchable_beside_new_ones(path, monkeypatch):
    monkeypatch.setattr(events_module, "PAUSE_S", 0.0)
    db = await Database.open(path)
    events = Events(db)
    events.post(new := event(text="a new parcel", data={"watches": ["wch_2"]}))
    await drained(db)
    assert [one.id for one in await events.list(EventFilter(words="parcel"))] == [new.id]
    assert len(await events.list(limit=1000)) == 1000
    await events.index_old()
    await events.index_old()  # there is nothing left
    found = await events.list(EventFilter(words="number 包"), limit=1000)
    assert len(found) == 1000
    assert found[0].text == f"parcel number {COUNT - 1} 包裹"
    assert found[0].watches == ("wch_1", "wch_2")
    assert [one.id for one in await events.list(EventFilter(words="parcel", watch_id="wch_2"), limit=2)] == [
        new.id, found[0].id,
    ]  # fmt: skip
    assert len(await events.list(EventFilter(watch_id="wch_1"), limit=1000)) == COUNT // 2
    await db.aclose()
    assert sound(path) == (COUNT + 1, COUNT + 1, COUNT + 1)


async def test_a_start_that_is_cut_short_goes_on_where_it_was(path, monkeypatch):
    monkeypatch.setattr(writing, "OLD_BATCH", 500)
    db = await Database.open(path)
    await db.write(writing.index_old)
    await db.aclose()
    db = await Database.open(path)
    events = Events(db)
    assert len(await events.list(EventFilter(words="number"), limit=1000)) == 500
    await events.index_old()
    assert len(await events.list(EventFilter(words="number"), limit=1000)) == 1000
    await db.aclose()
    assert sound(path)[:2] == (COUNT, COUNT)


async def test_events_that_were_never_indexed_can_be_deleted(path, monkeypatch):
    db = await Database.open(path)
    events = Events(db)
    everything = await events.list(limit=1000)
    await events.keep(everything[1].id, True)
    assert await events.delete([one.id for one in everything[::2]]) == 500
    assert await events.delete_matching(EventFilter(until=everything[-1].wall)) == COUNT - 1000
    await events.index_old()
    assert await events.delete([one.id for one in everything[1:101:2]]) == 50
    await events.set_clip(everything[201].id, "ready")
    assert len(await events.list(EventFilter(words="parcel"), limit=1000)) == 450
    await db.aclose()
    assert sound(path) == (450, 450, 0)  # those about watches are gone


async def test_the_oldest_go_though_they_were_never_indexed(path, monkeypatch):
    monkeypatch.setattr(events_module, "TRIM_EVERY", 1)
    monkeypatch.setattr(events_module, "TRIM_BATCH", 100)
    db = await Database.open(path)
    events = Events(db, kept=300)
    oldest = (await events.list(limit=1000))[-1]
    await events.keep(oldest.id, True)
    events.post(event(text="newest"))
    while True:
        await drained(db)
        if not db.pending and len(left := await events.list(limit=1000)) == 300:
            break
    assert (left[0].text, left[-1].id) == ("newest", oldest.id)
    await events.index_old()
    await db.aclose()
    assert sound(path)[:2] == (300, 300)
