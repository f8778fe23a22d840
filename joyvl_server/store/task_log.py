"""What agents did while they worked on delegated tasks: a bounded list of lines for each task."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from joyvl_server.store.sqlite.database import Database

MAX_LINES = 200
"""of a task; the oldest go first"""


@dataclass(frozen=True, slots=True)
class TaskLogLine:
    """`wall`: Unix seconds."""

    wall: float
    text: str


class TaskLog:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, task_id: str, lines: Sequence[TaskLogLine]) -> None:
        """Of a task that was deleted nothing is kept. Raises `StoreError`.

        Cancelled, they may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute("SELECT 1 FROM tasks WHERE id = ?", (task_id,)).fetchone():
                return
            values = [(task_id, line.wall, line.text) for line in lines]
            connection.executemany("INSERT INTO task_log (task_id, at_wall, text) VALUES (?, ?, ?)", values)
            connection.execute(
                "DELETE FROM task_log WHERE task_id = ? AND id NOT IN "
                "(SELECT id FROM task_log WHERE task_id = ? ORDER BY id DESC LIMIT ?)",
                (task_id, task_id, MAX_LINES),
            )

        await self._db.write(work)

    async def of(self, task_id: str) -> list[TaskLogLine]:
        """Oldest first; empty for a task that is not there. Cancelling it changes nothing."""
        query = "SELECT at_wall, text FROM task_log WHERE task_id = ? ORDER BY id"
        rows = await self._db.read(lambda c: c.execute(query, (task_id,)).fetchall())
        return [TaskLogLine(row["at_wall"], row["text"]) for row in rows]
