"""An agent that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from joyvl_server.agents.base import (
    AgentError,
    AgentEvent,
    AgentProgress,
    AgentReport,
    AskPermission,
    Finished,
    PermissionOption,
    PermissionRequest,
    TaskBundle,
)

ALLOW = PermissionOption("allow", "Allow once", "allow_once")
DENY = PermissionOption("deny", "Deny", "reject_once")


class ToldAgent:
    """`goes_on`: while it is cleared, nothing finishes. `asks`: it wants a permission first."""

    name = "told"

    def __init__(self) -> None:
        self.answer = "The house was built in 1907."
        self.error: AgentError | None = None
        self.asks = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.bundles: list[TaskBundle] = []
        self.permissions: list[str | None] = []
        self.running = 0

    async def check(self) -> AgentReport:
        return AgentReport(ready=True, message="It is ready.", version="1")

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        self.bundles.append(bundle)
        self.running += 1
        try:
            yield AgentProgress("looking it up")
            if self.asks:
                self.permissions.append(await ask(PermissionRequest("run a command", "ls -l", (ALLOW, DENY))))
            await self.goes_on.wait()
            if self.error is not None:
                raise self.error
            yield Finished(self.answer, "session-1")
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        pass
