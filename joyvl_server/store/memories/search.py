"""Memories by the words of a question: each word is looked for alone, rare ones count more; never more than a few
milliseconds, however many memories there are."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord, place_token, record_of
from joyvl_server.store.memories.words import quoted, terms
from joyvl_server.store.sqlite.database import Database

T = TypeVar("T")

MAX_TERMS = 12
NEWEST = 300
"""memories with a word that are looked at, newest first"""


class MemorySearch:
    """Reads only."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def by_words(self, text: str, filter: MemoryFilter, limit: int) -> list[tuple[int, float]]:
        """`seq` of those that share words with `text`, best first, and which part of these words each has, 0 to 1.

        Cancelling it changes nothing.
        """
        searched = terms(text, MAX_TERMS)
        if not searched:
            return []
        return await self._db.read(lambda connection: _weigh(connection, searched, filter)[:limit])

    async def newest(self, filter: MemoryFilter, limit: int) -> list[int]:
        """`seq` of those that match, the latest in time first. Cancelling it changes nothing."""
        where, values = filter.clauses()
        query = f"SELECT seq FROM memories {f'WHERE {where}' if where else ''} ORDER BY wall DESC LIMIT ?"
        return [row[0] for row in await self._db.read(lambda c: c.execute(query, (*values, limit)).fetchall())]

    async def numbers(self, ids: Sequence[str]) -> dict[str, int]:
        """`seq` of each memory that is there. Cancelling it changes nothing."""
        query = f"SELECT id, seq FROM memories WHERE id IN ({','.join('?' * len(ids))})"
        return {row[0]: row[1] for row in await self._db.read(lambda c: c.execute(query, list(ids)).fetchall())}

    async def records(
        self, numbers: Sequence[int], filter: MemoryFilter, use: Callable[[dict[int, MemoryRecord]], T]
    ) -> T:
        """What `use` makes, in the thread that reads, of those of these `seq` that are there and match.

        Cancelling it changes nothing.
        """
        where, values = filter.clauses()
        query = f"SELECT * FROM memories WHERE seq IN ({','.join('?' * len(numbers))})"
        if where:
            query += f" AND {where}"

        def work(connection: sqlite3.Connection) -> T:
            rows = connection.execute(query, (*numbers, *values)).fetchall()
            return use({row["seq"]: record_of(row) for row in rows})

        return await self._db.read(work)


def _weigh(
    connection: sqlite3.Connection, searched: list[tuple[str, ...]], filter: MemoryFilter
) -> list[tuple[int, float]]:
    newest = connection.execute("SELECT max(seq) FROM memories").fetchone()[0]
    if newest is None:
        return []
    place = " OR ".join(quoted((place_token(collection),)) for collection in filter.collections)
    first, last = _bounds(connection, filter, newest)
    between = "rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?"
    query = f"SELECT rowid FROM memory_words WHERE memory_words MATCH ? AND {between}"
    weights: defaultdict[int, float] = defaultdict(float)
    shared: Counter[int] = Counter()
    for term in searched:
        match = f"text : {quoted(term)}" + (f" AND place : ({place})" if place else "")
        found = [row[0] for row in connection.execute(query, (match, first, last, NEWEST))]
        if not found:
            continue
        # Where the newest few hundred reach back only so far, there are as many more before.
        reach = last - first + 1 if len(found) < NEWEST else last - found[-1] + 1
        frequent = len(found) / max(reach, 1)
        weight = math.log(1.0 + 1.0 / max(frequent, 1e-9))
        for seq in found:
            weights[seq] += weight
        shared.update(found)
    best = sorted(weights, key=lambda seq: (-weights[seq], -seq))
    return [(seq, shared[seq] / len(searched)) for seq in best]


def _bounds(connection: sqlite3.Connection, filter: MemoryFilter, newest: int) -> tuple[int, int]:
    """Between which `seq` all that match the filter's time lie."""
    if filter.since is None and filter.until is None:
        return 1, newest
    where, values = MemoryFilter(collections=filter.collections, since=filter.since, until=filter.until).clauses()
    found = connection.execute(f"SELECT min(seq), max(seq) FROM memories WHERE {where}", values).fetchone()
    return (1, 0) if found[0] is None else (found[0], found[1])
