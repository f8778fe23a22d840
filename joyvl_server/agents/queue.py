"""The queue of delegated tasks: what waits, what runs, and what came of it. The database is its record.

Who wants to know of changes listens: `TaskListener.task_changed` is called on the loop with each state that is written,
in order for each task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from joyvl_server.agents.base import TaskBundle
from joyvl_server.agents.bundles import WaitingBundles
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.pool import AgentPool
from joyvl_server.agents.running import ASKED_NO_MORE, CANCELLED, SERVER_STOPPED, RunningTask
from joyvl_server.agents.states import RETRY_S, TaskListener, TaskStates
from joyvl_server.agents.task_files import TaskFiles
from joyvl_server.agents.task_records import TaskRecords
from joyvl_server.agents.working import TaskWorker
from joyvl_server.core.errors import Conflict, JoyvlError, NotAllowed, NotFound, StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import AgentSettings, Settings
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import Delivery, TaskRecord, Tasks

log = structlog.get_logger(__name__)

T = TypeVar("T")
MAX_QUESTION = 8000


class TaskQueue:
    """`start` before use, `aclose` at the end."""

    @classmethod
    def open(cls, settings: Settings, db: Database, clock: Clock) -> TaskQueue:
        """That of a server, with its agents; nothing is started yet."""
        folder = settings.data_dir / "agents"
        agents = AgentPool(settings.agents, folder, clock, settings.net_policy())
        files = TaskFiles(folder / "files", settings.agents.files_mb)
        return cls(settings.agents, Tasks(db, kept=settings.agents.kept), agents, files, folder, clock)

    def __init__(
        self, settings: AgentSettings, tasks: Tasks, agents: AgentPool, files: TaskFiles, folder: Path, clock: Clock
    ) -> None:
        """`folder`: in it each task that runs gets one of its own, `work/ID`; what goes along with those that wait lies
        in `waiting/ID`."""
        self._settings = settings
        self._tasks = tasks
        self.agents = agents
        self._files = files
        self.records = TaskRecords(tasks, files)
        self._work = folder / "work"
        self._clock = clock
        self._states = TaskStates(tasks, clock)
        self._bundles = WaitingBundles(folder / "waiting")
        self._worker = TaskWorker(tasks, self._states, agents, files, self._bundles, self._work, clock)
        self._running: dict[str, RunningTask] = {}
        self._wanted = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._submitting = asyncio.Lock()
        self._starting = asyncio.Lock()
        """a task is being started, or cancelled: one of them comes first"""
        self._unfinished: set[asyncio.Task[Any]] = set()

    def listen(self, listener: TaskListener) -> Callable[[], None]:
        """Tell it of every change from now on; returns what ends that."""
        return self._states.listen(listener)

    async def start(self) -> None:
        """What ran when the server ended has failed; what waited goes on. Raises `StoreError`.

        Cancelled, it may have been written all the same.
        """
        await asyncio.to_thread(self.agents.sweep)
        await asyncio.to_thread(self._files.sweep_work, self._work)
        for task in await self._tasks.fail_interrupted(self._clock.wall()):
            self._states.tell(task)
        waiting = {task.id for task in await self._tasks.queued()}
        await asyncio.to_thread(self._bundles.sweep, waiting)
        self._wanted.set()
        self._pump = asyncio.create_task(self._start_waiting(), name="task queue")

    @property
    def able(self) -> bool:
        """Is there any agent?"""
        return bool(self._settings.entries)

    # ------------------------------------------------------------------------------------------------------- from users

    async def submit(self, draft: TaskDraft, bundle: TaskBundle | None = None) -> TaskRecord:
        """Hand it over. The same question of the same session, while it is open or was just answered, is one task.

        Raises `NotFound` (no such agent, or no task that it follows), `NotAllowed` (too many wait), `Conflict` (there
        is no agent at all), `StoreError`. Cancelled, it may be there all the same, and runs.
        """
        question = draft.question.strip()[:MAX_QUESTION]
        if not question:
            raise Conflict("A task needs a question.")
        agent = self.agents.choose(draft.agent, question)
        earlier = await self._tasks.get(draft.follows) if draft.follows else None
        if earlier is not None and not earlier.ended:
            raise Conflict("The task that this one follows has not ended.")
        if earlier is not None and draft.agent is None:
            agent = earlier.agent if earlier.agent in self._settings.entries else agent
        task_id = new_id("tsk")
        task = TaskRecord(
            id=task_id,
            session_id=draft.session_id or (earlier.session_id if earlier else None),
            camera_id=draft.camera_id or (earlier.camera_id if earlier else None),
            agent=agent,
            status="queued",
            origin=draft.origin,
            question=question,
            note=draft.note.strip()[:MAX_QUESTION],
            same_as=task_id if draft.alone else draft.same_as(agent, question),
            follows=draft.follows,
            priority=draft.priority,
            timeout_s=min(draft.timeout_s or self._settings.timeout_s, self._settings.timeout_s),
            t=draft.t,
            created_wall=self._clock.wall(),
        )
        return await self._surely(self._add(task, bundle))

    async def cancel(self, task_id: str) -> TaskRecord:
        """End it, and everything that its agent has started; returns when that is gone. One that has ended stays as it
        is. Raises `NotFound`, `StoreError`; its agent is ended then too, and that is written when the database
        works again. Cancelled, it is ended all the same."""
        return await self._surely(self._cancel(task_id))

    async def answer_permission(self, task_id: str, permission_id: str, option_id: str | None) -> None:
        """`option_id` None: denied. Raises `NotFound`, `Conflict` where that permission is not asked for any more."""
        await self._tasks.get(task_id)
        if (running := self._running.get(task_id)) is None:
            raise Conflict(ASKED_NO_MORE)
        running.answer(permission_id, option_id)

    async def undelivered(self, *, session_id: str, camera_id: str | None) -> list[TaskRecord]:
        """See `Tasks.undelivered`."""
        return await self._tasks.undelivered(session_id=session_id, camera_id=camera_id)

    async def deliver(self, task_id: str, how: Delivery) -> None:
        """Somebody was told of the outcome. Raises `NotFound`. Idempotent.

        Cancelled, it may be written all the same.
        """
        if await self._tasks.deliver(task_id, how, self._clock.wall()):
            self._states.tell(await self._tasks.get(task_id))

    async def _add(self, task: TaskRecord, bundle: TaskBundle | None) -> TaskRecord:
        async with self._submitting:
            same_since = task.created_wall - self._settings.same_s
            if (same := await self._tasks.same(task.same_as, since=same_since)) is not None:
                return same
            await self._check_limits(task)
            if bundle is not None:
                await asyncio.to_thread(self._bundles.keep, task.id, bundle)
            try:
                written = await self._tasks.add(task, same_since=same_since)
            except JoyvlError:
                await asyncio.to_thread(self._bundles.remove, task.id)
                raise
        self._states.tell(written)
        self._wanted.set()
        return written

    async def _cancel(self, task_id: str) -> TaskRecord:
        running = None
        try:
            async with self._starting:
                running = self._running.get(task_id)
                changed = await self._states.end(task_id, CANCELLED.status, error=CANCELLED.error, code=CANCELLED.code)
        finally:
            if running is not None:
                await running.stop(CANCELLED)
        await asyncio.to_thread(self._bundles.remove, task_id)
        return changed or await self._tasks.get(task_id)

    async def _check_limits(self, task: TaskRecord) -> None:
        waiting = await self._tasks.queued()
        if len(waiting) >= self._settings.max_queued:
            raise NotAllowed("Too many tasks wait: agents.max_queued.", code="too_many_tasks")
        own = sum(1 for other in waiting if other.session_id is not None and other.session_id == task.session_id)
        if own >= self._settings.session_queued:
            raise NotAllowed("Too many tasks of this session wait: agents.session_queued.", code="too_many_tasks")

    async def _surely(self, doing: Coroutine[Any, Any, T]) -> T:
        """Done to its end also where the caller is cancelled."""
        work = asyncio.create_task(doing)
        self._unfinished.add(work)
        work.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(work)

    # ---------------------------------------------------------------------------------------------------------- running

    async def _start_waiting(self) -> None:
        """Starts what may run, for ever. A database that fails is asked again."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._states.write_owed()
                for task in await self._tasks.queued():
                    if self._may_run(task):
                        await self._begin(task)
            except StoreError as error:
                log.warning("the task queue waits for the database", error=str(error))
                await self._clock.sleep(RETRY_S)
                self._wanted.set()

    def _may_run(self, task: TaskRecord) -> bool:
        if len(self._running) >= self._settings.at_once or task.id in self._running:
            return False
        own = sum(1 for running in self._running.values() if running.task.session_id == task.session_id)
        return task.session_id is None or own < self._settings.session_at_once

    async def _begin(self, task: TaskRecord) -> None:
        async with self._starting:
            wall = self._clock.wall()
            try:
                started = await self._tasks.update(task.id, since=("queued",), status="running", started_wall=wall)
            except NotFound:
                started = None
            if started is None:
                return
            running = RunningTask(started, self._settings, self._clock, self._states)
            self._running[task.id] = running
            running.work = asyncio.create_task(self._worker.work_on(running), name=f"task {task.id}")
            running.work.add_done_callback(lambda _: self._is_over(task.id))
        self._states.tell(started)

    def _is_over(self, task_id: str) -> None:
        self._running.pop(task_id, None)
        self._wanted.set()

    async def aclose(self) -> None:
        """End what runs, with everything that it has started; that has failed then. What waits goes on at the next
        start. Idempotent. Cancelled, agents are killed at once."""
        try:
            if self._pump is not None:
                self._pump.cancel()
                await asyncio.wait({self._pump})
            await asyncio.gather(*(running.stop(SERVER_STOPPED) for running in list(self._running.values())))
            if self._unfinished:
                await asyncio.wait(self._unfinished)
            with suppress(StoreError):
                await self._states.write_owed()
        finally:
            await self.agents.aclose()
