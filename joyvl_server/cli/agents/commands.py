"""`joyvl agents …`: who works on delegated questions, what is missing for that, and one question on trial."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from joyvl_server.agents.acp.program import login_program
from joyvl_server.agents.base import GROUP, AgentError, AgentProgress, Finished, TaskBundle
from joyvl_server.agents.client_agent import TYPE as CLIENT
from joyvl_server.agents.pool import NONE, AgentPool
from joyvl_server.agents.task_files import trial_folder
from joyvl_server.agents.visible_text import one_line, visible
from joyvl_server.cli.agents.terminal import LONGEST_LINE, TerminalPermissions
from joyvl_server.cli.exits import FAILED, errors_as_exit_codes
from joyvl_server.core.errors import Conflict
from joyvl_server.kit import logs, plugins
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import Settings, load

app = typer.Typer(help="Agents that work on delegated questions: list, check, run, login.", no_args_is_help=True)

T = TypeVar("T")
OF_THE_TERMINAL = ("TERM", "COLORTERM", "COLUMNS", "LINES", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "BROWSER")
"""what a login needs to draw on the terminal, or to open a browser"""

Name = Annotated[str, typer.Argument(help="Name of the agent in the settings (agents.entries).")]
Config = Annotated[Path | None, typer.Option(help="YAML file with settings.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder that holds the agents' own folders (data_dir).")]


@app.command("list")
def list_agents(config: Config = None, data_dir: DataDir = None) -> None:
    """List the agents of the settings; * marks the default. Starts none of them."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        entries = settings.agents.entries
        default = settings.agents.default or next(iter(entries), None)
        for name, entry in entries.items():
            typer.echo(f"{'*' if name == default else ' '} {name:<14} {entry.type:<8} {entry.about}".rstrip())
        if not entries:
            typer.echo(f"{NONE} Installed types: {', '.join(plugins.names(GROUP)) or 'none'}.")


@app.command()
def check(name: Name, config: Config = None, data_dir: DataDir = None) -> None:
    """Check whether an agent has all that it needs. If not, print what is missing and end with 1. Asks no model."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        logs.configure("error", settings.log.format)
        try:
            ready = asyncio.run(_until_told_to_end(_check(name, settings)))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    if not ready:
        raise typer.Exit(FAILED)


@app.command("run")
def run_agent(
    name: Name,
    question: Annotated[str, typer.Argument(help="What it is to find out.")],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Ask an agent one question, and print its answer.

    It works in a folder of its own that is removed afterwards. What it does is told on stderr. What it wants
    permission for is asked on the terminal; without a terminal it is denied. Ctrl-C ends it, with everything that it
    started, with 130; SIGTERM and SIGHUP do so, too, with 143 and 129.
    """
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        logs.configure("error", settings.log.format)
        try:
            asyncio.run(_until_told_to_end(_run(name, question, settings)))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


@app.command()
def login(name: Name, config: Config = None, data_dir: DataDir = None) -> None:
    """Log an agent in, with its own program on this terminal.

    What it stores stays in the agent's own HOME in the data folder; nothing of yours is read.
    """
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        agents = _pool(settings)
        context, kind = agents.context(name), agents.kind(name)
        if kind != "acp":
            raise AgentError(f"{name} is of type {kind}, which has no login; see docs/agents.md.", code="login")
        program = login_program(context)
        terminal = {variable: os.environ[variable] for variable in OF_THE_TERMINAL if variable in os.environ}
        try:
            code = subprocess.run(program.argv, env={**terminal, **program.env}, check=False).returncode
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except OSError as error:
            raise AgentError(f"{program.argv[0]} cannot be started: {error.strerror}.", code="unavailable") from None
        if code:
            raise AgentError(f"{program.argv[0]} ended with {code}: {name} may not be logged in.", code="login")
    typer.echo(f'See whether it works: joyvl agents run {name} "Which day is it?"', err=True)


def _pool(settings: Settings) -> AgentPool:
    return AgentPool(settings.agents, settings.data_dir / "agents", SystemClock(), settings.net_policy())


async def _until_told_to_end(doing: Coroutine[Any, Any, T]) -> T:
    """Its result; told by a signal to end, it is cancelled, once, and `typer.Exit` is raised after it has ended."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        if len(told) == 1 and me is not None:
            me.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            with suppress(ValueError, RuntimeError):  # not the main thread
                loop.add_signal_handler(number, end, number)
    try:
        return await doing
    except asyncio.CancelledError:
        if told:
            raise typer.Exit(128 + told[0]) from None
        raise


async def _check(name: str, settings: Settings) -> bool:
    agents = _pool(settings)
    try:
        report = await agents.check(name)
    finally:
        await agents.aclose()
    typer.echo(report.message, err=not report.ready)
    if report.version:
        typer.echo(f"version: {report.version}")
    if report.sandbox:
        typer.echo(f"sandbox: {report.sandbox}")
    return report.ready


async def _run(name: str, question: str, settings: Settings) -> None:
    """Raises `JoyvlError`. Cancelled, everything that the agent started has ended."""
    question = question.strip()
    if not question:
        raise Conflict("A task needs a question.")
    agents = _pool(settings)
    permissions = TerminalPermissions(settings.agents.permission_timeout_s)
    limit_s = settings.agents.timeout_s
    try:
        if agents.kind(name) == CLIENT:
            where = "ask it through the server that this client is connected to"
            raise AgentError(f"{name} is run by a client: {where}.", code="unavailable")
        agent = agents.get(agents.choose(name, question))
        bundle = TaskBundle(new_id("tsk"), question, origin="user", asked_wall=SystemClock().wall())
        with trial_folder(agents.homes) as work:
            async with asyncio.timeout(limit_s), aclosing(agent.run(bundle, work, permissions.ask)) as events:
                async for event in events:
                    if isinstance(event, AgentProgress):
                        typer.echo(one_line(event.text, joiners=True)[:LONGEST_LINE], err=True)
                    elif isinstance(event, Finished):
                        _show(event, work)
                        return
        raise AgentError("It ended without an answer.", code="died")
    except TimeoutError:
        raise AgentError(f"It did not end within {limit_s:g} s.", code="timeout") from None
    finally:
        permissions.close()
        await agents.aclose()


def _show(finished: Finished, work: Path) -> None:
    typer.echo(visible(finished.answer, joiners=True))
    left = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    if left:
        typer.echo(f"Files that it made, which are not kept here: {', '.join(map(one_line, left[:20]))}", err=True)
