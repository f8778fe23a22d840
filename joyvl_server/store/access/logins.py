"""Signed-in browsers, and the one-time links by which the first one gets in."""

from __future__ import annotations

import builtins
import sqlite3

from joyvl_server.core.errors import NotFound
from joyvl_server.store.access.records import LoginRecord
from joyvl_server.store.sqlite.database import Database

MOST = 2000
"""browsers; the ones used longest ago are signed out"""
MOST_CODES = 20


def add_code(connection: sqlite3.Connection, digest: str, until_wall: float, now: float) -> None:
    """A link that opens once, until `until_wall` (Unix seconds). Older ones beyond the newest 20 open no more."""
    connection.execute("DELETE FROM login_codes WHERE until_wall <= ?", (now,))
    connection.execute("INSERT OR REPLACE INTO login_codes VALUES (?,?)", (digest, until_wall))
    connection.execute(
        "DELETE FROM login_codes WHERE rowid IN (SELECT rowid FROM login_codes ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
        (MOST_CODES,),
    )


def all_logins(connection: sqlite3.Connection, now: float) -> list[LoginRecord]:
    """All that are valid at `now` (Unix seconds), oldest first."""
    rows = connection.execute("SELECT * FROM logins WHERE until_wall > ? ORDER BY created_wall, digest", (now,))
    return [LoginRecord(**dict(row)) for row in rows]


def end_login(connection: sqlite3.Connection, login_id: str) -> LoginRecord:
    """Sign the browser with this id out. Raises `NotFound`."""
    found = next((login for login in all_logins(connection, 0.0) if login.id == login_id), None)
    if found is None:
        raise NotFound(f"There is no signed-in browser {login_id[:100]}.")
    connection.execute("DELETE FROM logins WHERE digest = ?", (found.digest,))
    return found


class Logins:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self, now: float) -> builtins.list[LoginRecord]:
        """See `all_logins`. Raises `StoreError`. Cancelling it changes nothing."""
        return await self._db.read(lambda c: all_logins(c, now))

    async def add(self, login: LoginRecord) -> None:
        """Raises `StoreError`. Cancelled, it may be written all the same."""

        def work(connection: sqlite3.Connection) -> None:
            values = (
                login.digest, login.key, login.created_wall, login.until_wall, login.address, login.used_wall,
            )  # fmt: skip
            connection.execute("DELETE FROM logins WHERE until_wall <= ?", (login.created_wall,))
            connection.execute("INSERT INTO logins VALUES (?,?,?,?,?,?)", values)
            connection.execute(
                "DELETE FROM logins WHERE digest IN "
                "(SELECT digest FROM logins ORDER BY until_wall DESC LIMIT -1 OFFSET ?)",
                (MOST,),
            )

        await self._db.write(work)

    async def remove(self, digest: str) -> None:
        """Sign one out. Raises `StoreError`. Cancelled, it may be removed all the same."""
        await self._db.write(lambda c: c.execute("DELETE FROM logins WHERE digest = ?", (digest,)))

    def used(self, login: LoginRecord) -> None:
        """It was used, and is valid until then. Nobody waits for it."""
        values = (login.until_wall, login.used_wall, login.digest)
        query = "UPDATE logins SET until_wall = ?, used_wall = ? WHERE digest = ?"
        self._db.post(lambda c: c.execute(query, values), hurry=False)

    async def add_code(self, digest: str, until_wall: float, now: float) -> None:
        """See `add_code`. Raises `StoreError`. Cancelled, it may be written all the same."""
        await self._db.write(lambda c: add_code(c, digest, until_wall, now))

    async def take_code(self, digest: str, now: float) -> bool:
        """Does this link open? From now on it does no more. Raises `StoreError`. Cancelled, it may be used up."""

        def work(connection: sqlite3.Connection) -> bool:
            query = "DELETE FROM login_codes WHERE digest = ? RETURNING until_wall"
            row = connection.execute(query, (digest,)).fetchone()
            return row is not None and row["until_wall"] > now

        return await self._db.write(work)
