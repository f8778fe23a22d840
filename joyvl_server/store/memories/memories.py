"""The record of memories: added, found, changed, forgotten, always together with their words and vectors."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from joyvl_server.core.errors import ConfigError, NotFound
from joyvl_server.store.memories.records import (
    COLUMNS,
    MAX_PAGE,
    CollectionSize,
    MemoryFilter,
    MemoryRecord,
    place_token,
    record_of,
    values_of,
)
from joyvl_server.store.memories.vectors import embedders_in
from joyvl_server.store.memories.words import phrases, quoted, words
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.write_queue import PostListener

MAX_WORDS = 16
"""words of a search that count"""
FORGET_BATCH = 500
MERGE_PAGES = 500
"""of the index of words in one transaction, while what was forgotten is taken out of it"""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted: its id and what belongs to it."""

    id: str
    collection: str
    event_id: str | None
    kind: str


class Memories:
    """Every write is one transaction: a memory is never there without its words."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, memories: Iterable[MemoryRecord]) -> None:
        """An id that is there already is left as it is. Raises `StoreError`. Cancelled, they may be written."""
        several = list(memories)

        def work(connection: sqlite3.Connection) -> None:
            for memory in several:
                insert(connection, memory)

        await self._db.write(work)

    def post(self, memory: MemoryRecord, listener: PostListener | None = None) -> bool:
        """Written as soon as the disk takes it, unless the event that it is from has been deleted by then; nobody
        waits. See `Database.post`."""
        return self._db.post(partial(_insert_late, memory=memory), listener=listener)

    async def get(self, memory_id: str) -> MemoryRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        row = await self._db.read(lambda c: c.execute("SELECT * FROM memories WHERE id = ?", (memory_id,)).fetchone())
        if row is None:
            raise _missing(memory_id)
        return record_of(row)

    async def list(
        self, filter: MemoryFilter, *, limit: int = 50, before: str | None = None
    ) -> builtins.list[MemoryRecord]:
        """Newest written first, at most `limit` (1 to 1000); `before`: the last id of the page before.

        Cancelling it changes nothing.
        """
        chosen, values = _chosen(filter)
        clauses = [clause for clause in (chosen, "id < ?" if before else "") if clause]
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT * FROM memories {where} ORDER BY id DESC LIMIT ?"
        values = [*values, *([before] if before else []), min(max(limit, 1), MAX_PAGE)]
        return [record_of(row) for row in await self._db.read(lambda c: c.execute(query, values).fetchall())]

    async def count(self, filter: MemoryFilter) -> int:
        """Cancelling it changes nothing."""
        chosen, values = _chosen(filter)
        query = f"SELECT count(*) FROM memories {f'WHERE {chosen}' if chosen else ''}"
        return int(await self._db.read(lambda c: c.execute(query, values).fetchone()[0]))

    async def collections(self) -> builtins.list[CollectionSize]:
        """Each with what is in it, by name. Cancelling it changes nothing."""
        query = (
            "SELECT collection, max(camera_id) AS camera_id, count(*) AS count, min(wall) AS oldest, "
            "max(until_wall) AS newest FROM memories GROUP BY collection ORDER BY collection"
        )
        return [CollectionSize(**dict(row)) for row in await self._db.read(lambda c: c.execute(query).fetchall())]

    async def change(self, memory_id: str, *, text: str | None = None, kept: bool | None = None) -> MemoryRecord:
        """Where the text is another one, its vectors are gone until it is embedded again. Raises `NotFound`.

        Cancelled, it may be changed all the same.
        """

        def work(connection: sqlite3.Connection) -> MemoryRecord:
            row = connection.execute("SELECT * FROM memories WHERE id = ?", (memory_id,)).fetchone()
            if row is None:
                raise _missing(memory_id)
            was = record_of(row)
            memory = replace(was, text=was.text if text is None else text, kept=was.kept if kept is None else kept)
            if memory.text != row["text"]:
                _unlink(connection, [(row["seq"], memory.collection, memory.id)])
                _insert_words(connection, row["seq"], memory)
            connection.execute(
                "UPDATE memories SET text = ?, kept = ? WHERE seq = ?", (memory.text, memory.kept, row["seq"])
            )
            return memory

        return await self._db.write(work)

    async def forget(self, filter: MemoryFilter) -> builtins.list[Forgotten]:
        """Delete them for good, words and vectors too; the index is told later what it must forget (`removals`).

        Raises `ConfigError` for a filter without a condition: see `forget_all`. Cancelled, some may be deleted.
        """
        if filter == MemoryFilter():
            raise ConfigError("Name what is to be forgotten.")
        return await self._forget(filter)

    async def forget_all(self) -> builtins.list[Forgotten]:
        """Cancelled, some may be deleted."""
        return await self._forget(MemoryFilter())

    async def trim(self, *, before: float | None, most: int) -> builtins.list[Forgotten]:
        """Delete the oldest that are not kept: those that ended before this wall time, and those beyond a number.

        Cancelled, some may be deleted.
        """
        gone = [] if before is None else await self._forget(MemoryFilter(kept=False), "until_wall < ?", [before])
        beyond = await self.count(MemoryFilter()) - most
        if beyond > 0:
            oldest = "seq IN (SELECT seq FROM memories WHERE NOT kept ORDER BY wall LIMIT ?)"
            gone += await self._forget(MemoryFilter(kept=False), oldest, [beyond])
        return gone

    async def _forget(
        self, filter: MemoryFilter, more: str = "", more_values: Iterable[object] = ()
    ) -> builtins.list[Forgotten]:
        chosen, values = _chosen(filter)
        where = " AND ".join(clause for clause in (chosen, more) if clause)
        query = f"SELECT seq, id, collection, event_id, kind FROM memories {f'WHERE {where}' if where else ''}"
        bound = [*values, *more_values]
        rows = await self._db.read(lambda c: c.execute(query, bound).fetchall())
        for begin in range(0, len(rows), FORGET_BATCH):
            await self._db.write(partial(_delete, rows=rows[begin : begin + FORGET_BATCH]))
        if rows:
            await self._merge()
        return [Forgotten(row["id"], row["collection"], row["event_id"], row["kind"]) for row in rows]

    async def _merge(self) -> None:
        """Words that were deleted stay in the index of words until its parts are merged into one."""
        pages = -MERGE_PAGES  # below 0: to begin
        while await self._db.write(partial(_merge_words, pages=pages)):
            pages = MERGE_PAGES


def insert(connection: sqlite3.Connection, memory: MemoryRecord) -> None:
    """For a listener of another record's transaction, too."""
    values = values_of(memory)
    marks = ",".join("?" * len(values))
    query = f"INSERT INTO memories ({','.join(COLUMNS)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
    cursor = connection.execute(query, values)
    if cursor.rowcount and cursor.lastrowid is not None:
        _insert_words(connection, cursor.lastrowid, memory)


def _insert_late(connection: sqlite3.Connection, memory: MemoryRecord) -> None:
    there = "SELECT 1 FROM events WHERE id = ?"
    if memory.event_id is None or connection.execute(there, (memory.event_id,)).fetchone() is not None:
        insert(connection, memory)


def match_all(text: str) -> str:
    """An FTS5 query for texts with every word of `text`; empty where it has none."""
    return " AND ".join(
        f"text : {quoted(phrase)}{'' if len(phrase) > 1 else ' *'}" for phrase in phrases(text, MAX_WORDS)
    )


def _insert_words(connection: sqlite3.Connection, seq: int, memory: MemoryRecord) -> None:
    connection.execute(
        "INSERT INTO memory_words (rowid, place, text) VALUES (?,?,?)",
        (seq, place_token(memory.collection), " ".join(words(memory.text))),
    )


def _chosen(filter: MemoryFilter) -> tuple[str, list[object]]:
    clause, values = filter.clauses()
    if filter.words.strip():
        match = match_all(filter.words)
        if not match:
            return "0", []
        found = "seq IN (SELECT rowid FROM memory_words WHERE memory_words MATCH ?)"
        clause, values = f"{clause} AND {found}" if clause else found, [*values, match]
    return clause, values


def _delete(connection: sqlite3.Connection, rows: builtins.list[sqlite3.Row]) -> None:
    _unlink(connection, [(row["seq"], row["collection"], row["id"]) for row in rows])
    connection.executemany("DELETE FROM memories WHERE seq = ?", [(row["seq"],) for row in rows])


def _unlink(connection: sqlite3.Connection, memories: builtins.list[tuple[int, str, str]]) -> None:
    """Take away words and vectors; what the index has of them is noted as to be removed."""
    indexed = embedders_in(connection, "memory_indexed")
    for seq, collection, memory_id in memories:
        connection.execute("DELETE FROM memory_words WHERE rowid = ?", (seq,))
        for embedder in indexed:
            if connection.execute(
                "DELETE FROM memory_indexed WHERE embedder = ? AND seq = ?", (embedder, seq)
            ).rowcount:
                connection.execute("INSERT OR IGNORE INTO memory_removals VALUES (?, ?)", (collection, memory_id))
    stored = embedders_in(connection, "memory_vectors")
    connection.executemany(
        "DELETE FROM memory_vectors WHERE embedder = ? AND seq = ?",
        [(embedder, memory[0]) for embedder in stored for memory in memories],
    )


def _merge_words(connection: sqlite3.Connection, pages: int) -> bool:
    """True while there is more to merge."""
    before = connection.total_changes
    connection.execute("INSERT INTO memory_words (memory_words, rank) VALUES ('merge', ?)", (pages,))
    return connection.total_changes - before >= 2


def _missing(memory_id: str) -> NotFound:
    return NotFound(f"There is no memory {memory_id}.")
