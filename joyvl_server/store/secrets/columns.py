"""What of the database is sealed: addresses of cameras and options of hooks, whole, and kept answers to creates."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable, sealing_key


def holds_no_secret(url: str) -> bool:
    """Files have no password, and are found without the key."""
    return url[:5].lower() == "file:"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    table: str
    name: str

    def place(self, row_id: str) -> str:
        """What a value is bound to."""
        return f"{self.table}/{row_id}/{self.name}"

    def seal(self, box: SecretBox, row_id: str, value: str) -> str:
        """As it is stored. Raises `StoreError` (secrets_locked)."""
        return value if holds_no_secret(value) else box.seal(value, self.place(row_id))

    def open(self, box: SecretBox, row_id: str, value: str) -> str:
        """Raises `SecretUnreadable`."""
        return box.open(value, self.place(row_id))


CAMERA_URL = SealedColumn("cameras", "url")
HOOK_OPTIONS = SealedColumn("hooks", "options")
COLUMNS = (CAMERA_URL, HOOK_OPTIONS)


def values(connection: sqlite3.Connection) -> Iterator[tuple[SealedColumn, str, str]]:
    """Each column that may hold a secret, with the id of its row and its value; only of tables that there are."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for column in COLUMNS:
        if column.table in tables:
            rows = connection.execute(f"SELECT id, {column.name} FROM {column.table}").fetchall()
            yield from ((column, row[0], row[1]) for row in rows if not holds_no_secret(row[1]))


def keys_in_use(connection: sqlite3.Connection) -> set[str]:
    """Ids of the keys with which something is sealed."""
    return {found for _, _, value in values(connection) if (found := sealing_key(value))}


def seal_all(connection: sqlite3.Connection, box: SecretBox) -> int:
    """Seal what is in clear, or was sealed with an older key, in the transaction of the caller; how many there were.

    What cannot be opened stays as it is. Raises `StoreError` (secrets_locked).
    """
    sealed = 0
    for column, row_id, value in values(connection):
        if sealing_key(value) == box.newest:
            continue
        try:
            fresh = box.seal(column.open(box, row_id, value), column.place(row_id))
        except SecretUnreadable:
            continue
        query = f"UPDATE {column.table} SET {column.name} = ? WHERE id = ?"
        connection.execute(query, (fresh, row_id))
        sealed += 1
    return sealed + _drop_clear_answers(connection)


def unreadable(connection: sqlite3.Connection, box: SecretBox) -> list[str]:
    """`table/id` of each row whose secret cannot be opened."""
    found = []
    for column, row_id, value in values(connection):
        try:
            column.open(box, row_id, value)
        except SecretUnreadable:
            found.append(f"{column.table}/{row_id}")
    return found


def _drop_clear_answers(connection: sqlite3.Connection) -> int:
    """Kept answers of an older version are in clear: for a day at most, so they go."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'idempotency'").fetchone():
        return 0
    return connection.execute("DELETE FROM idempotency WHERE typeof(body) = 'blob'").rowcount
