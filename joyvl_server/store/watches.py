"""Watches of sessions."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.core.watches.kinds import Kinds, WatchKind, in_order
from joyvl_server.core.watches.named_kinds import named_kinds
from joyvl_server.store.sqlite.database import Database


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """A standing instruction as stored. `zones` are names of the camera's zones; empty means the whole picture.

    `query_id`: the sentence it was made from, where it was made from one. `kinds`: None where nobody chose them.
    """

    id: str
    session_id: str
    name: str
    text: str
    zones: tuple[str, ...]
    threshold: float | None
    paused: bool
    created_wall: float
    query_id: str | None = None
    kinds: Kinds | None = None

    @property
    def fires_at(self) -> Kinds:
        """What it fires at: the chosen kinds, else those that its words name; empty: any."""
        return named_kinds(self.text) if self.kinds is None else self.kinds


class Watches:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, watch: WatchRecord) -> None:
        """Raises `NotFound` where there is no such session, `Conflict` where the id is in use.

        Cancelled, it may be written all the same.
        """
        await self._db.write(lambda connection: insert_watch(connection, watch))

    async def list(self, session_id: str) -> list[WatchRecord]:
        """Those of one session, oldest first. Cancelling it changes nothing."""
        query = "SELECT * FROM watches WHERE session_id = ? ORDER BY id"
        rows = await self._db.read(lambda c: c.execute(query, (session_id,)).fetchall())
        return [_record(row) for row in rows]

    async def update(self, watch: WatchRecord) -> None:
        """Replace the stored watch of that id. Raises `NotFound`. Cancelled, it may be written all the same."""

        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "UPDATE watches SET session_id=?, name=?, text=?, zones=?, threshold=?, paused=?, created_wall=?, "
                "query_id=?, kinds=? WHERE id = ?",
                (*_values(watch)[1:], watch.id),
            )
            if not cursor.rowcount:
                raise _missing(watch.id)

        await self._db.write(work)

    async def delete(self, watch_id: str) -> None:
        """Raises `NotFound`. Cancelled, it may be deleted all the same."""

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM watches WHERE id = ?", (watch_id,)).rowcount:
                raise _missing(watch_id)

        await self._db.write(work)


def insert_watch(connection: sqlite3.Connection, watch: WatchRecord) -> None:
    try:
        connection.execute("INSERT INTO watches VALUES (?,?,?,?,?,?,?,?,?,?)", _values(watch))
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            raise NotFound(f"There is no session {watch.session_id}.") from None
        if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
            raise Conflict(f"There is a watch {watch.id} already.") from None
        raise


def _missing(watch_id: str) -> NotFound:
    return NotFound(f"There is no watch {watch_id}.")


def _values(watch: WatchRecord) -> tuple[object, ...]:
    return (
        watch.id,
        watch.session_id,
        watch.name,
        watch.text,
        json.dumps(watch.zones),
        watch.threshold,
        watch.paused,
        watch.created_wall,
        watch.query_id,
        None if watch.kinds is None else json.dumps(watch.kinds),
    )


def _record(row: sqlite3.Row) -> WatchRecord:
    values = dict(row)
    chosen = None if values["kinds"] is None else set(json.loads(values["kinds"]))
    kinds = None if chosen is None else in_order(kind for kind in WatchKind if kind in chosen)
    zones = tuple(json.loads(values["zones"]))
    return WatchRecord(**{**values, "zones": zones, "paused": bool(values["paused"]), "kinds": kinds})
