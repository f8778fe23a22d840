"""The agents of a server, by name, and which of them gets a question."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import structlog

from joyvl_server.agents.base import GROUP, Agent, AgentContext, AgentReport
from joyvl_server.agents.task_files import sweep_trials
from joyvl_server.core.errors import ConfigError, Conflict, JoyvlError, NotFound
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.processes.marks import kill_abandoned
from joyvl_server.settings import AgentSettings

log = structlog.get_logger(__name__)

CHECK_S = 30.0
"""a check may take, after the start of the agent"""
START_S = 120.0
"""of one whose options do not say so"""
NONE = "No agent is configured, so nobody can look into it. See docs/agents.md."


class AgentPool:
    """Makes each agent when it is first wanted. `folder`: in it each has its HOME, `home/NAME`."""

    def __init__(self, settings: AgentSettings, folder: Path, clock: Clock, policy: NetPolicy) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._policy = policy
        self._agents: dict[str, Agent] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._settings.entries)

    @property
    def homes(self) -> Path:
        """The folder of their HOMEs."""
        return self._folder / "home"

    def sweep(self) -> None:
        """End what the agents of a server that was killed have left running, and remove what trials left. Blocks."""
        if not kill_abandoned(self.homes):
            log.warning("processes of an earlier run could not be killed")
        sweep_trials(self.homes)

    def kind(self, name: str) -> str | None:
        """The type of an agent; None where there is no such agent."""
        entry = self._settings.entries.get(name)
        return None if entry is None else entry.type

    def home(self, name: str) -> Path:
        return self.homes / name

    def context(self, name: str) -> AgentContext:
        """What an agent is made with. Raises `NotFound`."""
        entry = self._settings.entries.get(name)
        if entry is None:
            raise self.missing(name)
        return AgentContext(name, entry.options, self.home(name), self._clock, self._policy)

    def missing(self, name: str) -> NotFound:
        """The error for a name that no agent has."""
        others = f"There are: {', '.join(self.names)}." if self.names else NONE
        return NotFound(f"There is no agent {name[:80]}. {others}")

    def choose(self, wanted: str | None, question: str) -> str:
        """The name of the agent for a question: the one that is wanted, else one that the question names at its start
        or as "@name", else the default one. Raises `NotFound`, `Conflict` where there is none at all."""
        names = self.names
        if not names:
            raise Conflict(NONE, code="no_agent")
        if wanted is not None:
            if wanted not in names:
                raise self.missing(wanted)
            return wanted
        for name in names:
            called = re.escape(name)
            if re.search(rf"^{called}[:,]|(?:^|\s)@{called}(?![\w-])", question.strip(), re.IGNORECASE):
                return name
        return self._settings.default or names[0]

    async def load(self, name: str) -> None:
        """Import what that agent needs, off the loop, for `get`, which says what was wrong with it: some take seconds.

        Cancelled, the import goes on.
        """
        entry = self._settings.entries.get(name)
        if entry is not None and name not in self._agents:
            with suppress(ConfigError):
                await asyncio.to_thread(plugins.load, GROUP, entry.type)

    def get(self, name: str) -> Agent:
        """Raises `NotFound`, `ConfigError` where its kind is not there or its options are wrong.

        Imports it here and now where `load` has not: not for the loop of a server.
        """
        if name not in self._agents:
            context = self.context(name)
            make = cast(Callable[[AgentContext], Agent], plugins.load(GROUP, self._settings.entries[name].type))
            self._agents[name] = make(context)
        return self._agents[name]

    async def check(self, name: str) -> AgentReport:
        """Within a bound. Raises `NotFound`. Cancelled, nothing of it runs on."""
        if name not in self._settings.entries:
            raise self.missing(name)
        limit_s = self._check_limit_s(name)
        try:
            async with asyncio.timeout(limit_s):
                await self.load(name)
                return await self.get(name).check()
        except JoyvlError as error:
            return AgentReport(ready=False, message=str(error))
        except TimeoutError:
            return AgentReport(ready=False, message=f"It did not say within {limit_s:g} s whether it can be used.")

    def _check_limit_s(self, name: str) -> float:
        """Later than one that has a time for its start (`options.start_s`) says so itself."""
        start_s = self._settings.entries[name].options.get("start_s", START_S)
        return CHECK_S + (start_s if isinstance(start_s, int | float) else START_S)

    async def aclose(self) -> None:
        """Idempotent. Cancelled, what runs is killed at once."""
        agents, self._agents = list(self._agents.values()), {}
        closed = await asyncio.gather(*(agent.aclose() for agent in agents), return_exceptions=True)
        for agent, how in zip(agents, closed, strict=True):
            if isinstance(how, Exception):
                log.error("an agent could not be closed", agent=agent.name, error=repr(how))
