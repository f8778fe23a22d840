"""An agent that does what a test tells it, step by step, and a queue around it whose clock stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.clock import ManualClock
from joyvl_server.agents.base import (
    AgentContext,
    AgentProgress,
    AgentReport,
    AskPermission,
    Finished,
    PermissionOption,
    PermissionRequest,
    TaskBundle,
)
from joyvl_server.agents.pool import AgentPool
from joyvl_server.agents.queue import TaskQueue
from joyvl_server.agents.task_files import TaskFiles
from joyvl_server.kit import plugins
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import AgentSettings
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import TaskRecord, Tasks

ALLOW = PermissionOption("yes", "Allow", "allow_once")
DENY = PermissionOption("no", "Reject", "reject_once")
DELETE = PermissionRequest("Delete a file", "rm notes.txt", (ALLOW, DENY))


@dataclass
class ScriptedRun:
    """`steps`: what it yields, raises (errors) or awaits (functions of this run), in this order."""

    bundle: TaskBundle
    folder: Path
    ask: AskPermission
    steps: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    may_close: asyncio.Event = field(default_factory=asyncio.Event)
    closing: bool = False
    closed: bool = False
    answers: list[str | None] = field(default_factory=list)

    def says(self, *texts: str) -> None:
        for text in texts:
            self.steps.put_nowait(AgentProgress(text))

    def finishes(self, answer: str = "Done.", agent_session: str | None = None) -> None:
        self.steps.put_nowait(Finished(answer, agent_session))

    def does(self, step: Any) -> None:
        self.steps.put_nowait(step)

    async def asks(self, request: PermissionRequest = DELETE) -> None:
        self.answers.append(await self.ask(request))


class ScriptedAgent:
    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: list[ScriptedRun] = []
        self.closes_at_once = True
        self.closed = 0

    async def check(self) -> AgentReport:
        return AgentReport(True, "It is a test.")

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission):
        run = ScriptedRun(bundle, folder, ask)
        if self.closes_at_once:
            run.may_close.set()
        self.runs.append(run)
        try:
            while True:
                step = await run.steps.get()
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    await step(run)
                    continue
                yield step
        finally:
            run.closing = True
            await run.may_close.wait()
            run.closed = True

    async def aclose(self) -> None:
        self.closed += 1


class QueueUnderTest:
    """A queue in a folder, with agents by name; `changes`: each state that was told, by task."""

    def __init__(self, folder: Path, db: Database, monkeypatch: Any, **settings: Any) -> None:
        names = settings.pop("agents", ("fake",))
        self.settings = AgentSettings(entries={name: {"type": name} for name in names}, **settings)
        self.clock = settings_clock = ManualClock()
        self.agents: dict[str, ScriptedAgent] = {}
        monkeypatch.setattr(plugins, "load", lambda group, kind: self._make)
        self.tasks = Tasks(db, kept=self.settings.kept)
        pool = AgentPool(self.settings, folder, settings_clock, NetPolicy())
        self.files = TaskFiles(folder / "files", self.settings.files_mb)
        self.folder = folder
        self.queue = TaskQueue(self.settings, self.tasks, pool, self.files, folder, settings_clock)
        self.queue.listen(self)
        self.changes: list[TaskRecord] = []

    def _make(self, context: AgentContext) -> ScriptedAgent:
        return self.agents.setdefault(context.name, ScriptedAgent(context.name))

    def agent(self, name: str = "fake") -> ScriptedAgent:
        return self.agents.setdefault(name, ScriptedAgent(name))

    def task_changed(self, task: TaskRecord) -> None:
        self.changes.append(task)

    def bundles(self) -> list[str]:
        """What lies on disk for tasks that wait."""
        folder = self.folder / "waiting"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def states(self, task_id: str) -> list[str]:
        """Each status once, in the order in which they were told."""
        found = [task.status for task in self.changes if task.id == task_id]
        return [status for index, status in enumerate(found) if index == 0 or found[index - 1] != status]

    async def run(self, number: int = 1, name: str = "fake") -> ScriptedRun:
        """The so-manieth run of an agent, once it works."""
        await until(lambda: len(self.agent(name).runs) >= number)
        return self.agent(name).runs[number - 1]

    async def reaches(self, task_id: str, status: str) -> TaskRecord:
        await until(lambda: any(task.id == task_id and task.status == status for task in self.changes))
        return await self.tasks.get(task_id)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """The database has threads of its own, so some waiting is real."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.003)
