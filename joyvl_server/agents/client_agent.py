"""An agent that a client of the server runs itself: the server tells it of a task, and it says what comes of it.

agents: {entries: {mine: {type: client, about: what it is good at}}}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
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


class ClientAgentOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    silence_s: float = Field(120.0, ge=1, le=86_400)
    """seconds without a word of the client after which a task has failed"""


class ClientAgent:
    """What a client says of a task comes through `progress` and `finish`."""

    def __init__(self, name: str, options: ClientAgentOptions, clock: Clock) -> None:
        self.name = name
        self._options = options
        self._clock = clock
        self._running: dict[str, asyncio.Queue[AgentProgress | Finished]] = {}

    async def check(self) -> AgentReport:
        """See `Agent.check`. Whether a client will answer is known only when one does."""
        return AgentReport(
            ready=True,
            message="It is an agent of a client; whether one is there shows when it answers.",
            sandbox="None of the server: it runs where the client runs it.",
        )

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        """See `Agent.run`. Raises `AgentError` (silent)."""
        said: asyncio.Queue[AgentProgress | Finished] = asyncio.Queue()
        self._running[bundle.task_id] = said
        try:
            yield AgentProgress("A client was told of it.")
            while True:
                event = await self._next(said)
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._running.pop(bundle.task_id, None)

    async def _next(self, said: asyncio.Queue[AgentProgress | Finished]) -> AgentProgress | Finished:
        reading = asyncio.ensure_future(said.get())
        try:
            if not await wait_until(self._clock, reading, self._clock.monotonic() + self._options.silence_s):
                sentence = f"No client said anything about it for {self._options.silence_s:g} s."
                raise AgentError(sentence, code="silent")
            return reading.result()
        finally:
            reading.cancel()

    def progress(self, task_id: str, text: str) -> None:
        """The client works on it. Raises `Conflict` where the task does not run."""
        said = self._of(task_id)
        if said.qsize() < MAX_WAITING:
            said.put_nowait(AgentProgress(text))

    def finish(self, task_id: str, answer: str) -> None:
        """This is its answer, Markdown; of two only the first counts. Raises `Conflict` where the task does not run."""
        self._of(task_id).put_nowait(Finished(answer))
        del self._running[task_id]

    def _of(self, task_id: str) -> asyncio.Queue[AgentProgress | Finished]:
        if (said := self._running.get(task_id)) is None:
            raise Conflict("This task does not run: it waits, or it has ended.")
        return said

    async def aclose(self) -> None:
        """See `Agent.aclose`; nothing of it runs here."""


def open_agent(context: AgentContext) -> ClientAgent:
    """Raises `ConfigError`."""
    options = validated(ClientAgentOptions, context.options, f"agents.entries.{context.name}.options")
    return ClientAgent(context.name, options, context.clock)
