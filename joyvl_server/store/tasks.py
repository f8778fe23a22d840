"""Delegated tasks: what was asked, how far it is, what came of it, and whether somebody has been told."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.task_log import TaskLog

TaskStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
"""`waiting`: for a permission"""
TaskOrigin = Literal["model", "user", "client"]
"""who delegated it: the model, a person by hand, a client that runs an agent of its own"""
Delivery = Literal["spoken", "shown"]
OPEN: tuple[TaskStatus, ...] = ("queued", "running", "waiting")
ENDED: tuple[TaskStatus, ...] = ("completed", "failed", "cancelled")
MAX_PAGE = 1000
INTERRUPTED = "The server ended while it ran."


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file that the agent made: `name` within the task's folder of results, `bytes` its size."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """`t`: stream seconds of the moment it is about. `progress`: what the agent does now, a line. `permission`: what it
    asks for, as JSON, while it waits. `answer`: Markdown. `digest`: a few words of it for the model and the voice.
    `agent_session`: by which a follow-up goes on where it ended. `delivered`: how somebody was told; None: not yet."""

    id: str
    session_id: str | None
    camera_id: str | None
    agent: str
    status: TaskStatus
    origin: TaskOrigin
    question: str
    note: str
    same_as: str
    follows: str | None
    priority: int
    timeout_s: float
    t: float | None
    created_wall: float
    started_wall: float | None = None
    ended_wall: float | None = None
    progress: str = ""
    permission: dict[str, Any] | None = None
    answer: str = ""
    digest: str = ""
    error: str | None = None
    code: str | None = None
    files: tuple[TaskFile, ...] = ()
    agent_session: str | None = None
    delivered: Delivery | None = None
    delivered_wall: float | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class TaskOutline:
    """A task as lists have it: the `answer` of `task` is left out, its length is told instead."""

    task: TaskRecord
    answer_chars: int


class Tasks:
    """`kept`: ended tasks beyond this many are deleted, oldest first; one that nobody was told of stays."""

    def __init__(self, db: Database, *, kept: int = 10_000) -> None:
        self._db = db
        self._kept = kept
        self.log = TaskLog(db)

    async def add(self, task: TaskRecord, *, same_since: float) -> TaskRecord:
        """Write it, and return it; where the same was asked and is open, or ended after the wall time `same_since` and
        did not fail, that one is returned and nothing is written. Raises `Conflict` where the id is in use.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> TaskRecord:
            if (same := _same(connection, task.same_as, same_since)) is not None:
                return same
            values = _values(task)
            try:
                connection.execute(f"INSERT INTO tasks VALUES ({','.join('?' * len(values))})", values)
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
                    raise Conflict(f"There is a task {task.id} already.") from None
                raise
            self._trim(connection)
            return task

        return await self._db.write(work)

    async def same(self, same_as: str, *, since: float) -> TaskRecord | None:
        """The one that `add` would return in place of a new one. Cancelling it changes nothing."""
        return await self._db.read(lambda connection: _same(connection, same_as, since))

    async def get(self, task_id: str) -> TaskRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        row = await self._db.read(lambda c: c.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone())
        if row is None:
            raise _missing(task_id)
        return _record(row)

    async def list(
        self,
        *,
        session_id: str | None = None,
        camera_id: str | None = None,
        agent: str | None = None,
        status: str | None = None,
        limit: int = 50,
        before: str | None = None,
        cameras: Sequence[str] = (),
    ) -> builtins.list[TaskOutline]:
        """Newest first, at most `limit` (1 to 1000), all that match every filter given; `before`: the last id of the
        page before; of `cameras`: none given, all and none. Cancelling it changes nothing."""
        filters = {
            "session_id = ?": session_id, "camera_id = ?": camera_id, "agent = ?": agent, "status = ?": status,
            "id < ?": before,
        }  # fmt: skip
        given = {clause: value for clause, value in filters.items() if value is not None}
        clauses = [*given, f"camera_id IN ({', '.join('?' * len(cameras))})"] if cameras else [*given]
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT {_OUTLINE} FROM tasks {where} ORDER BY id DESC LIMIT ?"
        values = (*given.values(), *cameras, min(max(limit, 1), MAX_PAGE))
        rows = [dict(row) for row in await self._db.read(lambda c: c.execute(query, values).fetchall())]
        return [TaskOutline(answer_chars=row.pop("answer_chars"), task=_record(row)) for row in rows]

    async def earlier(self, task: TaskRecord, most: int) -> builtins.list[TaskRecord]:
        """The tasks that it goes on with, oldest first, `most` at most. Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> builtins.list[TaskRecord]:
            found: builtins.list[TaskRecord] = []
            follows = task.follows
            while follows is not None and len(found) < most:
                row = connection.execute("SELECT * FROM tasks WHERE id = ?", (follows,)).fetchone()
                if row is None:
                    break
                found.insert(0, _record(row))
                follows = found[0].follows
            return found

        return await self._db.read(work)

    async def queued(self) -> builtins.list[TaskRecord]:
        """Those that wait for an agent, the most urgent first, then the oldest. Cancelling it changes nothing."""
        query = "SELECT * FROM tasks WHERE status = 'queued' ORDER BY priority DESC, id"
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query).fetchall())]

    async def undelivered(self, *, session_id: str, camera_id: str | None) -> builtins.list[TaskRecord]:
        """Outcomes that nobody has been told of, of this session or an earlier one of its camera, oldest first.

        Cancelling it changes nothing.
        """
        query = (
            "SELECT * FROM tasks WHERE delivered IS NULL AND status IN ('completed', 'failed') "
            "AND (session_id = ? OR camera_id = ?) ORDER BY ended_wall, id"
        )
        rows = await self._db.read(lambda c: c.execute(query, (session_id, camera_id)).fetchall())
        return [_record(row) for row in rows]

    async def update(self, task_id: str, *, since: tuple[TaskStatus, ...] = OPEN, **changes: Any) -> TaskRecord | None:
        """Change these fields where its status is one of `since`; the task as it is then, None where it is not.

        So of two ends only the first counts. Raises `NotFound`. Cancelled, it may be changed all the same.
        """

        def work(connection: sqlite3.Connection) -> TaskRecord | None:
            row = connection.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
            if row is None:
                raise _missing(task_id)
            task = _record(row)
            if task.status not in since:
                return None
            changed = replace(task, **changes)
            columns = ", ".join(f"{name} = ?" for name in _COLUMNS)
            connection.execute(f"UPDATE tasks SET {columns} WHERE id = ?", (*_values(changed), task_id))
            return changed

        return await self._db.write(work)

    async def deliver(self, task_id: str, how: Delivery, wall: float) -> bool:
        """Somebody was told of it; False where that was known already. Raises `NotFound`.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE tasks SET delivered = ?, delivered_wall = ? WHERE id = ? AND delivered IS NULL "
                "AND status IN ('completed', 'failed', 'cancelled')",
                (how, wall, task_id),
            )
            if (
                not cursor.rowcount
                and not connection.execute("SELECT 1 FROM tasks WHERE id = ?", (task_id,)).fetchone()
            ):
                raise _missing(task_id)
            return bool(cursor.rowcount)

        return await self._db.write(work)

    async def fail_interrupted(self, wall: float) -> builtins.list[TaskRecord]:
        """What ran when the server was killed has failed; returns it. Cancelled, it may be written all the same."""

        def work(connection: sqlite3.Connection) -> builtins.list[TaskRecord]:
            running = connection.execute("SELECT id FROM tasks WHERE status IN ('running', 'waiting')").fetchall()
            connection.execute(
                "UPDATE tasks SET status = 'failed', error = ?, code = 'interrupted', ended_wall = ?, "
                "permission = NULL, progress = '' WHERE status IN ('running', 'waiting')",
                (INTERRUPTED, wall),
            )
            found = (connection.execute("SELECT * FROM tasks WHERE id = ?", (row["id"],)).fetchone() for row in running)
            return [_record(row) for row in found]

        return await self._db.write(work)

    async def delete(self, task_id: str) -> None:
        """Raises `NotFound`, `Conflict` for one that has not ended. Cancelled, it may be deleted all the same."""

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT status FROM tasks WHERE id = ?", (task_id,)).fetchone()
            if row is None:
                raise _missing(task_id)
            if row["status"] in OPEN:
                raise Conflict("This task has not ended: cancel it first.")
            connection.execute("DELETE FROM tasks WHERE id = ?", (task_id,))

        await self._db.write(work)

    def _trim(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE status = 'cancelled' "
            "OR (status IN ('completed', 'failed') AND delivered IS NOT NULL) ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (self._kept,),
        )


_COLUMNS = (
    "id", "session_id", "camera_id", "agent", "status", "origin", "question", "note", "same_as", "follows", "priority",
    "timeout_s", "t", "created_wall", "started_wall", "ended_wall", "progress", "permission", "answer", "digest",
    "error", "code", "files", "agent_session", "delivered", "delivered_wall",
)  # fmt: skip
_OUTLINE = ", ".join("'' AS answer, length(answer) AS answer_chars" if c == "answer" else c for c in _COLUMNS)


def _missing(task_id: str) -> NotFound:
    return NotFound(f"There is no task {task_id}.")


def _same(connection: sqlite3.Connection, same_as: str, since: float) -> TaskRecord | None:
    row = connection.execute(
        "SELECT * FROM tasks WHERE same_as = ? AND (status IN ('queued', 'running', 'waiting') "
        "OR (status = 'completed' AND ended_wall >= ?)) ORDER BY id DESC LIMIT 1",
        (same_as, since),
    ).fetchone()
    return None if row is None else _record(row)


def _values(task: TaskRecord) -> tuple[object, ...]:
    files = json.dumps([[file.name, file.bytes] for file in task.files])
    permission = None if task.permission is None else json.dumps(task.permission)
    given = {"files": files, "permission": permission}
    return tuple(given[name] if name in given else getattr(task, name) for name in _COLUMNS)


def _record(row: sqlite3.Row | dict[str, Any]) -> TaskRecord:
    values = dict(row)
    files = tuple(TaskFile(name, size) for name, size in json.loads(values["files"]))
    permission = None if values["permission"] is None else json.loads(values["permission"])
    return TaskRecord(**{**values, "files": files, "permission": permission})
