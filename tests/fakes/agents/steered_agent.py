"""An agent that a test steers, found as installed ones are: `offer(monkeypatch)`, then settings with type `steered`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from joyvl_server.agents.base import (
    GROUP,
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
from joyvl_server.kit import plugins

RUN_IT = PermissionRequest(
    "Run a command",
    "rm -r build",
    (
        PermissionOption("yes", "Allow once", "allow_once"),
        PermissionOption("ever", "Always allow", "allow_always"),
        PermissionOption("no", "Reject", "reject_once"),
    ),
)


class SteeredAgent:
    """`asks`: permissions that it wants first. `files`: what it leaves, by name. `holds`: it works until `release`."""

    def __init__(self, context: AgentContext) -> None:
        self.name = context.name
        self.context = context
        self.report = AgentReport(ready=True, message="It is there.", version="1.2", sandbox="None: it is a test.")
        self.answer = "**42**. That is all."
        self.asks: list[PermissionRequest] = []
        self.answers: list[str | None] = []
        self.files: dict[str, bytes] = {}
        self.error: AgentError | None = None
        self.holds = False
        self.bundles: list[TaskBundle] = []
        self.folders: list[Path] = []
        self.ended = 0
        self.closed = False
        self._go = asyncio.Event()

    def release(self) -> None:
        self._go.set()

    async def check(self) -> AgentReport:
        return self.report

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        self.bundles.append(bundle)
        self.folders.append(folder)
        try:
            yield AgentProgress("Reading the question.")
            for request in self.asks:
                self.answers.append(await ask(request))
            if self.holds:
                await self._go.wait()
            for name, content in self.files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if self.error is not None:
                raise self.error
            yield Finished(self.answer, "goes-on")
        finally:
            self.ended += 1

    async def aclose(self) -> None:
        self.closed = True


def offer(monkeypatch: pytest.MonkeyPatch, **more: Any) -> dict[str, SteeredAgent]:
    """The type `steered` is installed (and `more`, by name). Returns the agents that are made, by name."""
    made: dict[str, SteeredAgent] = {}

    def make(context: AgentContext) -> SteeredAgent:
        return made.setdefault(context.name, SteeredAgent(context))

    parts: dict[str, Any] = {"steered": make, **more}
    load, names = plugins.load, plugins.names

    def loading(group: str, name: str) -> object:
        return parts[name] if group == GROUP and name in parts else load(group, name)

    def named(group: str) -> tuple[str, ...]:
        return tuple(sorted(parts)) if group == GROUP else names(group)

    monkeypatch.setattr(plugins, "load", loading)
    monkeypatch.setattr(plugins, "names", named)
    return made


STEERED: dict[str, Any] = {"entries": {"steered": {"type": "steered", "about": "everything"}}}
"""`agents` of the settings"""
