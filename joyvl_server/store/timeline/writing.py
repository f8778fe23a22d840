"""Statements that write events. Each runs in the writer's thread, inside its transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from joyvl_server.store.timeline.records import COLUMNS, EventRecord, RemovedEvent, event_record
from joyvl_server.store.timeline.search import indexed

OLD_BATCH = 500


def insert(connection: sqlite3.Connection, event: EventRecord) -> int | None:
    """Its `seq`; None where there is an event with that id already, or it is of a forgotten past."""
    cursor = connection.execute(
        "INSERT INTO events (id, session_id, camera_id, type, t, wall, text, data, kept, picture, clip, clip_reason) "
        "VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
        (
            event.id,
            event.session_id,
            event.camera_id,
            event.type,
            event.t,
            event.wall,
            _storable(event.text),
            _storable(json.dumps(event.data, ensure_ascii=False, default=str)),
            event.kept,
            event.picture,
            event.clip,
            event.clip_reason,
        ),
    )
    if not cursor.rowcount or cursor.lastrowid is None:
        return None
    seq = cursor.lastrowid
    _index(connection, seq, event)
    return seq


def read(connection: sqlite3.Connection, id: str) -> EventRecord | None:
    """As it is now; None where there is none."""
    row = connection.execute(f"SELECT {COLUMNS} FROM events WHERE id = ?", (id,)).fetchone()
    return None if row is None else event_record(row)


def delete(connection: sqlite3.Connection, ids: Iterable[str]) -> list[RemovedEvent]:
    """Delete these with all that is found by them; those that are there are returned."""
    removed = []
    for id in ids:
        event = read(connection, id)
        if event is None:
            continue
        connection.execute("DELETE FROM event_words WHERE rowid = ?", (event.seq,))
        connection.executemany(
            "DELETE FROM event_watches WHERE watch_id = ? AND event_id = ?", [(watch, id) for watch in event.watches]
        )
        connection.execute("DELETE FROM events WHERE seq = ?", (event.seq,))
        removed.append(RemovedEvent.of(event))
    return removed


def delete_oldest(connection: sqlite3.Connection, limit: int, batch: int) -> list[RemovedEvent]:
    """Where there are more events than `limit`, delete the oldest that nobody keeps, at most `batch` of them."""
    (count,) = connection.execute("SELECT n FROM event_count").fetchone()
    if count <= limit:
        return []
    query = "SELECT id FROM events WHERE kept = 0 ORDER BY seq LIMIT ?"
    oldest = [row[0] for row in connection.execute(query, (min(batch, count - limit),))]
    return delete(connection, oldest)


def keep(connection: sqlite3.Connection, id: str, kept: bool) -> EventRecord | None:
    """The event as it is then; None where there is none."""
    connection.execute("UPDATE events SET kept = ? WHERE id = ?", (kept, id))
    event = read(connection, id)
    if event is None:
        return None
    connection.execute("UPDATE event_words SET marks = ? WHERE rowid = ?", (indexed(event)[1], event.seq))
    return event


def index_old(connection: sqlite3.Connection) -> int | None:
    """Index a batch of events of an older version, the newest first. Returns how many are left at most, None: none."""
    row = connection.execute("SELECT seq FROM old_events").fetchone()
    if row is None:
        return None
    query = f"SELECT {COLUMNS} FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT {OLD_BATCH}"
    found = connection.execute(query, (row[0],)).fetchall()
    if not found:
        connection.execute("DELETE FROM old_events")
        return None
    for old in reversed(found):  # rising: what comes out of order costs FTS5 a segment each
        _index(connection, old["seq"], event_record(old))
    left = int(found[-1]["seq"]) - 1
    connection.execute("UPDATE old_events SET seq = ?", (left,))
    return left


def _index(connection: sqlite3.Connection, seq: int, event: EventRecord) -> None:
    words, marks = indexed(event)
    connection.execute("INSERT INTO event_words (rowid, words, marks) VALUES (?,?,?)", (seq, words, marks))
    connection.executemany(
        "INSERT INTO event_watches VALUES (?,?) ON CONFLICT DO NOTHING", [(watch, event.id) for watch in event.watches]
    )


def _storable(text: str) -> str:
    """What cannot be written as UTF-8 becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
