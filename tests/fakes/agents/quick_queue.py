"""A process with a queue and a quick agent, to be killed: `python quick_queue.py FOLDER`, questions on stdin.

It prints a line for each thing that has happened: `submitted QUESTION ID`, `told ID` (somebody hears of an outcome),
`delivered ID` (and has acknowledged it), `idle` once stdin has ended and nothing is open. Each fifth question has the
agent start a process that leaves a child in a session of its own.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from joyvl_server.agents.base import (
    AgentContext,
    AgentError,
    AgentProgress,
    AgentReport,
    AskPermission,
    BundleFrame,
    Finished,
    TaskBundle,
)
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.queue import TaskQueue
from joyvl_server.kit import plugins
from joyvl_server.kit.child import ChildProcess, Launch
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import OPEN, TaskRecord, Tasks

SESSION = "ses_quick"
FRAMES = (BundleFrame(b"\xff\xd8one" * 5000, 1.5, 1_800_000_001.5), BundleFrame(b"\xff\xd8two", 2.0, 1_800_000_002.0))
AT_ONCE = 16
"""submissions"""


class QuickAgent:
    def __init__(self, context: AgentContext) -> None:
        self.name = context.name

    async def check(self) -> AgentReport:
        return AgentReport(True, "It is quick.")

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission):
        yield AgentProgress("It starts.")
        number = int(bundle.question.removeprefix("Q"))
        if bundle.frames != FRAMES or bundle.transcript != (bundle.question,):
            raise AgentError("What went along with it is lost.", code="lost")
        (folder / "answer.txt").write_text(bundle.question)
        if number % 5 == 0:
            script = ("sh", "-c", "setsid sleep 300 & sleep 300")
            child = await ChildProcess.start(Launch(script), lambda line, over: None)
            try:
                await asyncio.sleep(0.05)
            finally:
                await child.stop(1.0)
        else:
            await asyncio.sleep(0.01 * (number % 4))
        yield Finished(f"Answer of {bundle.question}")

    async def aclose(self) -> None:
        pass


class Telling:
    """Tells of each outcome, and acknowledges it."""

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue
        self._told: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()

    def task_changed(self, task: TaskRecord) -> None:
        if task.ended and task.delivered is None and task.id not in self._told:
            self._told.add(task.id)
            work = asyncio.ensure_future(self._tell(task.id))
            self._work.add(work)
            work.add_done_callback(self._work.discard)

    async def _tell(self, task_id: str) -> None:
        print("told", task_id, flush=True)
        await self._queue.deliver(task_id, "shown")
        print("delivered", task_id, flush=True)

    @property
    def busy(self) -> bool:
        return bool(self._work)


async def submit(queue: TaskQueue, question: str) -> None:
    bundle = TaskBundle("", question, frames=FRAMES, transcript=(question,))
    task = await queue.submit(TaskDraft(question, session_id=SESSION), bundle)
    print("submitted", question, task.id, flush=True)


async def main(folder: Path) -> None:
    plugins.load = lambda group, name: QuickAgent
    agents = {"entries": {"quick": {"type": "quick"}}, "at_once": 8, "session_at_once": 8}
    limits = {"max_queued": 10_000, "session_queued": 1000}
    settings = Settings(data_dir=folder, agents=agents | limits)
    db = await Database.open(folder / "joyvl.db")
    queue = TaskQueue.open(settings, db, SystemClock())
    telling = Telling(queue)
    queue.listen(telling)
    await queue.start()
    for task in await queue.undelivered(session_id=SESSION, camera_id=None):
        telling.task_changed(task)
    lines = (await asyncio.to_thread(sys.stdin.read)).split()
    for start in range(0, len(lines), AT_ONCE):
        await asyncio.gather(*(submit(queue, line) for line in lines[start : start + AT_ONCE]))
    tasks = Tasks(db)
    while telling.busy or any([await tasks.list(status=status, limit=1) for status in OPEN]):
        await asyncio.sleep(0.05)
    print("idle", flush=True)
    await queue.aclose()
    await db.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
