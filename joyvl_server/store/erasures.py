"""What is forgotten for good: the journal of it, and what is deleted besides memories and events.

Deleted bytes are overwritten (`PRAGMA secure_delete`); what is left of them in the log of SQLite and in the indexes of
words goes with `purge`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from joyvl_server.store.erasure_records import ErasedEvent, ErasureScope, Past
from joyvl_server.store.sqlite.copying import remove_copies
from joyvl_server.store.sqlite.database import Database

log = structlog.get_logger(__name__)

PRIVATE = ("spoke", "delegated", "watch_fired", "heard", "query_asked", "query_closed", "task", "played", "cut_off")
"""events that tell what was seen, said or heard; the others tell that a camera or an engine came and went"""
KEPT = 1000
"""Rows of the journal that stay. What comes later than this many further erasures is taken again."""
MERGE_PAGES = 500
"""of an index of words in one transaction"""
LOG_TRIES = 50
LOG_PAUSE_S = 0.2
"""Readers may still look at what the log of SQLite holds: it is emptied when they are done."""
HEARD_S = 10.0
"""Seconds around a query within which the same words were heard, if it was said."""
ANSWERS = "'query_closed', 'spoke', 'watch_fired', 'delegated'"
_IDS = re.compile(r"(?:mem|evt)_[0-9a-z]{26}")
_BATCH = 200


@dataclass(slots=True)
class WordIndex:
    """An FTS5 table whose deleted words are taken out of its parts, some pages at a time."""

    table: str
    pages: int = field(default=-MERGE_PAGES, init=False)

    def merge(self, connection: sqlite3.Connection) -> bool:
        """True while there is more to do. The table's name comes from here, not from outside."""
        before = connection.total_changes
        connection.execute(f"INSERT INTO {self.table} ({self.table}, rank) VALUES ('merge', ?)", (self.pages,))
        self.pages = MERGE_PAGES
        return connection.total_changes - before >= 2


class Erasures:
    """The journal, and the statements that need no other record. All for the event loop's thread."""

    def __init__(self, db: Database, ticks: Database) -> None:
        self._db = db
        self._ticks = ticks

    async def begin(self, scope: ErasureScope, wall: float) -> int:
        """Write it down at `wall` (Unix seconds); its number. From now on nothing of that past is written any more: of
        what is over by then, the time to come is nobody's past.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> int:
            number = 0
            for past, kind, text in self._rows(scope):
                sessions: Sequence[str | None] = (None,) if past.sessions is None else past.sessions
                for session in sessions:
                    row = (text, past.camera_id, session, past.since, min(past.until, wall), kind, wall)
                    cursor = connection.execute(
                        "INSERT INTO erasures (scope, camera_id, session_id, since, until, kind, at_wall, done) "
                        "VALUES (?,?,?,?,?,?,?,?)",
                        (*row, text == ""),
                    )
                    number = number or int(cursor.lastrowid or 0)
                    text = ""
            connection.execute(
                "DELETE FROM erasures WHERE done = 1 AND id <= (SELECT max(id) FROM erasures) - ?", (KEPT,)
            )
            return number

        return await self._db.write(work)

    def _rows(self, scope: ErasureScope) -> list[tuple[Past, str | None, str]]:
        """(time, kind, scope) of each row; the first has the scope. A time of no length is nobody's past."""
        first = scope.past or Past(0.0, 0.0)
        return [(first, None, scope.to_json()), *((past, "account", "") for past in scope.accounts)]

    async def unfinished(self) -> list[tuple[int, ErasureScope]]:
        """What was begun and not done, the oldest first. Cancelling it changes nothing."""
        query = "SELECT id, scope FROM erasures WHERE done = 0 AND scope <> '' ORDER BY id"
        rows = await self._db.read(lambda c: c.execute(query).fetchall())
        return [(row["id"], ErasureScope.from_json(row["scope"])) for row in rows]

    async def clock_is(self, wall: float) -> bool:
        """What was written down by a clock that was ahead of `wall` (Unix seconds) holds for times before it. True
        where there was any. Cancelled, it may be written all the same."""
        ahead = "SELECT 1 FROM erasures WHERE at_wall > ? LIMIT 1"
        if await self._db.read(lambda c: c.execute(ahead, (wall,)).fetchone()) is None:
            return False
        change = "UPDATE erasures SET until = min(until, ?1), at_wall = ?1 WHERE at_wall > ?1"
        await self._db.write(lambda c: c.execute(change, (wall,)).rowcount)
        return True

    async def done(self, number: int) -> None:
        """Nothing is left of it, and nothing says any more which ones they were. Cancelled, it may be written."""
        await self._db.write(lambda c: c.execute("UPDATE erasures SET scope = '', done = 1 WHERE id = ?", (number,)))

    # ------------------------------------------------------------------------------------------------ what goes with it

    async def resting_on(self, ids: Iterable[str]) -> set[str]:
        """Ids of the answers that rest on one of these events or memories. It looks through all answers.

        Cancelling it changes nothing.
        """
        wanted = set(ids)
        await self._db.write(lambda c: None)  # what was posted before is seen
        return await self._db.read(lambda c: _resting_on(c, wanted)) if wanted else set()

    async def asked(self, session_id: str, query_id: str) -> set[str]:
        """Events that tell what was asked in that query. Cancelling it changes nothing."""
        return await self._db.write(lambda c: _asked(c, session_id, query_id))  # after what was posted before

    async def conversations(self, ids: Iterable[str]) -> set[str]:
        """These events, with each one's question and answers. Cancelling it changes nothing."""
        wanted = set(ids)
        return await self._db.write(lambda c: _conversations(c, wanted))  # after what was posted before

    async def traced(self, ids: Iterable[str]) -> tuple[tuple[ErasedEvent, ...], tuple[str, ...]]:
        """The events of these ids, and the same remarks played or cut off; and ids of the tasks that they are about.

        Cancelling it changes nothing.
        """
        wanted = set(ids)
        return await self._db.read(lambda c: _traced(c, wanted))

    async def delete_with(self, scope: ErasureScope) -> None:
        """Alerts and what was to be sent of them, days in words, answers that are kept for a client that asks again.

        Cancelled, it may be done all the same.
        """
        await self._db.write(lambda c: _delete_with(c, scope))

    async def tasks(self, past: Past) -> list[str]:
        """Ids of the tasks of a time. Cancelling it changes nothing."""
        where, values = past.clauses("created_wall")
        rows = await self._db.read(lambda c: c.execute(f"SELECT id FROM tasks WHERE {where}", values).fetchall())
        return [row["id"] for row in rows]

    async def sessions(self, past: Past) -> tuple[str, ...] | None:
        """The sessions of a camera, also of an earlier version's events; None: any."""
        if past.sessions is not None or past.camera_id is None:
            return past.sessions
        query = (
            "SELECT id FROM sessions WHERE camera_id = ?1 "
            "UNION SELECT DISTINCT session_id FROM events WHERE camera_id = ?1"
        )
        rows = await self._db.read(lambda c: c.execute(query, (past.camera_id,)).fetchall())
        return tuple(row[0] for row in rows)

    async def purge(self) -> bool:
        """Take deleted words out of the indexes of words, empty the logs of SQLite, remove copies made before
        migrations. False where somebody still reads the log: then it must be tried again. Cancelled, some are left."""
        for table in ("event_words", "memory_words"):
            index = WordIndex(table)
            while await self._db.write(index.merge):
                pass
        emptied = [await asyncio.to_thread(partial(_empty_log, db)) for db in (self._db, self._ticks)]
        return all(emptied)


def _resting_on(connection: sqlite3.Connection, wanted: set[str]) -> set[str]:
    """An answer names what it rests on. Where that is nothing else, what was asked tells it too: "Remember that …"."""
    answers = connection.execute(
        f"SELECT id, session_id, data FROM events WHERE type IN ({ANSWERS}) AND instr(data, '\"rests_on\"') > 0"
    ).fetchall()
    found: set[str] = set()
    for row in answers:
        named = set(_IDS.findall(row["data"]))
        if wanted & named:
            found.add(row["id"])
            if named <= wanted:
                found |= _asked(connection, row["session_id"], json.loads(row["data"]).get("query_id"))
    return found


def _asked(connection: sqlite3.Connection, session_id: str, query_id: object) -> set[str]:
    """What was asked in that query, typed or heard."""
    said = "SELECT id, text, wall FROM events WHERE session_id = ? AND type IN ('heard', 'query_asked') AND "
    asked = connection.execute(
        said + "type = 'query_asked' AND json_extract(data, '$.query_id') = ?", (session_id, query_id)
    ).fetchall()
    heard = [
        row
        for one in asked
        for row in connection.execute(
            said + "type = 'heard' AND wall BETWEEN ? AND ? AND text = ?",
            (session_id, one["wall"] - HEARD_S, one["wall"] + HEARD_S, one["text"]),
        )
    ]
    return {row["id"] for row in (*asked, *heard)}


def _conversations(connection: sqlite3.Connection, wanted: set[str]) -> set[str]:
    found = set(wanted)
    query_of = "coalesce(json_extract(data, '$.query_id'), json_extract(data, '$.query'))"
    answers = f"SELECT id FROM events WHERE session_id = ? AND type IN ({ANSWERS}) AND {query_of} = ?"
    for id in wanted:
        for row in connection.execute(f"SELECT session_id, {query_of} FROM events WHERE id = ?", (id,)).fetchall():
            if row[1] is not None:
                found |= _asked(connection, *row)
                found |= {answer["id"] for answer in connection.execute(answers, tuple(row))}
    return found


def _traced(connection: sqlite3.Connection, wanted: set[str]) -> tuple[tuple[ErasedEvent, ...], tuple[str, ...]]:
    found: dict[str, ErasedEvent] = {}
    tasks: set[str] = set()

    def take(row: sqlite3.Row) -> None:
        data = json.loads(row["data"])
        epoch, task = data.get("epoch"), data.get("task")
        if isinstance(task, dict) and isinstance(task.get("id"), str):
            tasks.add(task["id"])
        event = ErasedEvent(row["id"], row["session_id"], row["camera_id"], row["wall"], epoch)
        found[event.id] = event if isinstance(epoch, int) else replace(event, epoch=None)

    columns = "id, session_id, camera_id, wall, data"
    for id in wanted:
        for row in connection.execute(f"SELECT {columns} FROM events WHERE id = ?", (id,)):
            take(row)
    for event in list(found.values()):
        if event.epoch is not None:
            query = (
                f"SELECT {columns} FROM events WHERE session_id = ? AND id > ? AND wall < ? AND "
                "type IN ('played', 'cut_off', 'query_closed') AND json_extract(data, '$.epoch') = ?"
            )
            # Ids sort by time.
            for row in connection.execute(query, (event.session_id, event.id[:10], event.wall + 3600, event.epoch)):
                take(row)
    return tuple(found.values()), tuple(sorted(tasks))


def _delete_with(connection: sqlite3.Connection, scope: ErasureScope) -> None:
    if scope.past is not None:
        where, values = scope.past.clauses()
        _delete_alerts(connection, f"{where} AND kind IN ('watch_fired', 'task')", values)
        _delete_digests(connection, scope.past)
        connection.execute("DELETE FROM idempotency")
    for event in scope.events:
        _delete_alerts(connection, "event_id = ?", [event.id])
        _delete_digests(connection, Past(event.wall, event.wall, event.camera_id, (event.session_id,)))
    for account in scope.accounts:
        _delete_digests(connection, account)
    if scope.events or scope.memories:
        # What was answered to a client that told a fact or asked a question: few, and of one day at most.
        connection.execute("DELETE FROM idempotency")


def _delete_digests(connection: sqlite3.Connection, past: Past) -> None:
    """Days that may tell of it. They are counted or written once more from what is left."""
    # A day begins in the server's zone, at most 14 hours from where it begins here.
    where = "CAST(strftime('%s', day) AS INTEGER) BETWEEN ? - 140000 AND ? + 54000"
    values: list[object] = [past.since, past.until]
    if past.camera_id is not None:
        where += " AND camera_id = ?"
        values.append(past.camera_id)
    elif past.sessions is not None:
        where += " AND camera_id IN (SELECT camera_id FROM sessions WHERE id IN (SELECT value FROM json_each(?)))"
        values.append(json.dumps(past.sessions))
    connection.execute(f"DELETE FROM digests WHERE {where}", values)


def _delete_alerts(connection: sqlite3.Connection, where: str, values: Sequence[object]) -> None:
    chosen = f"SELECT id FROM alerts WHERE {where}"
    connection.execute(f"DELETE FROM deliveries WHERE alert_id IN ({chosen})", values)
    connection.execute(f"DELETE FROM alerts WHERE {where}", values)


def _empty_log(db: Database) -> bool:
    """Blocks for some seconds at most. False where it is to be tried again."""
    try:
        remove_copies(db.path)
        with closing(db.connect(read_only=False)) as connection:
            for _ in range(LOG_TRIES):
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return True
                time.sleep(LOG_PAUSE_S)
    except (sqlite3.Error, OSError) as error:
        log.warning("the log of the database cannot be emptied now", store=db.path.name, error=str(error))
    return False
