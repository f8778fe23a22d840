"""Writes what becomes of tasks, and tells those who listen, in order for each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import structlog

from joyvl_server.core.errors import NotFound, StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.store.task_log import TaskLogLine
from joyvl_server.store.tasks import TaskRecord, Tasks, TaskStatus

log = structlog.get_logger(__name__)

RETRY_S = 5.0
"""after the database failed"""


class TaskListener(Protocol):
    def task_changed(self, task: TaskRecord, /) -> None:
        """Told of each state that is written. It must not block; what it raises is logged."""


class TaskStates:
    def __init__(self, tasks: Tasks, clock: Clock) -> None:
        self._tasks = tasks
        self._clock = clock
        self._listeners: list[TaskListener] = []
        self._owed: dict[str, tuple[TaskStatus, dict[str, Any]]] = {}
        """ends that the database would not take yet"""

    def listen(self, listener: TaskListener) -> Callable[[], None]:
        """Tell it of every change from now on; returns what ends that, and may be called twice."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def tell(self, task: TaskRecord) -> None:
        for listener in list(self._listeners):
            try:
                listener.task_changed(task)
            except Exception:
                log.exception("a listener of tasks failed", task=task.id)

    async def change(self, task_id: str, **changes: Any) -> bool:
        """Change these fields of a task that runs. False where it has ended, or the database fails: what happens on the
        way is not worth an agent's work. Cancelled, it may be written all the same."""
        try:
            task = await self._tasks.update(task_id, since=("running", "waiting"), **changes)
        except StoreError as error:
            log.warning("a change of a task could not be written", task=task_id, error=str(error))
            return False
        if task is not None:
            self.tell(task)
        return task is not None

    async def note(self, task_id: str, lines: Sequence[TaskLogLine]) -> None:
        """What its agent did. Where the database fails it is lost. Cancelled, it may be written all the same."""
        try:
            await self._tasks.log.add(task_id, lines)
        except StoreError as error:
            log.warning("the log of a task could not be written", task=task_id, error=str(error))

    async def end(self, task_id: str, status: TaskStatus, **changes: Any) -> TaskRecord | None:
        """None where it had ended before. Raises `NotFound`, `StoreError`. Cancelled, it may be written all the same,
        and nobody is told."""
        end = {"ended_wall": self._clock.wall()} | changes
        task = await self._tasks.update(task_id, status=status, progress="", permission=None, **end)
        if task is not None:
            self.tell(task)
        return task

    async def end_or_owe(self, task_id: str, status: TaskStatus, **changes: Any) -> None:
        """As `end`; what a database that fails does not take, `write_owed` writes later, with the time of now."""
        try:
            await self.end(task_id, status, **changes)
        except StoreError as error:
            log.warning("the end of a task waits for the database", task=task_id, error=str(error))
            self._owed[task_id] = (status, {"ended_wall": self._clock.wall()} | changes)

    async def write_owed(self) -> None:
        """What `end_or_owe` could not write. Raises `StoreError`. Cancelled, each is written or still owed."""
        for task_id, (status, changes) in list(self._owed.items()):
            with suppress(NotFound):
                await self.end(task_id, status, **changes)
            self._owed.pop(task_id, None)

    async def end_surely(self, task_id: str, status: TaskStatus, **changes: Any) -> TaskRecord | None:
        """As `end`; a database that fails is asked again until it has written it."""
        while True:
            try:
                return await self.end(task_id, status, **changes)
            except StoreError as error:
                log.warning("the outcome of a task waits for the database", task=task_id, error=str(error))
                await self._clock.sleep(RETRY_S)
