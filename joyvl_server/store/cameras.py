"""Registered cameras."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.sessions import SessionRecord, insert_session
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.watches import WatchRecord, insert_watch


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """`url` may hold a password: mask it for anybody. `spec`: the session's settings as the text of a JSON object."""

    id: str
    name: str
    url: str = field(repr=False)
    enabled: bool
    loop: bool
    speed: float
    session_id: str
    created_wall: float
    updated_wall: float
    spec: str = "{}"


class Cameras:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self, camera: CameraRecord, session: SessionRecord | None = None, watches: Iterable[WatchRecord] = ()
    ) -> None:
        """Add a camera and, in the same transaction, its session and watches. Raises `Conflict` for a name in use.

        Cancelled, they may be written all the same.
        """
        wanted = tuple(watches)

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, camera)
            connection.execute("INSERT INTO cameras VALUES (?,?,?,?,?,?,?,?,?,?)", astuple(camera))
            if session is not None:
                insert_session(connection, session)
            for watch in wanted:
                insert_watch(connection, watch)

        await self._db.write(work)

    async def get(self, camera_id: str) -> CameraRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        row = await self._db.read(lambda c: c.execute("SELECT * FROM cameras WHERE id = ?", (camera_id,)).fetchone())
        if row is None:
            raise _missing(camera_id)
        return _record(row)

    async def list(self) -> list[CameraRecord]:
        """All cameras, oldest first. Cancelling it changes nothing."""
        rows = await self._db.read(lambda c: c.execute("SELECT * FROM cameras ORDER BY id").fetchall())
        return [_record(row) for row in rows]

    async def update(self, camera: CameraRecord) -> None:
        """Replace the stored camera of that id. Raises `Conflict` for a name in use, `NotFound`.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, camera)
            cursor = connection.execute(
                "UPDATE cameras SET name=?, url=?, enabled=?, loop=?, speed=?, session_id=?, created_wall=?, "
                "updated_wall=?, spec=? WHERE id = ?",
                (*astuple(camera)[1:], camera.id),
            )
            if not cursor.rowcount:
                raise _missing(camera.id)

        await self._db.write(work)

    async def delete(self, camera_id: str) -> None:
        """Delete it with its session's watches; the session is ended, its events stay. Raises `NotFound`.

        Cancelled, it may be deleted all the same.
        """
        now = time.time()

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT session_id FROM cameras WHERE id = ?", (camera_id,)).fetchone()
            if row is None:
                raise _missing(camera_id)
            connection.execute("DELETE FROM watches WHERE session_id = ?", (row["session_id"],))
            connection.execute(
                "UPDATE sessions SET ended_wall = ?, end_reason = 'the camera was deleted' "
                "WHERE id = ? AND ended_wall IS NULL",
                (now, row["session_id"]),
            )
            connection.execute("DELETE FROM cameras WHERE id = ?", (camera_id,))

        await self._db.write(work)


def _check_name(connection: sqlite3.Connection, camera: CameraRecord) -> None:
    query = "SELECT 1 FROM cameras WHERE name = ? AND id <> ?"
    if connection.execute(query, (camera.name, camera.id)).fetchone():
        raise Conflict(f"There is a camera named “{camera.name}” already. Choose another name.", code="name_in_use")


def _missing(camera_id: str) -> NotFound:
    return NotFound(f"There is no camera {camera_id}.")


def _record(row: sqlite3.Row) -> CameraRecord:
    values = dict(row)
    return CameraRecord(**{**values, "enabled": bool(values["enabled"]), "loop": bool(values["loop"])})
