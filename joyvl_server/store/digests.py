"""What each day of a camera was, in a few words."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from joyvl_server.store.sqlite.database import Database

DigestSource = Literal["engine", "counts"]
KEPT = 20_000
"""Days of cameras that are kept; the oldest go."""


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """`day`: YYYY-MM-DD in the server's time zone. `source`: who wrote `text`. `done`: the day is over, it stays so.
    `counts`: how often what happened. `event_ids`: events that it rests on, oldest first."""

    camera_id: str
    day: str
    text: str
    counts: dict[str, int] = field(default_factory=dict)
    event_ids: tuple[str, ...] = ()
    source: DigestSource = "counts"
    done: bool = False
    written_wall: float = 0.0


class Digests:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, camera_id: str, day: str) -> DigestRecord | None:
        """Cancelling it changes nothing."""
        query = "SELECT * FROM digests WHERE camera_id = ? AND day = ?"
        row = await self._db.read(lambda c: c.execute(query, (camera_id, day)).fetchone())
        return None if row is None else _record(row)

    async def list(
        self, *, cameras: Sequence[str] = (), day: str | None = None, limit: int = 100
    ) -> builtins.list[DigestRecord]:
        """The newest days first, at most `limit`; of `cameras`: none given, all. Cancelling it changes nothing."""
        clauses = [f"camera_id IN ({', '.join('?' * len(cameras))})"] if cameras else []
        values: builtins.list[object] = [*cameras]
        if day is not None:
            clauses.append("day = ?")
            values.append(day)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT * FROM digests {where} ORDER BY day DESC, camera_id LIMIT ?"
        rows = await self._db.read(lambda c: c.execute(query, (*values, limit)).fetchall())
        return [_record(row) for row in rows]

    async def put(self, digest: DigestRecord) -> DigestRecord:
        """Write it in place of an earlier one; one that is done stays, unless a clock that was ahead wrote it: that is
        returned then.

        Cancelled, it may be written all the same.
        """
        values = (
            digest.camera_id, digest.day, digest.text, json.dumps(digest.counts), json.dumps(digest.event_ids),
            digest.source, digest.done, digest.written_wall,
        )  # fmt: skip

        def work(connection: sqlite3.Connection) -> DigestRecord:
            key = (digest.camera_id, digest.day)
            row = connection.execute("SELECT * FROM digests WHERE camera_id = ? AND day = ?", key).fetchone()
            if row is not None and row["done"] and row["written_wall"] <= digest.written_wall:
                return _record(row)
            # What is forgotten meanwhile would come back with it: the next look writes it.
            if connection.execute("SELECT 1 FROM erasures WHERE at_wall >= ?", (digest.written_wall,)).fetchone():
                return digest
            connection.execute("INSERT OR REPLACE INTO digests VALUES (?,?,?,?,?,?,?,?)", values)
            connection.execute(
                "DELETE FROM digests WHERE (camera_id, day) IN "
                "(SELECT camera_id, day FROM digests ORDER BY day DESC LIMIT -1 OFFSET ?)",
                (KEPT,),
            )
            return digest

        return await self._db.write(work)


def _record(row: sqlite3.Row) -> DigestRecord:
    values = dict(row)
    decoded = {"counts": json.loads(values["counts"]), "event_ids": tuple(json.loads(values["event_ids"]))}
    return DigestRecord(**{**values, **decoded, "done": bool(values["done"])})
