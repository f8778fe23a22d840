"""The queue of delegated tasks: what waits, what runs, and what came of it. The database is its record.

Who wants to know of changes listens: `TaskListener.task_changed` is called on the loop with each state that is written,
in order for each task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from joyvl_server.agents.base import TaskBundle
from joyvl_server.agents.digest import digest_of
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.pool import AgentPool
from joyvl_server.agents.running import ASKED_NO_MORE, RunningTask
from joyvl_server.agents.task_files import TaskFiles
from joyvl_server.core.errors import Conflict, JoyvlError, NotAllowed, StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import AgentSettings, Settings
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import Delivery, TaskRecord, Tasks, TaskStatus

log = structlog.get_logger(__name__)

MAX_QUESTION = 8000
MAX_ANSWER = 200_000
"""characters; what is longer is cut, and says so"""
MAX_EARLIER = 8  # tasks that a follow-up knows of
STOPPED = "The server was stopped while it ran."
RETRY_S = 5.0
"""after the database failed"""


class TaskListener(Protocol):
    def task_changed(self, task: TaskRecord, /) -> None:
        """Told of each state that is written. It must not block; what it raises is logged."""


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
        """`folder`: in it each task that runs gets one of its own, `work/ID`."""
        self._settings = settings
        self._tasks = tasks
        self._agents = agents
        self._files = files
        self._work = folder / "work"
        self._clock = clock
        self._listeners: list[TaskListener] = []
        self._bundles: dict[str, TaskBundle] = {}
        """what goes with those that wait; after a restart the question alone does"""
        self._running: dict[str, RunningTask] = {}
        self._wanted = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._submitting = asyncio.Lock()

    def listen(self, listener: TaskListener) -> Callable[[], None]:
        """Tell it of every change from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> None:
        """What ran when the server ended has failed; what waited goes on. Raises `StoreError`.

        Cancelled, it may have been written all the same.
        """
        await asyncio.to_thread(self._files.sweep_work, self._work)
        for task in await self._tasks.fail_interrupted(self._clock.wall()):
            self._tell(task)
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
        is no agent at all), `StoreError`. Cancelled, it may be there all the same.
        """
        question = draft.question.strip()[:MAX_QUESTION]
        if not question:
            raise Conflict("A task needs a question.")
        agent = self._agents.choose(draft.agent, question)
        earlier = await self._tasks.get(draft.follows) if draft.follows else None
        if earlier is not None and not earlier.ended:
            raise Conflict("The task that this one follows has not ended.")
        if earlier is not None and draft.agent is None:
            agent = earlier.agent if earlier.agent in self._settings.entries else agent
        task_id = new_id("tsk")
        now = self._clock.wall()
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
            created_wall=now,
        )
        async with self._submitting:
            await self._check_limits(task)
            if bundle is not None:
                self._bundles[task_id] = bundle
            try:
                written = await self._tasks.add(task, same_since=now - self._settings.same_s)
            except BaseException:
                self._bundles.pop(task_id, None)
                raise
        if written.id != task_id:
            self._bundles.pop(task_id, None)
            return written
        self._tell(written)
        self._wanted.set()
        return written

    async def cancel(self, task_id: str) -> TaskRecord:
        """End it, and everything that its agent has started; returns when that is gone. One that has ended stays as it
        is. Raises `NotFound`. Cancelled, it is ended all the same."""
        changed = await self._end(task_id, "cancelled", error="It was cancelled.", code="cancelled")
        if (running := self._running.get(task_id)) is not None:
            running.work.cancel()
            await asyncio.wait({running.work})
        return changed or await self._tasks.get(task_id)

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
            self._tell(await self._tasks.get(task_id))

    # ---------------------------------------------------------------------------------------------------------- running

    async def _check_limits(self, task: TaskRecord) -> None:
        waiting = await self._tasks.queued()
        if len(waiting) >= self._settings.max_queued:
            raise NotAllowed("Too many tasks wait: agents.max_queued.", code="too_many_tasks")
        own = sum(1 for other in waiting if other.session_id is not None and other.session_id == task.session_id)
        if own >= self._settings.session_queued:
            raise NotAllowed("Too many tasks of this session wait: agents.session_queued.", code="too_many_tasks")

    async def _start_waiting(self) -> None:
        """Starts what may run, for ever. A database that fails is asked again."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
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
        wall = self._clock.wall()
        started = await self._tasks.update(task.id, since=("queued",), status="running", started_wall=wall)
        if started is None:
            self._bundles.pop(task.id, None)
            return
        self._tell(started)
        running = RunningTask(started, self._settings, self._clock, self)
        self._running[task.id] = running
        running.work = asyncio.create_task(self._work_on(running), name=f"task {task.id}")
        running.work.add_done_callback(lambda _: self._is_over(task.id))

    def _is_over(self, task_id: str) -> None:
        self._running.pop(task_id, None)
        self._bundles.pop(task_id, None)
        self._wanted.set()

    async def _work_on(self, running: RunningTask) -> None:
        """Run it to its end, and write how that was. Cancelled, everything that it started has ended."""
        task = running.task
        folder = self._work / task.id
        try:
            await asyncio.to_thread(folder.mkdir, parents=True, mode=0o700)
            finished = await running.run(self._agents.get(task.agent), await self._bundle(task), folder)
            kept = await asyncio.to_thread(self._files.keep, task.id, folder)
            answer = finished.answer[:MAX_ANSWER]
            await self._end(
                task.id, "completed", answer=answer, digest=digest_of(answer), files=kept,
                agent_session=finished.agent_session,
            )  # fmt: skip
        except asyncio.CancelledError:
            with suppress(StoreError):
                await asyncio.shield(self._end(task.id, "failed", error=STOPPED, code="interrupted"))
            raise
        except StoreError as error:
            log.error("what came of a task could not be written", task=task.id, error=str(error))
        except JoyvlError as error:
            await self._end(task.id, "failed", error=str(error), code=error.code)
        except Exception as error:  # somebody else's agent: the queue goes on
            log.exception("an agent failed in an unknown way", task=task.id, agent=task.agent)
            await self._end(task.id, "failed", error=f"It failed: {type(error).__name__}.", code="internal")
        finally:
            await asyncio.shield(asyncio.to_thread(self._files.remove_work, folder))

    async def _bundle(self, task: TaskRecord) -> TaskBundle:
        """What was given with it; after a restart, what the record has. A follow-up knows what came before."""
        given = self._bundles.get(task.id) or TaskBundle(task.id, task.question)
        earlier = await self._tasks.earlier(task, MAX_EARLIER)
        goes_on = bool(earlier) and earlier[-1].agent == task.agent
        return replace(
            given, task_id=task.id, question=task.question, origin=task.origin, note=task.note,
            asked_wall=task.created_wall,
            earlier=tuple((before.question, before.answer or before.error or "") for before in earlier),
            agent_session=earlier[-1].agent_session if goes_on else None,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------- states

    async def change(self, task_id: str, **changes: Any) -> None:
        """See `TaskChanges`."""
        task = await self._tasks.update(task_id, since=("running", "waiting"), **changes)
        if task is not None:
            self._tell(task)

    async def _end(self, task_id: str, status: TaskStatus, **changes: Any) -> TaskRecord | None:
        """None where it had ended before."""
        task = await self._tasks.update(
            task_id, status=status, ended_wall=self._clock.wall(), progress="", permission=None, **changes
        )
        if task is not None:
            self._tell(task)
        return task

    def _tell(self, task: TaskRecord) -> None:
        for listener in list(self._listeners):
            try:
                listener.task_changed(task)
            except Exception:
                log.exception("a listener of tasks failed", task=task.id)

    async def aclose(self) -> None:
        """End what runs, with everything that it has started; that has failed then. What waits goes on at the next
        start. Idempotent. Cancelled, agents are killed at once."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})
        works = {running.work for running in self._running.values()}
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works)
        await self._agents.aclose()
