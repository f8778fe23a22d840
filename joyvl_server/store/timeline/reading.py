"""Statements that find events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from joyvl_server.store.timeline.records import COLUMNS, EventCursor, EventFilter, EventRecord, event_record
from joyvl_server.store.timeline.search import expression

FEW = 5000
MAX_SAID = 50
"""sentences around one event"""
E = ", ".join(f"e.{name}" for name in COLUMNS.split(", "))


def newest(
    connection: sqlite3.Connection, wanted: EventFilter, limit: int, before: EventCursor | None
) -> list[EventRecord]:
    """Newest first. `before`: the last one of the page before."""
    if wanted.words is not None:
        return _by_words(connection, wanted, limit, before)
    if wanted.ids is not None:
        return _by_ids(connection, wanted, limit, before)
    if wanted.since is not None or wanted.until is not None:
        one_of = (wanted.session_id, wanted.camera_id, wanted.cameras, wanted.types, wanted.kinds, wanted.watch_id)
        if not any(one_of):
            return _by_time(connection, wanted, limit, before)
        if _is_short(connection, wanted):
            return _by_ids(connection, wanted, limit, before, "INDEXED BY events_wall")
    if wanted.watch_id is not None:
        return _by_watch(connection, wanted, limit, before)
    if wanted.kinds:
        narrowed = _types(*conditions(replace(wanted, kinds=())), wanted.types)
        return _by_each(connection, "kind", wanted.kinds, narrowed, limit, before, "INDEXED BY events_kind")
    one_place = wanted.session_id or wanted.camera_id
    if wanted.cameras and not one_place and not wanted.kept:  # what is kept has an index of its own
        narrowed = _types(*conditions(replace(wanted, cameras=())), wanted.types)
        return _by_each(connection, "camera_id", wanted.cameras, narrowed, limit, before)
    if len(set(wanted.types)) > 1 and not one_place:
        return _by_each(connection, "type", wanted.types, conditions(wanted), limit, before)
    clauses, values = _types(*conditions(wanted), wanted.types)
    if before is not None:
        clauses.append("e.id < ?")
        values.append(before.id)
    # The clauses are ours; values are bound. The page is found in an index alone, then read.
    page = f"SELECT e.seq FROM events e {_where(clauses)} ORDER BY e.id DESC LIMIT ?"
    values.append(limit)
    rows = connection.execute(f"SELECT {COLUMNS} FROM events WHERE seq IN ({page}) ORDER BY id DESC", values)
    return [event_record(row) for row in rows]


def after(connection: sqlite3.Connection, seq: int, wanted: EventFilter, limit: int) -> tuple[list[EventRecord], int]:
    """Events written after that `seq` among the next `limit` ones, in the order of writing; and up to which it went."""
    clauses, values = conditions(wanted)
    clauses, values = _types(clauses, values, wanted.types)
    bound = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?)", (seq, limit)
    ).fetchone()[0]
    if bound is None:
        return [], seq
    where = _where(["e.seq > ?", "e.seq <= ?", *clauses])
    rows = connection.execute(f"SELECT {E} FROM events e {where} ORDER BY e.seq", (seq, bound, *values))
    return [event_record(row) for row in rows], int(bound)


def conditions(wanted: EventFilter) -> tuple[list[str], list[Any]]:
    """Clauses about `events e`, types and words apart."""
    filters: dict[str, Any] = {
        "e.session_id = ?": wanted.session_id,
        "e.camera_id = ?": wanted.camera_id,
        "e.wall >= ?": wanted.since,
        "e.wall < ?": wanted.until,
        "e.seq <= ?": wanted.upto,
    }
    given = {clause: value for clause, value in filters.items() if value is not None}
    clauses, values = list(given), list(given.values())
    if wanted.kept is not None:
        clauses.append(f"e.kept = {int(wanted.kept)}")  # as it stands in the index of what is kept
    if wanted.watch_id is not None:
        clauses.append("EXISTS (SELECT 1 FROM event_watches w WHERE w.watch_id = ? AND w.event_id = e.id)")
        values.append(wanted.watch_id)
    if wanted.kinds:
        # The plus keeps it from being found by kind, and then sorted.
        clauses.append(f"+e.kind IN ({', '.join('?' * len(wanted.kinds))})")
        values += wanted.kinds
    if wanted.cameras:
        clauses.append(f"+e.camera_id IN ({', '.join('?' * len(wanted.cameras))})")  # the plus: as above
        values += wanted.cameras
    if wanted.ids is not None:
        clauses.append("e.id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(wanted.ids))
    return clauses, values


def last_seq(connection: sqlite3.Connection) -> int:
    """Of the event that was written last, 0 where there is none; also where that one is deleted by now."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def said_around(
    connection: sqlite3.Connection, events: Iterable[EventRecord], before_s: float, after_s: float
) -> dict[str, list[str]]:
    """By event id what people said or typed around it, oldest first."""
    query = (
        "SELECT text FROM events INDEXED BY events_said WHERE session_id = ? AND wall BETWEEN ? AND ? "
        f"AND type IN ('heard', 'query_asked') ORDER BY wall LIMIT {MAX_SAID}"
    )
    found = {}
    for event in events:
        rows = connection.execute(query, (event.session_id, event.wall - before_s, event.wall + after_s))
        found[event.id] = list(dict.fromkeys(row["text"] for row in rows))
    return found


def left_open(connection: sqlite3.Connection) -> list[EventRecord]:
    """The newest event of each session that has started and not ended."""
    ends = (
        "SELECT session_id, type, max(id) FROM events WHERE type IN ('session_started', 'session_ended') "
        "GROUP BY session_id"
    )
    newest = "(SELECT max(id) FROM events WHERE session_id = ends.session_id)"
    chosen = f"SELECT {newest} FROM ({ends}) ends WHERE type = 'session_started'"
    rows = connection.execute(f"SELECT {COLUMNS} FROM events WHERE id IN ({chosen}) ORDER BY id")
    return [event_record(row) for row in rows]


def _by_words(
    connection: sqlite3.Connection, wanted: EventFilter, limit: int, before: EventCursor | None
) -> list[EventRecord]:
    """In the order of writing, which FTS5 walks without sorting."""
    oldest, youngest = connection.execute(
        "SELECT (SELECT min(wall) FROM events), (SELECT max(wall) FROM events)"
    ).fetchone()
    match = None if oldest is None else expression(wanted, oldest, youngest)
    if match is None:
        return []
    clauses, values = _types(*conditions(wanted), wanted.types)
    if before is not None:
        clauses.append("w.rowid < ?")
        values.append(_seq_of(connection, before.id) if before.seq is None else before.seq)
    where = " AND ".join(["event_words MATCH ?", *clauses])
    query = (
        f"SELECT {E} FROM event_words w CROSS JOIN events e ON e.seq = w.rowid WHERE {where} "
        "ORDER BY w.rowid DESC LIMIT ?"
    )
    return [event_record(row) for row in connection.execute(query, (match, *values, limit))]


def _is_short(connection: sqlite3.Connection, wanted: EventFilter) -> bool:
    """So few events are in its time, of all cameras, that they can be looked through."""
    clauses, values = conditions(EventFilter(since=wanted.since, until=wanted.until))
    query = f"SELECT 1 FROM events e INDEXED BY events_wall {_where(clauses)} LIMIT {FEW}"
    (count,) = connection.execute(f"SELECT count(*) FROM ({query})", values).fetchone()
    return int(count) < FEW


def _by_ids(
    connection: sqlite3.Connection, wanted: EventFilter, limit: int, before: EventCursor | None, index: str = ""
) -> list[EventRecord]:
    """`index`: how SQLite is told to find them."""
    clauses, values = _types(*conditions(wanted), wanted.types)
    if before is not None:
        clauses.append("e.id < ?")
        values.append(before.id)
    query = f"SELECT {E} FROM events e {index} {_where(clauses)} ORDER BY e.id DESC LIMIT ?"
    return [event_record(row) for row in connection.execute(query, (*values, limit))]


def _by_watch(
    connection: sqlite3.Connection, wanted: EventFilter, limit: int, before: EventCursor | None
) -> list[EventRecord]:
    clauses, values = _types(*conditions(wanted), wanted.types)
    clauses.insert(0, "w.watch_id = ?")
    values.insert(0, wanted.watch_id)
    if before is not None:
        clauses.append("w.event_id < ?")
        values.append(before.id)
    query = (
        f"SELECT {E} FROM event_watches w CROSS JOIN events e ON e.id = w.event_id {_where(clauses)} "
        "ORDER BY w.event_id DESC LIMIT ?"
    )
    return [event_record(row) for row in connection.execute(query, (*values, limit))]


def _by_each(
    connection: sqlite3.Connection,
    column: str,
    wanted: tuple[str, ...],
    narrowed: tuple[list[str], list[Any]],
    limit: int,
    before: EventCursor | None,
    index: str = "",
) -> list[EventRecord]:
    """The newest of each one wanted: its index is walked in order, however rare it is. `narrowed`: further clauses."""
    different = tuple(dict.fromkeys(wanted))
    clauses, values = narrowed
    if before is not None:
        clauses.append("e.id < ?")
        values.append(before.id)
    where = _where([f"e.{column} = ?", *clauses])
    each = f"SELECT seq, id FROM events e {index} {where} ORDER BY e.id DESC LIMIT ?"
    parts = " UNION ALL ".join(f"SELECT * FROM ({each})" for _ in different)
    page = f"SELECT seq FROM ({parts}) ORDER BY id DESC LIMIT ?"
    values = [value for one in different for value in (one, *values, limit)] + [limit]
    rows = connection.execute(f"SELECT {COLUMNS} FROM events WHERE seq IN ({page}) ORDER BY id DESC", values)
    return [event_record(row) for row in rows]


def _by_time(
    connection: sqlite3.Connection, wanted: EventFilter, limit: int, before: EventCursor | None
) -> list[EventRecord]:
    """By wall time, whose index is walked in order: a short time long ago is found at once."""
    clauses, values = conditions(wanted)
    if before is not None:
        clauses.append("(e.wall, e.id) < (?, ?)")
        values += [_wall_of(connection, before.id) if before.wall is None else before.wall, before.id]
    query = f"SELECT {E} FROM events e INDEXED BY events_wall {_where(clauses)} ORDER BY e.wall DESC, e.id DESC LIMIT ?"
    return [event_record(row) for row in connection.execute(query, (*values, limit))]


def _seq_of(connection: sqlite3.Connection, id: str) -> int:
    """Where it stands in the order of writing; an event that is gone: where its neighbour stands."""
    row = connection.execute("SELECT seq, id FROM events WHERE id <= ? ORDER BY id DESC LIMIT 1", (id,)).fetchone()
    if row is None:
        return 0
    return int(row["seq"]) if row["id"] == id else int(row["seq"]) + 1


def _wall_of(connection: sqlite3.Connection, id: str) -> float:
    """When it was; of an event that is gone, the later one of its neighbours: nothing is left out."""
    sides = ("WHERE id <= ? ORDER BY id DESC LIMIT 1", "WHERE id >= ? ORDER BY id LIMIT 1")
    row = connection.execute("SELECT wall FROM events WHERE id = ?", (id,)).fetchone()
    near = [row] if row else [connection.execute(f"SELECT wall FROM events {side}", (id,)).fetchone() for side in sides]
    return max((float(one[0]) for one in near if one is not None), default=float("-inf"))


def _types(clauses: list[str], values: list[Any], types: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    if not types:
        return clauses, values
    return [*clauses, f"e.type IN ({', '.join('?' * len(types))})"], [*values, *types]


def _where(clauses: list[str]) -> str:
    return f"WHERE {' AND '.join(clauses)}" if clauses else ""
