"""Registered cameras."""

from __future__ import annotations

import builtins
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable
from joyvl_server.store.secrets.columns import CAMERA_URL
from joyvl_server.store.sessions import SessionRecord, insert_session
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.watches import WatchRecord, insert_watch


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """`url` may hold a password: mask it for anybody. Where its key is not there it is as stored, sealed: no source
    opens it, and it is written back as it is. `spec`: the session's settings as the text of a JSON object."""

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
            row = _row(camera, self._db.secrets)
            connection.execute("INSERT INTO cameras VALUES (?,?,?,?,?,?,?,?,?,?)", row)
            if session is not None:
                insert_session(connection, session)
            for watch in wanted:
                insert_watch(connection, watch)

        await self._db.write(work)

    async def get(self, camera_id: str) -> CameraRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> CameraRecord | None:
            row = connection.execute("SELECT * FROM cameras WHERE id = ?", (camera_id,)).fetchone()
            return None if row is None else _record(row, self._db.secrets)

        found = await self._db.read(work)
        if found is None:
            raise _missing(camera_id)
        return found

    async def list(self) -> builtins.list[CameraRecord]:
        """All cameras, oldest first. Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> builtins.list[CameraRecord]:
            rows = connection.execute("SELECT * FROM cameras ORDER BY id").fetchall()
            return [_record(row, self._db.secrets) for row in rows]

        return await self._db.read(work)

    async def is_apart(self, camera_id: str, *, now: float | None = None) -> bool:
        """Is there a key that may look at this camera and not at others? `now`: Unix seconds.

        Cancelling it changes nothing.
        """
        query = (
            "SELECT 1 FROM keys, json_each(keys.cameras) AS camera WHERE camera.value = ? AND role != 'ingest' "
            "AND (expires_wall IS NULL OR expires_wall > ?) LIMIT 1"
        )
        values = (camera_id, time.time() if now is None else now)
        return await self._db.read(lambda c: c.execute(query, values).fetchone()) is not None

    async def update(self, camera: CameraRecord) -> None:
        """Replace the stored camera of that id. Raises `Conflict` for a name in use, `NotFound`.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, camera)
            cursor = connection.execute(
                "UPDATE cameras SET name=?, url=?, enabled=?, loop=?, speed=?, session_id=?, created_wall=?, "
                "updated_wall=?, spec=? WHERE id = ?",
                (*_row(camera, self._db.secrets)[1:], camera.id),
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


def _row(camera: CameraRecord, secrets: SecretBox) -> tuple[object, ...]:
    """Raises `StoreError` (secrets_locked)."""
    return astuple(replace(camera, url=CAMERA_URL.seal(secrets, camera.id, camera.url)))


def _record(row: sqlite3.Row, secrets: SecretBox) -> CameraRecord:
    values = dict(row)
    with suppress(SecretUnreadable):  # `secrets.fault` tells it; whoever opens the source learns of it
        values["url"] = CAMERA_URL.open(secrets, values["id"], values["url"])
    return CameraRecord(**{**values, "enabled": bool(values["enabled"]), "loop": bool(values["loop"])})
