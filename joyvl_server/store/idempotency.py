"""Answers to creates that carried an `Idempotency-Key`, so that a client that asks twice creates once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable
from joyvl_server.store.sqlite.database import Database

KEPT_S = 24 * 3600.0
KEPT = 10_000
KEPT_OF_CALLER = 2_000
"""so that nobody pushes out the answers of others"""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """`body_hash` names the request's body, so that the same key with another body can be refused."""

    key: str
    route: str
    status: int
    headers: dict[str, str]
    body: bytes
    body_hash: str
    created_wall: float


class IdempotencyKeys:
    """Kept for 24 hours, and at most 10,000 of them, 2,000 of one caller: `key` is `CALLER:KEY`. Answers may hold what
    is shown once, so they are sealed; where the key is not there, with one of this process, so that they are kept
    until its end."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._passing = SecretBox.passing()

    async def get(self, key: str, route: str, *, now: float | None = None) -> StoredAnswer | None:
        """The answer given to this key on this route, None where none is valid any more. `now`: Unix seconds.

        Cancelling it changes nothing.
        """
        valid = (time.time() if now is None else now) - KEPT_S
        query = "SELECT * FROM idempotency WHERE key = ? AND route = ? AND created_wall > ?"

        def work(connection: sqlite3.Connection) -> StoredAnswer | None:
            row = connection.execute(query, (key, route, valid)).fetchone()
            if row is None:
                return None
            for box in (self._db.secrets, self._passing):
                with suppress(SecretUnreadable):
                    body = box.open_bytes(str(row["body"]), _place(key, route))
                    return StoredAnswer(**{**dict(row), "headers": json.loads(row["headers"]), "body": body})
            return None

        return await self._db.read(work)

    async def put(
        self,
        key: str,
        route: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        body_hash: str,
        *,
        share: str | None = None,
        now: float | None = None,
    ) -> None:
        """Keep an answer. The first one for a key and route stays. Cancelled, it may be kept all the same.

        `share`: what the keys of one caller begin with, a colon at its end; of these only `KEPT_OF_CALLER` are kept.
        """
        at = time.time() if now is None else now

        def work(connection: sqlite3.Connection) -> None:
            box = self._db.secrets if self._db.secrets.fault is None else self._passing
            sealed = box.seal_bytes(body, _place(key, route))
            row = (key, route, status, json.dumps(dict(headers)), sealed, body_hash, at)
            connection.execute("DELETE FROM idempotency WHERE created_wall <= ?", (at - KEPT_S,))
            connection.execute("INSERT INTO idempotency VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING", row)
            bounds: list[tuple[str, tuple[Any, ...]]] = [("1", (KEPT,))]
            if share is not None:  # all that begins with it: the semicolon is what comes after the colon
                bounds.insert(0, ("key >= ? AND key < ?", (share, f"{share[:-1]};", KEPT_OF_CALLER)))
            for where, values in bounds:
                connection.execute(
                    "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency "
                    f"WHERE {where} ORDER BY created_wall DESC, rowid DESC LIMIT -1 OFFSET ?)",
                    values,
                )

        await self._db.write(work)


def _place(key: str, route: str) -> str:
    return f"idempotency/{key}/{route}"
