"""Moves the ticks that joyvl.db held before they had a database of their own.

Interrupted, it goes on at the next start.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import Any

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.errors import is_damage, is_storage_fault
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.ticks.spans import insert_spans, session_number

log = structlog.get_logger(__name__)

BATCH = 2_000
SMALLEST = 64
"""Rows about a damaged place that are given up together."""


async def move_old_ticks(main: Database, ticks: Database) -> None:
    """Does nothing where there are none. Cancelled, it goes on at the next start.

    What stands in a damaged part of the file is lost; a full disk leaves the rest where it is until the next start.
    """
    query = "SELECT 1 FROM sqlite_master WHERE name = 'old_ticks'"
    if not await main.read(lambda c: c.execute(query).fetchone()):
        return
    started = time.monotonic()
    moved = lost = 0
    try:
        sessions, newest = await asyncio.to_thread(_overview, main)
        done = int(await ticks.read(lambda c: c.execute("SELECT seq FROM moved").fetchone()[0]))
        while done < newest:
            begun = time.monotonic()
            upto = min(done + BATCH, newest)
            rows, gone = await asyncio.to_thread(_rows, main, done, upto)
            await ticks.write(partial(_insert, sessions=sessions, rows=rows, upto=upto))
            moved, lost, done = moved + len(rows), lost + gone, upto
            await asyncio.sleep(time.monotonic() - begun)  # half of the time is for the sessions
        await _empty(main, newest)
        await asyncio.to_thread(_drop, main)
    except (StoreError, sqlite3.Error) as error:
        log.error("old ticks are not moved", error=str(error))
        return
    if moved or lost:
        took = round(time.monotonic() - started, 1)
        log.info("old ticks are moved to ticks.db", ticks=moved, damaged=lost, seconds=took)


def _overview(main: Database) -> tuple[dict[int, str], int]:
    """The sessions by their numbers, and the newest row."""
    with closing(main.connect(read_only=True)) as connection:
        sessions = {int(number): str(id) for number, id in connection.execute("SELECT * FROM old_tick_sessions")}
        newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'old_ticks'").fetchone()
    return sessions, 0 if newest is None else int(newest[0])


def _rows(main: Database, after: int, upto: int) -> tuple[list[dict[str, Any]], int]:
    """Those with `after` < seq <= `upto`, and how many of them a damaged page may have held."""
    query, values = "SELECT * FROM old_ticks WHERE seq > ? AND seq <= ?", (after, upto)
    try:
        with closing(main.connect(read_only=True)) as connection:
            return [dict(row) for row in connection.execute(query, values)], 0
    except sqlite3.DatabaseError as error:
        if not is_storage_fault(error):
            raise
        if upto - after <= SMALLEST:
            return [], upto - after
    middle = (after + upto) // 2
    (first, gone), (second, gone_too) = _rows(main, after, middle), _rows(main, middle, upto)
    return [*first, *second], gone + gone_too


def _insert(connection: sqlite3.Connection, *, sessions: dict[int, str], rows: list[dict[str, Any]], upto: int) -> None:
    rows.sort(key=lambda row: int(row["session"]))
    for number, some in groupby(rows, key=lambda row: int(row["session"])):
        session_id = sessions.get(number)
        if session_id is not None:
            ticks = [_record(session_id, row) for row in some]
            insert_spans(connection, session_number(connection, session_id), ticks)
    connection.execute("UPDATE moved SET seq = ?", (upto,))


def _record(session_id: str, row: dict[str, Any]) -> TickRecord:
    more = json.loads(row.pop("more") or "{}")
    if "box" in more:
        more["box"] = tuple(more["box"])
    watches = tuple(json.loads(row.pop("watches") or "[]"))
    del row["seq"], row["session"]
    return TickRecord(session_id=session_id, watches=watches, **row, **more)


async def _empty(main: Database, newest: int) -> None:
    """Delete all rows, some at a time.

    Dropping a table of millions would delay every other write for seconds, and write all of it into the log first.
    """
    upto = await asyncio.to_thread(_first, main)
    while upto is not None and upto <= newest:
        begun = time.monotonic()
        upto += BATCH
        if not await asyncio.to_thread(_delete, main, upto):
            return
        await asyncio.sleep(time.monotonic() - begun)


def _first(main: Database) -> int | None:
    """The oldest row; None where there is none, or where it cannot be read."""
    try:
        with closing(main.connect(read_only=True)) as connection:
            first = connection.execute("SELECT min(seq) FROM old_ticks").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return None
    return None if first is None else int(first)


def _delete(main: Database, upto: int) -> bool:
    """Rows before this one. False where the file is damaged there."""
    try:
        with closing(main.connect(read_only=False)) as connection:
            connection.execute("DELETE FROM old_ticks WHERE seq < ?", (upto,))
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    return True


def _drop(main: Database) -> None:
    """A damaged table cannot be dropped: it stays under another name."""
    with closing(main.connect(read_only=False)) as connection:
        for table in ("old_ticks", "old_tick_sessions"):
            try:
                connection.execute(f"DROP TABLE {table}")
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                log.warning("a damaged table stays in the file", table=table, error=str(error))
                connection.execute(f"ALTER TABLE {table} RENAME TO damaged_{table}")
