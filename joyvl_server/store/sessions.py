"""Sessions: one row for each, kept for a while after it ended."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import astuple, dataclass
from typing import Literal

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.sqlite.database import Database

SessionKind = Literal["camera", "call", "file"]
KEPT = 10_000
"""Ended sessions that are kept (`store.max_ended_sessions`)."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """`created_wall`, `ended_wall`: Unix seconds. `end_reason`: a sentence, or None while it goes on."""

    id: str
    kind: SessionKind
    name: str
    camera_id: str | None
    engine: str
    owner: str | None
    created_wall: float
    ended_wall: float | None = None
    end_reason: str | None = None


class Sessions:
    """`kept`: ended sessions beyond this many are deleted, oldest first, with their watches."""

    def __init__(self, db: Database, *, kept: int = KEPT) -> None:
        self._db = db
        self._kept = kept

    async def add(self, session: SessionRecord) -> None:
        """Raises `Conflict` where the id is in use. Cancelled, it may be written all the same."""
        await self._db.write(lambda connection: insert_session(connection, session))

    async def get(self, session_id: str) -> SessionRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        row = await self._db.read(lambda c: c.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone())
        if row is None:
            raise _missing(session_id)
        return SessionRecord(**dict(row))

    async def list(self, limit: int = 100, after: str | None = None) -> list[SessionRecord]:
        """Newest first. `after`: the id of the last one of the page before. Cancelling it changes nothing."""
        query = "SELECT * FROM sessions WHERE id < ? ORDER BY id DESC LIMIT ?"
        first = "SELECT * FROM sessions ORDER BY id DESC LIMIT ?"
        rows = await self._db.read(
            lambda c: c.execute(*((first, (limit,)) if after is None else (query, (after, limit)))).fetchall()
        )
        return [SessionRecord(**dict(row)) for row in rows]

    async def end(self, session_id: str, reason: str, wall: float | None = None) -> None:
        """Mark it as ended, now or at `wall` (Unix seconds). One that has ended keeps its end. Raises `NotFound`.

        Cancelled, it may be written all the same.
        """
        at = time.time() if wall is None else wall
        await self._db.write(lambda connection: self._end(connection, session_id, reason, at))

    def post_end(self, session_id: str, reason: str, wall: float | None = None) -> None:
        """As `end`, but nobody awaits it."""
        at = time.time() if wall is None else wall
        self._db.post(lambda connection: self._end(connection, session_id, reason, at))

    async def end_open(self, reason: str, wall: float | None = None) -> int:
        """End every open session that is not a camera's: at start-up those are of an earlier run. Returns how many.

        Cancelled, it may be written all the same.
        """
        at = time.time() if wall is None else wall

        def work(connection: sqlite3.Connection) -> int:
            query = "UPDATE sessions SET ended_wall = ?, end_reason = ? WHERE ended_wall IS NULL AND kind <> 'camera'"
            ended = connection.execute(query, (at, reason)).rowcount
            self._trim(connection)
            return ended

        return await self._db.write(work)

    def _end(self, connection: sqlite3.Connection, session_id: str, reason: str, wall: float) -> None:
        if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone():
            raise _missing(session_id)
        connection.execute(
            "UPDATE sessions SET ended_wall = ?, end_reason = ? WHERE id = ? AND ended_wall IS NULL",
            (wall, reason, session_id),
        )
        self._trim(connection)

    def _trim(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_wall IS NOT NULL "
            "ORDER BY ended_wall DESC, id DESC LIMIT 1000 OFFSET ?)",
            (self._kept,),
        )


def insert_session(connection: sqlite3.Connection, session: SessionRecord) -> None:
    """Raises `Conflict` where the id is in use."""
    try:
        connection.execute("INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?,?)", astuple(session))
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
            raise
        raise Conflict(f"There is a session {session.id} already.") from None


def _missing(session_id: str) -> NotFound:
    return NotFound(f"There is no session {session_id}.")
