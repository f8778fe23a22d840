"""The agents that work on delegated questions: as `joyvl agents check` says it, for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from joyvl_server.agents.pool import AgentPool
from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings

LIMIT_S = 60.0


class AgentsCheck:
    """See `Check`. Asks no model."""

    name = "agents"
    limit_s = LIMIT_S + 20

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        settings = self._settings
        if not settings.agents.entries:
            return [skipped("No agent is set up; nothing is handed over.", "If you want one: docs/agents.md")]
        pool = AgentPool(settings.agents, settings.data_dir / "agents", SystemClock(), settings.net_policy())
        try:
            return await asyncio.gather(*(self._agent(pool, name) for name in settings.agents.entries))
        finally:
            await pool.aclose()

    async def _agent(self, pool: AgentPool, name: str) -> Finding:
        again = f"Then see: joyvl agents check {name}; docs/agents.md"
        try:
            async with asyncio.timeout(LIMIT_S):
                report = await pool.check(name)
        except TimeoutError:
            return problem(f"{name} did not say within {LIMIT_S:g} s whether it can be used.", again)
        if not report.ready:
            return problem(f"{name}: {report.message}", again)
        return ok(" ".join(filter(None, (f"{name}: {report.message}", report.version, report.sandbox))))
