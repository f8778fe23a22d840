"""Tasks as people look them up: what the database has of them, and the files of their answers."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Sequence
from pathlib import Path

from joyvl_server.agents.task_files import TaskFiles
from joyvl_server.core.errors import NotFound
from joyvl_server.store.task_log import TaskLogLine
from joyvl_server.store.tasks import TaskOutline, TaskRecord, Tasks


class TaskRecords:
    """Reads, and deletes what has ended; everything else about a task goes through the queue."""

    def __init__(self, tasks: Tasks, files: TaskFiles) -> None:
        self._tasks = tasks
        self._files = files

    async def get(self, task_id: str) -> TaskRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        return await self._tasks.get(task_id)

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
        """See `Tasks.list`."""
        return await self._tasks.list(
            session_id=session_id, camera_id=camera_id, agent=agent, status=status, limit=limit, before=before,
            cameras=cameras,
        )  # fmt: skip

    async def log(self, task_id: str) -> builtins.list[TaskLogLine]:
        """What its agent did, oldest first. Raises `NotFound`. Cancelling it changes nothing."""
        await self._tasks.get(task_id)
        return await self._tasks.log.of(task_id)

    async def file(self, task_id: str, name: str) -> Path:
        """Where a file of its answer lies. Raises `NotFound`, also for a file that was deleted to make space.

        Cancelling it changes nothing.
        """
        task = await self._tasks.get(task_id)
        # Only a name that we gave out: what else stands in an address never reaches the disk.
        if name not in {file.name for file in task.files}:
            raise NotFound("The task has no such file.")
        return await asyncio.to_thread(self._files.path, task_id, name)

    async def delete(self, task_id: str) -> None:
        """With its files. Raises `NotFound`, `Conflict` for one that has not ended.

        Cancelled, it may be deleted all the same, and its files may stay until their space is needed.
        """
        await self._tasks.delete(task_id)
        await asyncio.to_thread(self._files.remove, task_id)
