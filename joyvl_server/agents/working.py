"""Takes one task from its start to its outcome: the bundle, the folder, the agent, the files that stay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import structlog

from joyvl_server.agents.base import Finished, TaskBundle
from joyvl_server.agents.bundles import WaitingBundles
from joyvl_server.agents.digest import digest_of
from joyvl_server.agents.pool import AgentPool
from joyvl_server.agents.prompt import frame_name
from joyvl_server.agents.running import RunningTask
from joyvl_server.agents.states import TaskStates
from joyvl_server.agents.task_files import TaskFiles
from joyvl_server.agents.visible_text import visible
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.store.tasks import TaskFile, TaskRecord, Tasks

log = structlog.get_logger(__name__)

MAX_ANSWER = 200_000
"""characters; what is longer is cut, and says so"""
CUT = "\n\n… (The answer was longer; the rest was cut off.)"
UNKEPT = "\n\n(Files of this answer could not be kept.)"
MAX_EARLIER = 8  # tasks that a follow-up knows of
LAST_S = 3.0
"""an answer that is there gets so long to be written when the server stops"""


class TaskWorker:
    """`folder`: in it each task that runs gets one of its own, `ID`."""

    def __init__(
        self,
        tasks: Tasks,
        states: TaskStates,
        agents: AgentPool,
        files: TaskFiles,
        bundles: WaitingBundles,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._states = states
        self._agents = agents
        self._files = files
        self._bundles = bundles
        self._folder = folder
        self._clock = clock

    async def work_on(self, running: RunningTask) -> None:
        """Run it to its end, and write how that was. What went along with it is removed then.

        Cancelled, everything that it started has ended, and it ended as `running.stopped_as` says.
        """
        task = running.task
        folder = self._folder / task.id
        try:
            await asyncio.to_thread(folder.mkdir, parents=True, mode=0o700)
            given = await asyncio.to_thread(self._bundles.read, task.id)
            bundle = await self._bundle(task, given)
            await self._agents.load(task.agent)
            finished = await running.run(self._agents.get(task.agent), bundle, folder)
            await self._complete(task, finished, bundle, folder)
        except asyncio.CancelledError:
            stop = running.stopped_as
            await asyncio.shield(self._states.end_or_owe(task.id, stop.status, error=stop.error, code=stop.code))
            raise
        except JoyvlError as error:
            await self._states.end_surely(task.id, "failed", error=visible(str(error), joiners=True), code=error.code)
        except Exception as error:  # somebody else's agent: the queue goes on
            log.exception("an agent failed in an unknown way", task=task.id, agent=task.agent)
            what = f"It failed: {type(error).__name__}."
            await self._states.end_surely(task.id, "failed", error=what, code="internal")
        finally:
            await asyncio.shield(asyncio.to_thread(self._clear, task.id, folder))

    def _clear(self, task_id: str, folder: Path) -> None:
        self._files.remove_work(folder)
        self._bundles.remove(task_id)

    async def _complete(self, task: TaskRecord, finished: Finished, bundle: TaskBundle, folder: Path) -> None:
        given = {frame_name(index): frame.jpeg for index, frame in enumerate(bundle.frames, 1)}
        answer = finished.answer
        if len(answer) > MAX_ANSWER:
            answer = answer[: MAX_ANSWER - len(CUT)] + CUT
        digest = digest_of(answer)
        kept: tuple[TaskFile, ...] = ()
        try:
            kept = await asyncio.to_thread(self._files.keep, task.id, folder, given)
        except OSError as error:  # a full disk costs the files, not the answer
            log.warning("files of a task could not be kept", task=task.id, error=str(error))
            answer += UNKEPT
        writing = asyncio.create_task(
            self._states.end_surely(
                task.id, "completed", answer=answer, digest=digest, files=kept, agent_session=finished.agent_session
            ),
            name=f"answer of {task.id}",
        )
        try:
            if await asyncio.shield(writing) is None:  # it was cancelled just before
                await asyncio.to_thread(self._files.remove, task.id)
        except asyncio.CancelledError:
            await wait_until(self._clock, writing, self._clock.monotonic() + LAST_S)
            writing.cancel()
            raise

    async def _bundle(self, task: TaskRecord, given: TaskBundle | None) -> TaskBundle:
        """What was given with it, and what the record has. A follow-up knows what came before."""
        earlier = await self._tasks.earlier(task, MAX_EARLIER)
        goes_on = bool(earlier) and earlier[-1].agent == task.agent
        return replace(
            given or TaskBundle(task.id, task.question),
            task_id=task.id,
            question=task.question,
            origin=task.origin,
            note=task.note,
            asked_wall=task.created_wall,
            earlier=tuple((before.question, before.answer or before.error or "") for before in earlier),
            agent_session=earlier[-1].agent_session if goes_on else None,
            session_id=task.session_id,
        )
