"""An agent that a client of the server runs itself: the server tells it of a task, and it says what comes of it.

agents: {entries: {mine: {type: client, about: what it is good at}}}
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from joyvl_server.agents.base import (
    AgentContext,
    AgentError,
    AgentEvent,
    AgentProgress,
    AgentReport,
    AskPermission,
    Finished,
    TaskBundle,
)
from joyvl_server.core.errors import Conflict
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.kit.net.option_checks import validated

TYPE = "client"
MAX_WAITING = 64
"""lines of progress that were not read yet; more are dropped, the answer never is"""
RECONNECT_S = 10.0
"""a client that was cut off gets so long to come back"""


class ClientAgentOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    silence_s: float = Field(
        120.0, ge=1, le=86_400, description="Seconds without a word of the client after which a task has failed."
    )


@dataclass(slots=True)
class _Running:
    """`alone_since`: a monotonic moment; None while a client of its session is connected. `said`: None where that has
    changed."""

    session_id: str | None
    alone_since: float | None
    said: asyncio.Queue[AgentProgress | Finished | None] = field(default_factory=asyncio.Queue)


class ClientAgent:
    """What a client says of a task comes through `progress` and `finish`; which are there, through `connected`."""

    def __init__(self, name: str, options: ClientAgentOptions, clock: Clock) -> None:
        self.name = name
        self._options = options
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._clients: Counter[str] = Counter()
        """how many are connected, by session"""

    async def check(self) -> AgentReport:
        """See `Agent.check`. Whether a client will answer is known only when one does."""
        return AgentReport(
            ready=True,
            message="It is an agent of a client; whether one is there shows when it answers.",
            sandbox="None of the server: it runs where the client runs it.",
        )

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        """See `Agent.run`. Raises `AgentError` (silent, unavailable)."""
        alone = not self._clients[bundle.session_id or ""]
        running = _Running(bundle.session_id, self._clock.monotonic() if alone else None)
        self._running[bundle.task_id] = running
        try:
            yield AgentProgress("A client was told of it.")
            while True:
                event = await self._next(running)
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._running.pop(bundle.task_id, None)

    async def _next(self, running: _Running) -> AgentProgress | Finished:
        silent_at = self._clock.monotonic() + self._options.silence_s
        while True:
            alone_at = None if running.alone_since is None else running.alone_since + RECONNECT_S
            until = silent_at if alone_at is None else min(alone_at, silent_at)
            reading = asyncio.ensure_future(running.said.get())
            try:
                if not await wait_until(self._clock, reading, until):
                    raise self._gone() if until == alone_at else self._silent()
                event = reading.result()
            finally:
                reading.cancel()
            if event is not None:
                return event

    def _silent(self) -> AgentError:
        return AgentError(f"No client said anything about it for {self._options.silence_s:g} s.", code="silent")

    def _gone(self) -> AgentError:
        sentence = f"{self.name} is run by a client, and none of this session was connected for {RECONNECT_S:g} s."
        return AgentError(sentence, code="unavailable")

    @contextmanager
    def connected(self, session_id: str) -> Generator[None]:
        """A client of that session is there. When the last one leaves, its tasks fail soon, unless one comes back."""
        self._clients[session_id] += 1
        self._tell_of(session_id)
        try:
            yield
        finally:
            self._clients[session_id] -= 1
            if not self._clients[session_id]:
                del self._clients[session_id]
            self._tell_of(session_id)

    def _tell_of(self, session_id: str) -> None:
        alone = not self._clients[session_id]
        for running in self._running.values():
            if running.session_id == session_id and alone is (running.alone_since is None):
                running.alone_since = self._clock.monotonic() if alone else None
                running.said.put_nowait(None)

    def progress(self, task_id: str, text: str) -> None:
        """The client works on it. Raises `Conflict` where the task does not run."""
        said = self._of(task_id)
        if said.qsize() < MAX_WAITING:
            said.put_nowait(AgentProgress(text))

    def finish(self, task_id: str, answer: str) -> None:
        """This is its answer, Markdown; of two only the first counts. Raises `Conflict` where the task does not run."""
        self._of(task_id).put_nowait(Finished(answer))
        del self._running[task_id]

    def _of(self, task_id: str) -> asyncio.Queue[AgentProgress | Finished | None]:
        if (running := self._running.get(task_id)) is None:
            raise Conflict("This task does not run: it waits, or it has ended.")
        return running.said

    async def aclose(self) -> None:
        """See `Agent.aclose`; nothing of it runs here."""


def open_agent(context: AgentContext) -> ClientAgent:
    """Raises `ConfigError`."""
    options = validated(ClientAgentOptions, context.options, f"agents.entries.{context.name}.options")
    return ClientAgent(context.name, options, context.clock)
