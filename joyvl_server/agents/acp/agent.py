"""Agent `acp`: any program that speaks the Agent Client Protocol over stdio. A process of its own for each task."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from joyvl_server.agents.acp.connection import RpcConnection
from joyvl_server.agents.acp.conversation import AcpConversation, AgentEvents
from joyvl_server.agents.acp.program import AgentProgram, settled
from joyvl_server.agents.acp.watch import watch
from joyvl_server.agents.base import (
    AgentContext,
    AgentError,
    AgentEvent,
    AgentReport,
    AskPermission,
    Finished,
    PermissionRequest,
    TaskBundle,
)
from joyvl_server.agents.prompt import prompt_of, write_frames
from joyvl_server.agents.task_files import trial_folder
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.child import ChildProcess, Pipes

GRACE_S = 1.0
"""between SIGTERM and SIGKILL"""
MOST_EVENTS = 64
"""of which nobody has taken notice yet; then the agent is not read any more"""
LAST_WORDS = 400


class AcpAgent:
    def __init__(self, context: AgentContext) -> None:
        """Raises `ConfigError` for wrong options. Reads the file of a key."""
        self.name = context.name
        self._clock = context.clock
        self._program = AgentProgram(context)
        self._works: set[asyncio.Task[None]] = set()

    async def check(self) -> AgentReport:
        """It is started, greeted and put into its mode; no model is asked. Cancelled, nothing of it runs on."""
        program = self._program
        try:
            await program.check()
            with trial_folder(program.home.parent) as folder:
                async with self._conversation(folder, _nobody, asyncio.Queue()) as conversation:
                    await conversation.open(folder, None)
                    version = conversation.version
            login = await asyncio.to_thread(program.about_login)
        except JoyvlError as error:
            return AgentReport(ready=False, message=str(error), sandbox=program.sandbox)
        asks = "It starts. It may do things unasked." if program.options.unasked else (
            "It starts and asks before it does something.")  # fmt: skip
        return AgentReport(True, f"{asks} {login}".strip(), version, program.sandbox)

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        """See `Agent.run`."""
        events: asyncio.Queue[AgentEvent | BaseException] = asyncio.Queue(MOST_EVENTS)
        working = asyncio.create_task(self._tell(bundle, folder, ask, events), name=f"{self.name} on {bundle.task_id}")
        self._works.add(working)
        working.add_done_callback(self._works.discard)
        try:
            while True:
                event = await _next(events, working)
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            working.cancel()
            await asyncio.wait({working})

    async def aclose(self) -> None:
        """Idempotent. Cancelled, what runs is killed at once."""
        works = set(self._works)
        for working in works:
            working.cancel()
        if works:
            await asyncio.wait(works)

    async def _tell(
        self, bundle: TaskBundle, folder: Path, ask: AskPermission, events: asyncio.Queue[AgentEvent | BaseException]
    ) -> None:
        try:
            finished = await self._work(bundle, folder, ask, events)
        except Exception as error:  # whoever runs the task hears of it
            await events.put(error)
        else:
            await events.put(finished)

    async def _work(self, bundle: TaskBundle, folder: Path, ask: AskPermission, told: AgentEvents) -> Finished:
        await self._program.check()
        folder = await asyncio.to_thread(folder.resolve)
        async with self._conversation(folder, ask, told) as conversation:
            await conversation.open(folder, bundle.agent_session)
            await asyncio.to_thread(write_frames, bundle, folder)
            return await conversation.prompt(prompt_blocks(bundle, pictures=conversation.sees))

    @asynccontextmanager
    async def _conversation(
        self, folder: Path, ask: AskPermission, told: AgentEvents
    ) -> AsyncIterator[AcpConversation]:
        """With a process of its own, which has ended, with all that it started, when this is left.

        What goes wrong meanwhile ends the block: raises `AgentError`, and what `ask` raises.
        """
        program, pipes = self._program, Pipes()
        try:
            mark = await asyncio.to_thread(program.new_mark)
            launch = await asyncio.to_thread(program.launch, folder, mark)
            child = await ChildProcess.talk(launch, pipes)
        except (OSError, ValueError) as error:
            raise AgentError(f"It cannot be started: {error}.", code="unavailable") from None
        connection = RpcConnection(child, pipes, program.options.limits, self._clock)
        try:
            async with asyncio.TaskGroup() as group:
                conversation = AcpConversation(connection, program, self._clock, ask, told, group)
                beside = [
                    group.create_task(connection.read(conversation), name="reading"),
                    group.create_task(connection.read_complaints(), name="reading complaints"),
                    group.create_task(watch(child.pid, conversation, program, folder, self._clock), name="watching"),
                ]
                yield conversation
                conversation.end_asking()
                for each in beside:
                    each.cancel()
        except BaseExceptionGroup as group_error:
            raise self._explained(_first(group_error), connection) from None
        finally:
            await settled(child, GRACE_S, mark)

    def _explained(self, error: BaseException, connection: RpcConnection) -> BaseException:
        """With the last words of the agent, where they may say why."""
        if not isinstance(error, AgentError):
            return error
        words = " ".join(self._program.masked(connection.complaints).split())[-LAST_WORDS:]
        message = self._program.masked(str(error))
        if error.code == "login":
            message = f"{message.rstrip('. ')}. Log in: joyvl agents login {self.name}."
        if words and error.code in ("died", "timeout", "silent", "protocol", "unavailable"):
            message += f" The last it wrote: {words}"
        return AgentError(message, code=error.code)


def prompt_blocks(bundle: TaskBundle, *, pictures: bool) -> list[dict[str, Any]]:
    """The text, and each picture where the agent takes pictures; all of them lie in its folder, too."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": prompt_of(bundle, files=True)}]
    for frame in bundle.frames if pictures else ():
        data = base64.b64encode(frame.jpeg).decode()
        blocks.append({"type": "image", "mimeType": "image/jpeg", "data": data})
    return blocks


def _first(error: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; of several at once, what can be told."""
    found: list[BaseException] = []
    left: list[BaseException] = [error]
    while left:
        each = left.pop(0)
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
        else:
            found.append(each)
    return next((each for each in found if isinstance(each, JoyvlError)), found[0])


async def _next(
    events: asyncio.Queue[AgentEvent | BaseException], working: asyncio.Task[None]
) -> AgentEvent | BaseException:
    """The next event of work that puts its end there, too, unless somebody else cancels it (`aclose`)."""
    getting = asyncio.ensure_future(events.get())
    try:
        await asyncio.wait({getting, working}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
    finally:
        getting.cancel()
    return AgentError("It was stopped.", code="died") if events.empty() else events.get_nowait()


async def _nobody(request: PermissionRequest) -> str | None:
    return None
