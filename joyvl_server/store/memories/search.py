"""Memories that a question may mean: by its words, where each is looked for alone and rare ones count more, by its time
and by its meaning; never more than a few milliseconds, however many memories there are.

What many rows would give is asked for as one text (`group_concat`): SQLite then works without holding Python up.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from joyvl_server.store.memories.nearest import Numbers, nearest, numbers_of
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord, place_token, record_of
from joyvl_server.store.memories.vectors import Vector
from joyvl_server.store.memories.words import quoted, terms
from joyvl_server.store.sqlite.database import Database

T = TypeVar("T")

MAX_TERMS = 12
NEWEST = 300
"""memories with a word that are looked at, newest first"""


class BriefMemory(NamedTuple):
    """What it takes to weigh a memory."""

    seq: int
    id: str
    collection: str
    kind: str
    text: str
    wall: float
    event_id: str | None


@dataclass(frozen=True, slots=True)
class FirstLook:
    """`words`: `seq` of those that share words with the question, best first, and which part of these words each has, 0
    to 1. `latest`: where a time is asked for, the latest in it. `all`: `seq` of all that match, where they are few."""

    words: list[tuple[int, float]]
    latest: list[int]
    all: Numbers | None


class MemorySearch:
    """Reads only."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self, text: str, filter: MemoryFilter, *, few: int, limit: int) -> FirstLook:
        """At most `limit` by words and of the latest; `few`: as many may all be. Cancelling it changes nothing."""
        searched = terms(text, MAX_TERMS)

        def work(connection: sqlite3.Connection) -> FirstLook:
            timed = filter.since is not None or filter.until is not None
            matching = _matching(connection, filter, few + 1, ordered=timed)
            every = matching if matching.size <= few else None
            found = _by_words(connection, searched, filter, _bounds(connection, filter, every), limit)
            return FirstLook(found, matching[:limit].tolist() if timed else [], every)

        return await self._db.read(work)

    async def read(self, filter: MemoryFilter, use: Callable[[MemoryReader], T]) -> T:
        """What `use` makes, in the thread that reads. Cancelling it changes nothing."""
        return await self._db.read(lambda connection: use(MemoryReader(connection, filter)))


class MemoryReader:
    """For a thread that reads: one snapshot, and what matches a filter in it."""

    def __init__(self, connection: sqlite3.Connection, filter: MemoryFilter) -> None:
        self._connection = connection
        self._filter = filter

    def latest(self, limit: int) -> Numbers:
        """`seq` of those that match, the latest in time first."""
        return _matching(self._connection, self._filter, limit, ordered=True)

    def numbers(self, ids: Sequence[str]) -> dict[str, int]:
        """`seq` of each memory that is there."""
        query = f"SELECT id, seq FROM memories WHERE id IN ({','.join('?' * len(ids))})"
        return {row[0]: row[1] for row in self._connection.execute(query, list(ids))}

    def nearest(self, embedder: str, vector: Vector, numbers: Numbers, limit: int) -> list[tuple[int, float]]:
        """See `nearest`."""
        return nearest(self._connection, embedder, vector, numbers, limit)

    def brief(self, numbers: Sequence[int]) -> dict[int, BriefMemory]:
        """By `seq`, those of them that are there and match."""
        where, values = self._filter.clauses()
        cursor = self._connection.cursor()
        cursor.row_factory = None  # plain tuples
        query = f"SELECT {','.join(BriefMemory._fields)} FROM memories WHERE seq IN ({','.join('?' * len(numbers))})"
        cursor.execute(f"{query} AND {where}" if where else query, (*numbers, *values))
        return {row[0]: BriefMemory._make(row) for row in cursor.fetchall()}

    def whole(self, numbers: Sequence[int]) -> dict[int, MemoryRecord]:
        """By `seq`, in this order, those that are there."""
        query = f"SELECT * FROM memories WHERE seq IN ({','.join('?' * len(numbers))})"
        found = {row["seq"]: record_of(row) for row in self._connection.execute(query, list(numbers))}
        return {number: found[number] for number in numbers if number in found}


def _matching(connection: sqlite3.Connection, filter: MemoryFilter, most: int, *, ordered: bool) -> Numbers:
    """`seq` of at most `most` of those that match; `ordered`: the latest in time first."""
    where, values = filter.clauses()
    query = f"SELECT seq FROM memories {f'WHERE {where}' if where else ''} {'ORDER BY wall DESC' if ordered else ''}"
    listed = connection.execute(f"SELECT group_concat(seq) FROM ({query} LIMIT ?)", (*values, most)).fetchone()[0]
    return numbers_of(listed)


def _by_words(
    connection: sqlite3.Connection,
    searched: list[tuple[str, ...]],
    filter: MemoryFilter,
    bounds: tuple[int, int],
    limit: int,
) -> list[tuple[int, float]]:
    first, last = bounds
    place = " OR ".join(quoted((place_token(collection),)) for collection in filter.collections)
    matching = "SELECT rowid FROM memory_words WHERE memory_words MATCH ? AND rowid BETWEEN ? AND ?"
    query = f"SELECT group_concat(rowid) FROM ({matching} ORDER BY rowid DESC LIMIT ?)"
    found: list[Numbers] = []
    weights: list[float] = []
    for term in searched if first <= last else ():
        match = f"text : {quoted(term)}" + (f" AND place : ({place})" if place else "")
        seqs = numbers_of(connection.execute(query, (match, first, last, NEWEST)).fetchone()[0])
        if not seqs.size:
            continue
        # Where the newest few hundred reach back only so far, there are as many more before.
        reach = last - first + 1 if seqs.size < NEWEST else last - int(seqs.min()) + 1
        frequent = seqs.size / max(reach, 1)
        found.append(seqs)
        weights.append(math.log(1.0 + 1.0 / max(frequent, 1e-9)))
    if not found:
        return []
    all_found, places = np.unique(np.concatenate(found), return_inverse=True)
    sums = np.bincount(places, np.repeat(weights, [seqs.size for seqs in found]))
    shared = np.bincount(places)
    best = np.lexsort((-all_found, -sums))[:limit]
    return [(int(all_found[n]), float(shared[n]) / len(searched)) for n in best]


def _bounds(connection: sqlite3.Connection, filter: MemoryFilter, every: Numbers | None) -> tuple[int, int]:
    """Between which `seq` all lie that match the filter's time; `every`: all that match, where they are known."""
    if every is not None:
        return (int(every.min()), int(every.max())) if every.size else (1, 0)
    if filter.since is None and filter.until is None:
        return 1, connection.execute("SELECT coalesce(max(seq), 0) FROM memories").fetchone()[0]
    where, values = MemoryFilter(collections=filter.collections, since=filter.since, until=filter.until).clauses()
    found = connection.execute(f"SELECT min(seq), max(seq) FROM memories WHERE {where}", values).fetchone()
    return (1, 0) if found[0] is None else (found[0], found[1])
