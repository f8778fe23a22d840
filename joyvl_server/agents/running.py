"""One task that runs: its agent works, says what it does, and asks for permissions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from joyvl_server.agents.base import Agent, AgentError, AnswerDelta, Finished, PermissionRequest, TaskBundle
from joyvl_server.agents.visible_text import one_line, visible
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import AgentSettings
from joyvl_server.store.task_log import MAX_LINES, TaskLogLine
from joyvl_server.store.tasks import TaskRecord, TaskStatus

PROGRESS_S = 0.5
"""progress is written, and told, so often at most"""
MAX_LINE = 300
MAX_WRITTEN = 120
"""characters of an answer on its way that progress shows"""
MAX_DETAIL = 8000
MAX_OPTIONS = 12
CHOICES = {
    "allow_once": "allowed once",
    "allow_always": "always allowed",
    "reject_once": "denied",
    "reject_always": "always denied",
}
"""how an answer is called; an agent may name its options as it likes"""
ASKED_NO_MORE = "This permission is not asked for any more."


class TaskChanges(Protocol):
    async def change(self, task_id: str, **changes: Any) -> bool:
        """These fields of a task that runs are others now; False where that is not written."""

    async def note(self, task_id: str, lines: Sequence[TaskLogLine]) -> None:
        """Lines of its log, which may be lost."""


@dataclass(frozen=True, slots=True)
class TaskStop:
    """How a task ends that is stopped."""

    status: TaskStatus
    error: str
    code: str


SERVER_STOPPED = TaskStop("failed", "The server was stopped while it ran.", "interrupted")
CANCELLED = TaskStop("cancelled", "It was cancelled.", "cancelled")


class RunningTask:
    """`work` is what runs it; only `stop` cancels that."""

    work: asyncio.Task[None]

    def __init__(self, task: TaskRecord, settings: AgentSettings, clock: Clock, changes: TaskChanges) -> None:
        self.task = task
        self.stopped_as = SERVER_STOPPED
        self._settings = settings
        self._clock = clock
        self._changes = changes
        self._stopping = False
        self._asking = asyncio.Lock()
        self._permission_id = ""
        self._options: set[str] = set()
        self._answered: asyncio.Future[str | None] | None = None
        self._progress = ""
        self._lines: deque[TaskLogLine] = deque(maxlen=MAX_LINES)
        """of its log, not written yet"""
        self._progressed = asyncio.Event()

    async def stop(self, how: TaskStop) -> None:
        """Returns when everything that it started has ended. However often it is called, it is cancelled once: a second
        cancel would break into the cleaning up after the first. Cancelled, it is stopped all the same."""
        if not self._stopping:
            self._stopping = True
            self.stopped_as = how
            self.work.cancel()
        await asyncio.wait({self.work})

    async def run(self, agent: Agent, bundle: TaskBundle, folder: Path) -> Finished:
        """Until it has finished. Raises what the agent raises, and `AgentError` (timeout).

        Cancelled, everything that the agent started has ended when this returns.
        """
        limit = self._clock.monotonic() + self.task.timeout_s
        working = asyncio.create_task(self._follow(agent, bundle, folder), name=f"agent of {self.task.id}")
        telling = asyncio.create_task(self._tell_progress(), name=f"progress of {self.task.id}")
        try:
            if not await wait_until(self._clock, working, limit):
                raise AgentError(f"It did not end within {self.task.timeout_s:g} s.", code="timeout")
            return working.result()
        finally:
            telling.cancel()
            working.cancel()
            await _both_end(working, telling)
            await asyncio.shield(self._write_log())

    def answer(self, permission_id: str, option_id: str | None) -> None:
        """Of a person; None: denied. Raises `Conflict` where that is not asked any more, `NotFound` for the option."""
        if self._answered is None or self._permission_id != permission_id or self._answered.done():
            raise Conflict(ASKED_NO_MORE)
        if option_id is not None and option_id not in self._options:
            raise NotFound(f"There is no option {option_id} for this permission.")
        self._answered.set_result(option_id)

    async def _follow(self, agent: Agent, bundle: TaskBundle, folder: Path) -> Finished:
        written = ""
        async with aclosing(agent.run(bundle, folder, self._ask)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return replace(event, answer=visible(event.answer, joiners=True))
                text = event.text[-10 * MAX_LINE :] if isinstance(event, AnswerDelta) else event.text[: 10 * MAX_LINE]
                if isinstance(event, AnswerDelta):
                    written = " ".join((written + text).split(" "))[-MAX_WRITTEN:]
                    text = f"… {written}"
                if line := one_line(text, joiners=True)[:MAX_LINE]:
                    if not isinstance(event, AnswerDelta) and line != self._progress:
                        self._lines.append(TaskLogLine(self._clock.wall(), line))
                    self._progress = line
                    self._progressed.set()
        raise AgentError("It ended without an answer.", code="died")

    async def _tell_progress(self) -> None:
        """The newest line, for ever: the first at once, then one each `PROGRESS_S`. The agent never waits for it."""
        while True:
            await self._progressed.wait()
            self._progressed.clear()
            await self._write_log()
            await self._changes.change(self.task.id, progress=self._progress)
            await self._clock.sleep(PROGRESS_S)

    async def _write_log(self) -> None:
        if lines := list(self._lines):
            self._lines.clear()
            await self._changes.note(self.task.id, lines)

    def _note_permission(self, request: PermissionRequest, option_id: str | None, answered: bool) -> None:
        chosen = next((option for option in request.options if option.id == option_id), None)
        if not answered:
            outcome = "nobody answered, so it was denied"
        elif chosen is None:
            outcome = "denied"
        else:
            for_ever = f": {chosen.name}" if chosen.kind.endswith("_always") else ""
            outcome = f"{CHOICES[chosen.kind]}{for_ever}"
        asked = one_line(f"{request.title}: {request.detail}").rstrip(": ")[:MAX_LINE]
        self._lines.append(TaskLogLine(self._clock.wall(), f"{asked} → {one_line(outcome)[:MAX_LINE]}"))

    async def _ask(self, request: PermissionRequest) -> str | None:
        """One permission after the other; what nobody answers is denied, and what cannot be shown to anybody too."""
        async with self._asking:
            options = request.options[:MAX_OPTIONS]
            self._permission_id = new_id("prm")
            self._options = {option.id for option in options}
            self._answered = answered = asyncio.get_running_loop().create_future()
            limit_s = self._settings.permission_timeout_s
            asked: dict[str, Any] = {
                "id": self._permission_id,
                "title": one_line(request.title)[:MAX_LINE],
                "detail": visible(request.detail[:MAX_DETAIL]),
                "options": [{"id": o.id, "name": one_line(o.name)[:MAX_LINE], "kind": o.kind} for o in options],
                "until": self._clock.wall() + limit_s,
            }
            try:
                if not await self._changes.change(self.task.id, status="waiting", permission=asked):
                    return None
                in_time = await wait_until(self._clock, answered, self._clock.monotonic() + limit_s)
                chosen = answered.result() if in_time else None
                self._note_permission(request, chosen, in_time)
                return chosen
            finally:
                self._permission_id, self._answered = "", None
                await asyncio.shield(self._changes.change(self.task.id, status="running", permission=None))


async def _both_end(*ending: asyncio.Task[Any]) -> None:
    """Wait until these have ended; who cancels the wait gets its way after that."""
    cancelled = False
    while left := [one for one in ending if not one.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
