"""One task that runs: its agent works, says what it does, and asks for permissions."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

from joyvl_server.agents.base import Agent, AgentError, Finished, PermissionRequest, TaskBundle
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import AgentSettings
from joyvl_server.store.tasks import TaskRecord

PROGRESS_S = 0.5
"""progress is written, and told, so often at most"""
MAX_LINE = 300
MAX_DETAIL = 8000
ASKED_NO_MORE = "This permission is not asked for any more."


class TaskChanges(Protocol):
    async def change(self, task_id: str, **changes: Any) -> None:
        """These fields of a task that runs are others now. Cancelled, it may be written all the same."""


class RunningTask:
    """`work` is what runs it; whoever cancels that waits for it."""

    work: asyncio.Task[None]

    def __init__(self, task: TaskRecord, settings: AgentSettings, clock: Clock, changes: TaskChanges) -> None:
        self.task = task
        self._settings = settings
        self._clock = clock
        self._changes = changes
        self._asking = asyncio.Lock()
        self._permission_id = ""
        self._options: set[str] = set()
        self._answered: asyncio.Future[str | None] | None = None

    async def run(self, agent: Agent, bundle: TaskBundle, folder: Path) -> Finished:
        """Until it has finished. Raises what the agent raises, and `AgentError` (timeout).

        Cancelled, everything that the agent started has ended when this returns.
        """
        limit = self._clock.monotonic() + self.task.timeout_s
        working = asyncio.create_task(self._follow(agent, bundle, folder), name=f"agent of {self.task.id}")
        try:
            if not await wait_until(self._clock, working, limit):
                raise AgentError(f"It did not end within {self.task.timeout_s:g} s.", code="timeout")
            return working.result()
        finally:
            working.cancel()
            await asyncio.wait({working})

    def answer(self, permission_id: str, option_id: str | None) -> None:
        """Of a person; None: denied. Raises `Conflict` where that is not asked any more, `NotFound` for the option."""
        if self._answered is None or self._permission_id != permission_id or self._answered.done():
            raise Conflict(ASKED_NO_MORE)
        if option_id is not None and option_id not in self._options:
            raise NotFound(f"There is no option {option_id} for this permission.")
        self._answered.set_result(option_id)

    async def _follow(self, agent: Agent, bundle: TaskBundle, folder: Path) -> Finished:
        told = -PROGRESS_S
        async with aclosing(agent.run(bundle, folder, self._ask)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event
                now = self._clock.monotonic()
                line = " ".join(event.text.split())[:MAX_LINE]
                if line and now - told >= PROGRESS_S:
                    told = now
                    await self._changes.change(self.task.id, progress=line)
        raise AgentError("It ended without an answer.", code="died")

    async def _ask(self, request: PermissionRequest) -> str | None:
        """One permission after the other; what nobody answers is denied."""
        async with self._asking:
            self._permission_id = new_id("prm")
            self._options = {option.id for option in request.options}
            self._answered = answered = asyncio.get_running_loop().create_future()
            limit_s = self._settings.permission_timeout_s
            asked: dict[str, Any] = {
                "id": self._permission_id,
                "title": request.title[:MAX_LINE],
                "detail": request.detail[:MAX_DETAIL],
                "options": [{"id": option.id, "name": option.name, "kind": option.kind} for option in request.options],
                "until": self._clock.wall() + limit_s,
            }
            try:
                await self._changes.change(self.task.id, status="waiting", permission=asked)
                in_time = await wait_until(self._clock, answered, self._clock.monotonic() + limit_s)
                return answered.result() if in_time else None
            finally:
                self._permission_id, self._answered = "", None
                await asyncio.shield(self._changes.change(self.task.id, status="running", permission=None))
