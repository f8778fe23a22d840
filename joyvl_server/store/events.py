"""The timeline: what was said, which watch fired, which camera went away."""

from __future__ import annotations

import builtins
import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal, get_args

from joyvl_server.store.sqlite.database import Database

EventType = Literal[
    "spoke",
    "delegated",
    "watch_fired",
    "camera_online",
    "camera_offline",
    "engine_online",
    "engine_offline",
    "query_asked",
    "query_closed",
    "session_started",
    "session_ended",
    "task",
    "heard",
    "played",
    "cut_off",
]
TYPES: tuple[str, ...] = get_args(EventType)
KEPT = 1_000_000
"""Events that are kept (`store.max_events`)."""
TRIM_EVERY = 64
TRIM_BATCH = 1000
MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class EventRecord:
    """`t` is stream seconds, `wall` the same moment in Unix seconds. `id` is time-sortable and orders the timeline."""

    id: str
    session_id: str
    camera_id: str | None
    type: str
    t: float
    wall: float
    text: str
    data: dict[str, Any]


class Events:
    """`kept`: events beyond this many are deleted by the writer, oldest first, a batch at a time."""

    def __init__(self, db: Database, *, kept: int = KEPT) -> None:
        self._db = db
        self._kept = kept

    def post(self, event: EventRecord) -> None:
        """Queue it to be written; nobody waits. The same id twice is one event."""
        values = (
            event.id,
            event.session_id,
            event.camera_id,
            event.type,
            event.t,
            event.wall,
            event.text,
            json.dumps(event.data, ensure_ascii=False, default=str),
        )
        self._db.post(lambda connection: self._insert(connection, values))

    async def list(
        self,
        *,
        session_id: str | None = None,
        camera_id: str | None = None,
        type: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> builtins.list[EventRecord]:
        """Newest first, at most `limit` (1 to 1000), all that match every filter given.

        `since` (included) and `until` (left out) are Unix seconds. `before`: the id of the last one of the page before.
        Cancelling it changes nothing.
        """
        filters = {
            "session_id = ?": session_id,
            "camera_id = ?": camera_id,
            "type = ?": type,
            "wall >= ?": since,
            "wall < ?": until,
            "id < ?": before,
        }
        given = {clause: value for clause, value in filters.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        # The clauses are ours, from the table above; values are bound. The page is found in an index alone, then read.
        page = f"SELECT seq FROM events {where} ORDER BY id DESC LIMIT ?"
        query = f"SELECT * FROM events WHERE seq IN ({page}) ORDER BY id DESC"
        values = (*given.values(), min(max(limit, 1), MAX_PAGE))
        rows = await self._db.read(lambda c: c.execute(query, values).fetchall())
        return [_record(row) for row in rows]

    async def left_open(self) -> builtins.list[EventRecord]:
        """The newest event of each session that has started and not ended. Cancelling it changes nothing."""
        ends = (
            "SELECT session_id, type, max(id) FROM events WHERE type IN ('session_started', 'session_ended') "
            "GROUP BY session_id"
        )
        newest = "(SELECT max(id) FROM events WHERE session_id = ends.session_id)"
        query = (
            f"SELECT * FROM events WHERE id IN (SELECT {newest} FROM ({ends}) ends WHERE type = 'session_started') "
            "ORDER BY id"
        )
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query).fetchall())]

    def _insert(self, connection: sqlite3.Connection, values: tuple[object, ...]) -> None:
        cursor = connection.execute(
            "INSERT INTO events (id, session_id, camera_id, type, t, wall, text, data) VALUES (?,?,?,?,?,?,?,?) "
            "ON CONFLICT (id) DO NOTHING",
            values,
        )
        if cursor.rowcount and cursor.lastrowid is not None and cursor.lastrowid % TRIM_EVERY == 0:
            self._trim(connection)

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Delete a batch of the oldest; where there are still too many, post the next batch."""
        oldest, newest = connection.execute(
            "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)"
        ).fetchone()
        if oldest is None or oldest > (beyond := newest - self._kept):
            return
        connection.execute("DELETE FROM events WHERE seq <= ?", (min(beyond, oldest + TRIM_BATCH - 1),))
        if oldest + TRIM_BATCH - 1 < beyond:
            self._db.post(self._trim)


def _record(row: sqlite3.Row) -> EventRecord:
    values = dict(row)
    del values["seq"]
    return EventRecord(**{**values, "data": json.loads(values["data"])})
