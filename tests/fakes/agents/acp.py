"""The agent of type `acp` with the test agent behind it, and what a test wants to know afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from fakes.agents.traces import marked
from joyvl_server.agents.acp.agent import AcpAgent
from joyvl_server.agents.base import (
    AgentContext,
    AgentEvent,
    BundleFrame,
    Finished,
    PermissionRequest,
    TaskBundle,
)
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.net.policy import NetPolicy

PROGRAM = Path(__file__).with_name("acp_agent.py")
JPEG = simplejpeg.encode_jpeg(np.full((48, 64, 3), 120, np.uint8))
"""some agents look into it themselves"""
QUESTION = TaskBundle(
    "tsk_1",
    "Which van is it?",
    frames=(BundleFrame(JPEG, 1.0, 1_800_000_001.0), BundleFrame(JPEG, 2.0, 1_800_000_002.0)),
)


@dataclass
class People:
    """Whom an agent asks. `answer`: what they choose; "…": they never answer. `choose`: the kind of what they take."""

    answer: str | None = None
    choose: str | None = None
    requests: list[PermissionRequest] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: PermissionRequest) -> str | None:
        self.requests.append(request)
        self.asked.set()
        if self.answer == "…":
            await asyncio.Event().wait()
        kinds = {option.kind: option.id for option in reversed(request.options)}
        return kinds[self.choose] if self.choose is not None else self.answer


class AgentHouse:
    """`mark` stands in the environment of all that the agent starts, so that what is left is found."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"JOYVL_TEST_{uuid.uuid4().hex}"
        self.home = folder / "home" / "test"
        self.folder = folder / "work" / "tsk_1"
        self.folder.mkdir(parents=True)
        self.clock = SystemClock()

    def agent(self, *behaviours: str, **options: Any) -> AcpAgent:
        env = {"TEST_MARK": self.mark, **options.pop("env", {})}
        command = [sys.executable, str(PROGRAM), *behaviours]
        return self.make({"command": command, "env": env, **options})

    def make(self, options: dict[str, Any]) -> AcpAgent:
        return AcpAgent(AgentContext("test", options, self.home, self.clock, NetPolicy()))

    @property
    def notes(self) -> dict[str, Any]:
        """What the agent noted, the last of each kind; a list where there are several."""
        found: dict[str, Any] = {}
        path = self.home / "notes.jsonl"
        for text in path.read_text().splitlines() if path.exists() else ():
            for name, value in json.loads(text).items():
                found[name] = value if name not in found else [*_listed(found[name]), value]
        return found

    def processes(self) -> list[str]:
        """The command of each process that carries the mark."""
        return list(marked(self.mark).values())

    def pids(self, wanted: Callable[[str], bool]) -> list[int]:
        return [pid for pid, command in marked(self.mark).items() if wanted(command)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


async def answer_of(
    agent: AcpAgent, folder: Path, people: People | None = None, bundle: TaskBundle = QUESTION
) -> tuple[Finished, list[AgentEvent]]:
    """Raises what the agent raises."""
    async with aclosing(agent.run(bundle, folder, people or People())) as running:
        events = [event async for event in running]
    assert isinstance(events[-1], Finished)
    return events[-1], events
