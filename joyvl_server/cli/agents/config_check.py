"""What is wrong with the agents of the settings, and what people should know of them."""

from __future__ import annotations

import shlex

from joyvl_server.agents.acp.program import AgentProgram
from joyvl_server.agents.base import AgentError
from joyvl_server.agents.pool import AgentPool
from joyvl_server.cli.part_names import agent_types, require
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings


def check_agents(settings: Settings) -> list[str]:
    """Warnings, a sentence each. Raises `ConfigError`: an agent is of no type that is installed, or an option of it is
    wrong. Starts none of them."""
    require(agent_types(settings))
    pool = AgentPool(settings.agents, settings.data_dir / "agents", SystemClock(), settings.net_policy())
    warnings = []
    for name, entry in settings.agents.entries.items():
        pool.get(name)  # its options are checked when it is made
        if entry.type == "acp":
            program = AgentProgram(pool.context(name))
            warnings += [f"agents.entries.{name}: {warning}" for warning in _of_program(program)]
    return warnings


def _of_program(program: AgentProgram) -> list[str]:
    found = []
    try:
        program.command()
    except AgentError as error:
        found.append(f"{error} Then see: joyvl agents check {shlex.quote(program.name)}")
    if program.options.unasked:
        found.append("with `unasked: true` it may run commands and change files without asking anybody.")
    if program.options.sandbox == "none":
        found.append(f"its sandbox is off. {program.sandbox}")
    return found
