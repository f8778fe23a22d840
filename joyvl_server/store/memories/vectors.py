"""Vectors of memories: which are missing, and which the index lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from joyvl_server.store.sqlite.database import Database

Vector = NDArray[np.float32]
STORED = np.dtype("<f2")
IN_USE = "embedder"
Table = Literal["memory_vectors", "memory_indexed"]


@dataclass(frozen=True, slots=True)
class Unembedded:
    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Unindexed:
    """`vector`: one row of numbers, as the embedder gave it."""

    seq: int
    id: str
    collection: str
    day: int
    vector: Vector


class MemoryVectors:
    """Vectors of several embedders may be there at once: one is in use while another one's are made."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def in_use(self) -> str | None:
        """The embedder by whose vectors is searched, None at the very start. Cancelling it changes nothing."""
        query = "SELECT value FROM memory_state WHERE name = ?"
        row = await self._db.read(lambda c: c.execute(query, (IN_USE,)).fetchone())
        return None if row is None else str(row[0])

    async def use(self, embedder: str) -> None:
        """From now on by this one's. Cancelled, it may be written all the same."""
        query = "INSERT INTO memory_state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        await self._db.write(lambda c: c.execute(query, (IN_USE, embedder)))

    async def are_more_than(self, count: int) -> bool:
        """Cancelling it changes nothing."""
        query = "SELECT 1 FROM memory_vectors LIMIT 1 OFFSET ?"
        return await self._db.read(lambda c: c.execute(query, (count,)).fetchone()) is not None

    async def embedders(self) -> list[str]:
        """Those that have vectors here. Cancelling it changes nothing."""
        return await self._db.read(lambda c: embedders_in(c, "memory_vectors"))

    async def unembedded(self, embedder: str, limit: int, *, after: int = 0) -> list[Unembedded]:
        """Memories without a vector of it, oldest written first. Cancelling it changes nothing."""
        query = (
            "SELECT seq, text FROM memories m WHERE seq > ? AND NOT EXISTS "
            "(SELECT 1 FROM memory_vectors WHERE embedder = ? AND seq = m.seq) ORDER BY seq LIMIT ?"
        )
        rows = await self._db.read(lambda c: c.execute(query, (after, embedder, limit)).fetchall())
        return [Unembedded(*row) for row in rows]

    async def put(self, embedder: str, vectors: Iterable[tuple[Unembedded, Vector]]) -> None:
        """Of a memory that has been forgotten or changed meanwhile nothing is written. Cancelled, they may be."""
        rows = [(embedder, of.seq, vector.astype(STORED).tobytes(), of.seq, of.text) for of, vector in vectors]
        query = (
            "INSERT OR REPLACE INTO memory_vectors SELECT ?, ?, ? WHERE EXISTS "
            "(SELECT 1 FROM memories WHERE seq = ? AND text = ?)"
        )
        await self._db.write(lambda c: c.executemany(query, rows))

    async def progress(self, embedders: Sequence[str]) -> tuple[int, int]:
        """How many steps of how many are done: each memory is embedded and indexed by each. Cancelling it changes
        nothing."""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            total = connection.execute("SELECT count(*) FROM memories").fetchone()[0] * 2 * len(embedders)
            done = sum(
                connection.execute(f"SELECT count(*) FROM {table} WHERE embedder = ?", (embedder,)).fetchone()[0]
                for table in ("memory_vectors", "memory_indexed")
                for embedder in embedders
            )
            return done, total

        return await self._db.read(work)

    async def drop(self, embedder: str) -> None:
        """All its vectors. Cancelled, they may be gone all the same."""

        def work(connection: sqlite3.Connection) -> None:
            for table in ("memory_vectors", "memory_indexed"):
                connection.execute(f"DELETE FROM {table} WHERE embedder = ?", (embedder,))

        await self._db.write(work)

    # ------------------------------------------------------------------------------------------------- what is indexed

    async def unindexed(self, embedder: str, limit: int, *, after: int = 0) -> list[Unindexed]:
        """Vectors that the index does not have, in the order of their memories. Cancelling it changes nothing."""
        query = (
            "SELECT m.seq, m.id, m.collection, m.day, v.vector FROM memory_vectors v JOIN memories m ON m.seq = v.seq "
            "WHERE v.embedder = ? AND v.seq > ? AND NOT EXISTS "
            "(SELECT 1 FROM memory_indexed WHERE embedder = v.embedder AND seq = v.seq) ORDER BY v.seq LIMIT ?"
        )
        rows = await self._db.read(lambda c: c.execute(query, (embedder, after, limit)).fetchall())
        return [
            Unindexed(row[0], row[1], row[2], row[3], np.frombuffer(row[4], STORED).astype(np.float32)) for row in rows
        ]

    async def indexed(self, embedder: str, vectors: Sequence[Unindexed]) -> None:
        """The index has these. One that was forgotten meanwhile is noted as to be removed. Cancelled, it may be
        written."""

        def work(connection: sqlite3.Connection) -> None:
            for vector in vectors:
                there = connection.execute(
                    "SELECT 1 FROM memory_vectors WHERE embedder = ? AND seq = ?", (embedder, vector.seq)
                ).fetchone()
                table = "memory_indexed" if there else "memory_removals"
                key = (embedder, vector.seq) if there else (vector.collection, vector.id)
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", key)

        await self._db.write(work)

    async def indexed_counts(self, embedder: str) -> dict[str, int]:
        """How many the index should have, by collection. Cancelling it changes nothing."""
        query = (
            "SELECT m.collection, count(*) FROM memory_indexed i JOIN memories m ON m.seq = i.seq WHERE i.embedder = ? "
            "GROUP BY m.collection"
        )
        return dict(await self._db.read(lambda c: [tuple(row) for row in c.execute(query, (embedder,)).fetchall()]))

    async def unindex(self, embedder: str, collection: str | None = None) -> None:
        """The index has lost them: of one collection, or all. Cancelled, it may be written all the same."""
        query = "DELETE FROM memory_indexed WHERE embedder = ?"
        values: tuple[str, ...] = (embedder,)
        if collection is not None:
            query += " AND seq IN (SELECT seq FROM memories WHERE collection = ?)"
            values += (collection,)
        await self._db.write(lambda c: c.execute(query, values))

    async def removals(self, limit: int) -> list[tuple[str, str]]:
        """Collection and id of what the index must forget. Cancelling it changes nothing."""
        query = "SELECT collection, id FROM memory_removals LIMIT ?"
        return [tuple(row) for row in await self._db.read(lambda c: c.execute(query, (limit,)).fetchall())]

    async def removed(self, gone: Sequence[tuple[str, str]]) -> None:
        """The index has forgotten these. Cancelled, it may be written all the same."""
        query = "DELETE FROM memory_removals WHERE collection = ? AND id = ?"
        await self._db.write(lambda c: c.executemany(query, gone))


def embedders_in(connection: sqlite3.Connection, table: Table) -> list[str]:
    """Skips from one to the next, however many vectors each has."""
    found: list[str] = []
    query = f"SELECT embedder FROM {table} WHERE embedder > ? ORDER BY embedder LIMIT 1"
    while (row := connection.execute(query, (found[-1] if found else "",)).fetchone()) is not None:
        found.append(str(row[0]))
    return found


def nearness(hit: tuple[int, float]) -> tuple[float, int]:
    """To sort by, nearest first; of those equally near, whoever computed it, the one written last."""
    return (-round(hit[1], 3), -hit[0])
