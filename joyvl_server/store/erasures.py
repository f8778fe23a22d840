"""What is forgotten for good: the journal of it, and what is deleted beside memories and events.

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

from joyvl_server.store.sqlite.database import Database

log = structlog.get_logger(__name__)

PRIVATE = ("spoke", "delegated", "watch_fired", "heard", "query_asked", "query_closed", "task", "played", "cut_off")
"""events that tell what was seen, said or heard; the others tell that a camera or an engine came and went"""
KEPT = 1000
"""Rows of the journal that stay: what was written later than so many erasures ago is nobody's past any more."""
MERGE_PAGES = 500
"""of an index of words in one transaction"""
LOG_TRIES = 50
LOG_PAUSE_S = 0.2
"""Readers may still look at what the log of SQLite holds: it is emptied when they are done."""
_IDS = re.compile(r"(?:mem|evt)_[0-9a-z]{26}")
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Past:
    """A time of one camera or of some sessions, or of all: `since` (included) to `until` (left out), Unix seconds."""

    since: float
    until: float
    camera_id: str | None = None
    sessions: tuple[str, ...] | None = None
    """None: any"""
    open: bool = False
    """Whatever is there now, though the clock may have been ahead. Not so where a kill interrupted it."""

    def clauses(self, wall: str = "wall", camera: str = "camera_id") -> tuple[str, list[object]]:
        """The conditions for a table with these columns and `session_id`, and their values."""
        found, values = [f"{wall} >= ?", f"{wall} < ?"], [self.since, self.until]
        bound: list[object] = [*values]
        if self.camera_id is not None:
            found.append(f"{camera} = ?")
            bound.append(self.camera_id)
        if self.sessions is not None:
            found.append("session_id IN (SELECT value FROM json_each(?))")
            bound.append(json.dumps(self.sessions))
        return " AND ".join(found), bound


@dataclass(frozen=True, slots=True)
class ErasedEvent:
    """What finds the traces of an event elsewhere. `epoch`: of the remark that it is."""

    id: str
    session_id: str
    camera_id: str | None
    wall: float
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class ErasureScope:
    """`past`: all of a time; else these memories and events, and what tells the same."""

    past: Past | None = None
    memories: tuple[str, ...] = ()
    events: tuple[ErasedEvent, ...] = ()
    tasks: tuple[str, ...] = ()
    accounts: tuple[Past, ...] = ()
    """times whose summaries are forgotten: none of them is taken any more"""
    sessions: tuple[str, ...] | None = None
    """of the past: those whose ticks have words; None: any"""

    def to_json(self) -> str:
        return json.dumps(
            {
                "past": None if self.past is None else _past_json(self.past),
                "memories": self.memories,
                "events": [[e.id, e.session_id, e.camera_id, e.wall, e.epoch] for e in self.events],
                "tasks": self.tasks,
                "sessions": self.sessions,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ErasureScope:
        told = json.loads(text)
        past = told["past"]
        return cls(
            None if past is None else Past(past[0], past[1], past[2], None if past[3] is None else tuple(past[3])),
            tuple(told["memories"]),
            tuple(ErasedEvent(*event) for event in told["events"]),
            tuple(told["tasks"]),
            sessions=None if told["sessions"] is None else tuple(told["sessions"]),
        )


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
        """Write it down; its number. From now on nothing of that past is written any more.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> int:
            number = 0
            for past, kind, text in self._rows(scope):
                sessions: Sequence[str | None] = (None,) if past.sessions is None else past.sessions
                for session in sessions:
                    row = (text, past.camera_id, session, past.since, past.until, kind, wall)
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

    async def done(self, number: int) -> None:
        """Nothing is left of it, and nothing says any more which ones they were. Cancelled, it may be written."""
        await self._db.write(lambda c: c.execute("UPDATE erasures SET scope = '', done = 1 WHERE id = ?", (number,)))

    # ------------------------------------------------------------------------------------------------ what goes with it

    async def traced(self, ids: Iterable[str]) -> tuple[tuple[ErasedEvent, ...], tuple[str, ...]]:
        """The events of these ids, and those that tell the same: the same remark played or cut off, answers that rest
        on one of them or on one of these memories; and ids of the tasks that they are about. Cancelling it changes
        nothing."""
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
        """Take deleted words out of the indexes of words, and empty the logs of SQLite. False where somebody still
        reads the log: then it must be tried again. Cancelled, some may be left."""
        for table in ("event_words", "memory_words"):
            index = WordIndex(table)
            while await self._db.write(index.merge):
                pass
        emptied = [await asyncio.to_thread(partial(_empty_log, db)) for db in (self._db, self._ticks)]
        return all(emptied)


def _past_json(past: Past) -> list[object]:
    return [past.since, past.until, past.camera_id, past.sessions]


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
    # An answer names what it rests on.
    for row in connection.execute(
        f"SELECT {columns} FROM events WHERE type IN ('query_closed', 'spoke') AND instr(data, '\"rests_on\"') > 0"
    ):
        if wanted.intersection(_IDS.findall(row["data"])):
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
        day = "strftime('%s', day)"
        about, bound = replace(scope.past, sessions=None).clauses(f"CAST({day} AS INTEGER)")
        if scope.past.sessions is None:
            bound[0] = scope.past.since - 2 * 86_400  # a day may begin in another zone
            bound[1] = scope.past.until + 86_400
            connection.execute(f"DELETE FROM digests WHERE {about}", bound)
        connection.execute("DELETE FROM idempotency")
    for event in scope.events:
        _delete_alerts(connection, "event_id = ?", [event.id])
        connection.execute(
            "DELETE FROM digests WHERE camera_id = ? AND abs(CAST(strftime('%s', day) AS INTEGER) - ?) < 216000",
            (event.camera_id, event.wall),
        )
    if scope.events or scope.memories:
        # What was answered to a client that told a fact or asked a question: few, and of one day at most.
        connection.execute("DELETE FROM idempotency")


def _delete_alerts(connection: sqlite3.Connection, where: str, values: Sequence[object]) -> None:
    chosen = f"SELECT id FROM alerts WHERE {where}"
    connection.execute(f"DELETE FROM deliveries WHERE alert_id IN ({chosen})", values)
    connection.execute(f"DELETE FROM alerts WHERE {where}", values)


def _empty_log(db: Database) -> bool:
    """Blocks for some seconds at most."""
    try:
        with closing(db.connect(read_only=False)) as connection:
            for _ in range(LOG_TRIES):
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return True
                time.sleep(LOG_PAUSE_S)
    except sqlite3.Error as error:
        log.warning("the log of the database cannot be emptied now", store=db.path.name, error=str(error))
    return False
