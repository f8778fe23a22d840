"""Keys: what a client shows, with its role. Plain functions over a connection, and the server's own way to them."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Mapping

from joyvl_server.core.errors import Conflict, NotAllowed, NotFound
from joyvl_server.store.access.records import KeyRecord
from joyvl_server.store.sqlite.database import Database

MOST = 1000


def all_keys(connection: sqlite3.Connection) -> list[KeyRecord]:
    """Every key, oldest first, those that are over too."""
    rows = connection.execute("SELECT * FROM keys ORDER BY id")
    return [KeyRecord(**{**dict(row), "cameras": tuple(json.loads(row["cameras"]))}) for row in rows]


def add_key(connection: sqlite3.Connection, key: KeyRecord) -> None:
    """Raises `Conflict` for a name in use, `NotAllowed` (too_many) for the 1001st."""
    if connection.execute("SELECT 1 FROM keys WHERE name = ?", (key.name,)).fetchone():
        raise Conflict(f"There is a key named “{key.name}” already. Choose another name.", code="name_in_use")
    if connection.execute("SELECT count(*) FROM keys").fetchone()[0] >= MOST:
        raise NotAllowed(f"There are {MOST} keys already. Remove one first.", code="too_many")
    values = (
        key.id, key.name, key.digest, key.role, json.dumps(key.cameras), key.created_wall, key.expires_wall,
        key.used_wall,
    )  # fmt: skip
    connection.execute("INSERT INTO keys VALUES (?,?,?,?,?,?,?,?)", values)


def remove_key(connection: sqlite3.Connection, name: str) -> KeyRecord:
    """The removed key, found by its id or its name; browsers that signed in with it are out. Raises `NotFound`."""
    found = next((key for key in all_keys(connection) if name in (key.id, key.name)), None)
    if found is None:
        raise NotFound(f"There is no key {name[:100]}.")
    connection.execute("DELETE FROM keys WHERE id = ?", (found.id,))
    connection.execute("DELETE FROM logins WHERE key = ?", (found.id,))
    return found


class StoredKeys:
    """The keys of a running server."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> builtins.list[KeyRecord]:
        """See `all_keys`. Raises `StoreError`. Cancelling it changes nothing."""
        return await self._db.read(all_keys)

    async def add(self, key: KeyRecord) -> None:
        """See `add_key`. Raises `StoreError`. Cancelled, it may be written all the same."""
        await self._db.write(lambda connection: add_key(connection, key))

    async def remove(self, name: str) -> KeyRecord:
        """See `remove_key`. Raises `StoreError`. Cancelled, it may be removed all the same."""
        return await self._db.write(lambda connection: remove_key(connection, name))

    def used(self, at: Mapping[str, float]) -> None:
        """When keys were last used, by their ids, in Unix seconds. Nobody waits for it."""
        rows = [(wall, key_id) for key_id, wall in at.items()]
        self._db.post(lambda c: c.executemany("UPDATE keys SET used_wall = ? WHERE id = ?", rows), hurry=False)
