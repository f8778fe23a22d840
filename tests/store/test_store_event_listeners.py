"""Who hears of events: in the transaction that writes them, and after it."""

import sqlite3

import pytest
from store_records import drained, event

from fakes.patience import until
from joyvl_server.store.events import Events


@pytest.fixture
async def notes(db):
    """A table of somebody else."""
    await db.write(lambda c: c.execute("CREATE TABLE notes (event_id TEXT, seq INTEGER)") and None)

    def note(connection, written):
        connection.execute("INSERT INTO notes VALUES (?,?)", (written.id, written.seq))

    return note


async def rows(db):
    return await db.read(lambda c: [tuple(row) for row in c.execute("SELECT * FROM notes ORDER BY seq")])


async def test_a_listener_writes_in_the_same_transaction(db, notes):
    events, heard = Events(db), []
    events.on_insert(notes)
    events.on_written(heard.append)
    made = [event() for _ in range(3)]
    for one in [*made, made[0]]:
        events.post(one)
    await drained(db)
    await until(lambda: len(heard) == 3)
    assert heard == made
    assert await rows(db) == [(one.id, one.seq) for one in heard]
    assert [one.seq for one in heard] == [1, 2, 3]


async def test_a_listener_that_fails_undoes_only_its_own(db, notes):
    events = Events(db)

    def fails(connection, written):
        notes(connection, written)
        raise ValueError("alerts are broken")

    events.on_insert(fails)
    events.on_insert(notes)
    events.on_written(lambda written: 1 / 0)
    heard = []
    events.on_written(heard.append)
    events.post(posted := event())
    await drained(db)
    await until(lambda: heard == [posted])
    assert await rows(db) == [(posted.id, 1)]
    assert await events.list() == [posted]
    assert db.dropped == 0


async def test_what_a_failed_commit_undid_is_written_once(db, notes, monkeypatch):
    events, heard = Events(db), []
    events.on_insert(notes)
    events.on_written(heard.append)
    failures = [sqlite3.OperationalError("disk I/O error")]
    failures[0].sqlite_errorcode = sqlite3.SQLITE_IOERR
    commit = db._writer._connection.commit

    def fails_once():
        if failures:
            raise failures.pop()
        commit()

    monkeypatch.setattr(db._writer._connection, "commit", fails_once)
    events.post(posted := event())
    await until(lambda: heard == [posted])
    assert await rows(db) == [(posted.id, heard[0].seq)]


async def test_deleted_events_are_told_in_the_transaction_and_after_it(db, notes):
    events, gone = Events(db), []
    events.on_insert(notes)
    events.on_delete(
        lambda c, removed: c.executemany("DELETE FROM notes WHERE event_id = ?", [(one.id,) for one in removed])
    )
    events.on_removed(gone.extend)
    made = [event(type="heard", picture=n == 1) for n in range(3)]
    for one in made:
        events.post(one)
    await drained(db)
    assert await events.delete([made[0].id, made[1].id, "evt_no_such", made[0].id]) == 2
    assert [(one.id, one.files) for one in gone] == [(made[0].id, False), (made[1].id, True)]
    assert [row[0] for row in await rows(db)] == [made[2].id]
