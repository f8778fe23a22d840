"""An agent outside joyvl-server's tree: it asks for one permission, answers in Markdown and leaves a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from joyvl_server.agents.base import (
    AgentContext,
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

COUNT = PermissionRequest(
    "Run a command",
    "wc -l < frames.txt",
    (PermissionOption("yes", "Allow once", "allow_once"), PermissionOption("no", "Reject", "reject_once")),
)
ANSWER = """It is **ours**.

| frames | asked |
|---|---|
| {frames} | {question} |

<script>window.hit = 1</script> [a trap](javascript:window.hit=1)
"""


class AskingAgent:
    def __init__(self, context: AgentContext) -> None:
        self.name = context.name

    async def check(self) -> AgentReport:
        return AgentReport(ready=True, message="It is there.")

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        yield AgentProgress("Looking at the pictures")
        if await ask(COUNT) != "yes":
            raise AgentError("It may not count.", code="refused")
        (folder / "count.csv").write_text(f"frames,{len(bundle.frames)}\n")
        yield Finished(ANSWER.format(frames=len(bundle.frames), question=bundle.question))

    async def aclose(self) -> None:
        return None


def install(site: Path) -> None:
    """As an installer would leave it, into a folder for `PYTHONPATH`: as the agent type `asking`."""
    info = site / "joyvl_asking_agent-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: joyvl_asking_agent\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[joyvl.agents]\nasking = joyvl_asking_agent:AskingAgent\n")
    (site / "joyvl_asking_agent.py").write_text(Path(__file__).read_text())
