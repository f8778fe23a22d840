"""Ticks in their database: fresh ones as they came, older ones packed into spans whose details go first."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

import structlog

from joyvl_server.store.ticks.records import TickRecord, pack, unpack

log = structlog.get_logger(__name__)

SPAN_TICKS = 600
TRIM_BATCH = 200
"""Spans deleted with one commit."""
ALL = 1 << 62
"""Greater than any id."""
SPANS = (
    "SELECT s.last, s.scores, d.data FROM spans s LEFT JOIN details d ON d.seq = s.seq "
    "WHERE s.session = ? AND s.last >= ? AND s.first < ? ORDER BY s.last DESC"
)


class DamageLog:
    """Logs once that ticks cannot be read. Thread-safe."""

    def __init__(self) -> None:
        self._logged = False

    def report(self, error: ValueError) -> None:
        if not self._logged:
            self._logged = True
            log.error("some ticks cannot be read", error=str(error))


def insert_fresh(connection: sqlite3.Connection, ticks: Iterable[TickRecord]) -> None:
    """Keep ticks as they came, a row for each session."""
    of: dict[str, list[TickRecord]] = defaultdict(list)
    for tick in ticks:
        of[tick.session_id].append(tick)
    for session_id, some in of.items():
        some.sort(key=lambda tick: tick.id)
        connection.execute(
            "INSERT INTO fresh (session, first, last, scores, details) VALUES (?,?,?,?,?)",
            (session_number(connection, session_id), some[0].id, some[-1].id, *pack(some)),
        )


def session_number(connection: sqlite3.Connection, session_id: str) -> int:
    """The short number that stands for a session in this database; a new one where it has none."""
    found = connection.execute("SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)).fetchone()
    if found is not None:
        return int(found[0])
    made = connection.execute("INSERT INTO tick_sessions (session_id) VALUES (?)", (session_id,)).lastrowid
    assert made is not None
    return made


def pack_fresh(connection: sqlite3.Connection, damage: DamageLog) -> None:
    """Pack all fresh ticks into long spans, in the same transaction."""
    rows = connection.execute("SELECT session, scores, details FROM fresh ORDER BY session").fetchall()
    for session, some in groupby(rows, key=lambda row: int(row["session"])):
        insert_spans(connection, session, _unpack_all("", ((row["scores"], row["details"]) for row in some), damage))
    connection.execute("DELETE FROM fresh")


def insert_spans(connection: sqlite3.Connection, session: int, ticks: Iterable[TickRecord]) -> None:
    """Keep ticks of one session, in any order, in spans of `SPAN_TICKS`."""
    one_of_each = {tick.id: tick for tick in ticks}
    ordered = [one_of_each[id] for id in sorted(one_of_each)]
    for start in range(0, len(ordered), SPAN_TICKS):
        span = ordered[start : start + SPAN_TICKS]
        scores, details = pack(span)
        last = span[-1].id
        seq = connection.execute(
            "INSERT INTO spans (session, first, last, scores) VALUES (?,?,?,?)", (session, span[0].id, last, scores)
        ).lastrowid
        connection.execute("INSERT INTO details VALUES (?,?,?)", (seq, last, details))


def drop_details(connection: sqlite3.Connection, before: int = ALL) -> bool:
    """Delete a batch of the oldest details, of ticks whose ids are below `before`. False where there is none."""
    upto = _end_of_oldest(connection, "details", before)
    if upto is not None:
        connection.execute("DELETE FROM details WHERE seq <= ?", (upto,))
    return upto is not None


def drop_spans(connection: sqlite3.Connection, before: int = ALL) -> None:
    """Delete a batch of the oldest spans, of ticks whose ids are below `before`, and sessions that have none left."""
    upto = _end_of_oldest(connection, "spans", before)
    if upto is None:
        return
    connection.execute("DELETE FROM details WHERE seq <= ?", (upto,))
    touched = connection.execute("SELECT DISTINCT session FROM spans WHERE seq <= ?", (upto,)).fetchall()
    connection.execute("DELETE FROM spans WHERE seq <= ?", (upto,))
    connection.executemany(
        "DELETE FROM tick_sessions WHERE number = :n AND NOT EXISTS (SELECT 1 FROM spans WHERE session = :n) "
        "AND NOT EXISTS (SELECT 1 FROM fresh WHERE session = :n)",
        [{"n": row["session"]} for row in touched],
    )


def _end_of_oldest(connection: sqlite3.Connection, table: str, before: int) -> int | None:
    """The last seq of a batch of the oldest rows that are old enough, None for none. Rows lie in the order of time."""
    upto = None
    # Mostly the first row says that there is nothing to do. The table's name comes from here, not from outside.
    for seq, last in connection.execute(f"SELECT seq, last FROM {table} ORDER BY seq LIMIT {TRIM_BATCH}"):
        if last >= before:
            break
        upto = int(seq)
    return upto


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def newest_ticks(
    connection: sqlite3.Connection, session_id: str, lowest: int, beyond: int, wanted: int, damage: DamageLog
) -> list[TickRecord]:
    """Of one session, with `lowest` <= id < `beyond`, newest first."""
    row = connection.execute("SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)).fetchone()
    if row is None:
        return []
    values = (row["number"], lowest, beyond)
    found: dict[int, TickRecord] = {}

    def add(blobs: Iterable[tuple[bytes, bytes | None]]) -> None:
        found.update((t.id, t) for t in _unpack_all(session_id, blobs, damage) if lowest <= t.id < beyond)

    fresh = "SELECT scores, details FROM fresh WHERE session = ? AND last >= ? AND first < ?"
    add((scores, details) for scores, details in connection.execute(fresh, values))
    for last, scores, details in connection.execute(SPANS, values):
        if len(found) >= wanted and sorted(found, reverse=True)[wanted - 1] > last:
            break
        add([(scores, details)])
    return [found[id] for id in sorted(found, reverse=True)[:wanted]]


def _unpack_all(
    session_id: str, blobs: Iterable[tuple[bytes, bytes | None]], damage: DamageLog
) -> Iterator[TickRecord]:
    """The ticks of many spans; what is damaged is left out and logged."""
    for scores, details in blobs:
        try:
            yield from unpack(session_id, scores, details)
        except ValueError as error:
            damage.report(error)
