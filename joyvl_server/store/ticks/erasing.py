"""Takes the words out of ticks that are there to stay: score, decision and timings are left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.ticks.records import TickRecord, pack, unpack

BATCH = 50
"""Spans in one transaction."""
EARLIER_S = 60.0
"""A tick may have been decided this long before its id says, never later."""

TABLES = {
    "fresh": (
        "SELECT seq, scores, details FROM fresh WHERE session = ? AND seq > ? AND last >= ? AND first <= ?",
        "UPDATE fresh SET details = ? WHERE seq = ?",
    ),
    "spans": (
        "SELECT s.seq, s.scores, d.data AS details FROM spans s JOIN details d ON d.seq = s.seq "
        "WHERE s.session = ? AND s.seq > ? AND s.last >= ? AND s.first <= ?",
        "UPDATE details SET data = ? WHERE seq = ?",
    ),
}

Forgets = Callable[[TickRecord], bool]


async def blank_ticks(db: Database, session_ids: Iterable[str] | None, since: float, until: float, of: Forgets) -> int:
    """Take text, question, detail and attribution out of the ticks of these sessions (None: all) between two wall
    times for which `of` is true; how many. Cancelled, some may be left."""
    lowest, highest = round((since - EARLIER_S) * 1e6), round((until + EARLIER_S) * 1e6)
    count = 0
    for number, session_id in await db.read(lambda c: _numbers(c, session_ids)):
        for table in TABLES:
            span = TickSpan(table, number, session_id, lowest, highest)
            while not span.done:
                count += await db.write(partial(_blank, span=span, of=of))
    return count


@dataclass(slots=True)
class TickSpan:
    """Rows of one session in one table, looked through a batch at a time."""

    table: str
    number: int
    session_id: str
    lowest: int
    highest: int
    after: int = -1
    done: bool = False


def _numbers(connection: sqlite3.Connection, session_ids: Iterable[str] | None) -> list[tuple[int, str]]:
    query = "SELECT number, session_id FROM tick_sessions"
    if session_ids is None:
        return [(row[0], row[1]) for row in connection.execute(query)]
    found = (connection.execute(f"{query} WHERE session_id = ?", (id,)).fetchone() for id in session_ids)
    return [(row[0], row[1]) for row in found if row is not None]


def _blank(connection: sqlite3.Connection, span: TickSpan, of: Forgets) -> int:
    """Of one batch, how many ticks lost their words."""
    query, change = TABLES[span.table]
    values = (span.number, span.after, span.lowest, span.highest)
    rows = connection.execute(f"{query} ORDER BY 1 LIMIT {BATCH}", values).fetchall()
    count = 0
    for row in rows:
        try:
            ticks = unpack(span.session_id, row["scores"], row["details"])
        except ValueError:
            continue  # nobody can read it
        blanked = [_without_words(tick) if of(tick) else tick for tick in ticks]
        if blanked != ticks:
            connection.execute(change, (pack(blanked)[1], row["seq"]))
            count += sum(before != now for before, now in zip(ticks, blanked, strict=True))
    span.done = len(rows) < BATCH
    span.after = span.after if span.done else int(rows[-1]["seq"])
    return count


def _without_words(tick: TickRecord) -> TickRecord:
    return replace(tick, text="", question="", detail="", attribution=None)
