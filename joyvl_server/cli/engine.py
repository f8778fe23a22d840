"""`joyvl engine …`: what decides: what is installed, whether it works, and the environment of engine `vllm`."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer

from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError, EngineError, EngineTimeout
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import Capabilities, Engine, EngineSettings, EngineSpec
from joyvl_server.engines.vllm.engine import VllmEngine
from joyvl_server.engines.vllm.install import vllm_environment
from joyvl_server.engines.vllm.weights import with_places
from joyvl_server.kit import logs, plugins
from joyvl_server.kit.jpeg import encode
from joyvl_server.kit.virtualenvs import EnvironmentState, VirtualEnvironment, commands, find_python, make
from joyvl_server.settings import Settings, load

app = typer.Typer(help="Engines: install, list, check.", no_args_is_help=True)

GROUP = "joyvl.engines"
INSTALLABLE = "vllm"

Config = Annotated[Path | None, typer.Option(help="YAML file with settings.")]
DataDir = Annotated[Path | None, typer.Option(help="The server's data folder (data_dir).")]
Python = Annotated[str | None, typer.Option(help="Python that makes the environment.")]
Installer = Annotated[
    str, typer.Option(help="pip, uv, or auto: uv where uv is on the path and no PIP_… variable names a source.")
]
Requirement = Annotated[
    list[str] | None, typer.Option(help="Install this instead of the default packages; give it once for each package.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what the command would do, and do nothing.")]


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="The engine.")] = INSTALLABLE,
    config: Config = None,
    data_dir: DataDir = None,
    python: Python = None,
    installer: Installer = "auto",
    requirement: Requirement = None,
    dry_run: DryRun = False,
) -> None:
    """Make the separate environment that an engine needs. If it was interrupted, run it a second time to finish."""
    with errors_as_exit_codes():
        if name != INSTALLABLE:
            raise ConfigError(f"Engine {name} needs no environment; only {INSTALLABLE} does.")
        settings = load(config, {"data_dir": data_dir})
        build(vllm_environment(settings.data_dir, tuple(requirement or ())), python, installer, dry_run=dry_run)


@app.command("list")
def list_engines(config: Config = None, data_dir: DataDir = None) -> None:
    """List the installed engines, and whether each can be used."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        for name in plugins.names(GROUP):
            chosen = "*" if name == settings.engine.name else " "
            typer.echo(f"{chosen} {name:<14} {asyncio.run(_describe(name, settings))}")


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="The engine. Without it the engine of the settings.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    start: Annotated[
        bool, typer.Option("--start", help="Start the engine, try what it can do, ask for one decision, and stop it.")
    ] = False,
) -> None:
    """Check whether an engine can be used. If not, print the reason and end with 1."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        logs.configure("error", settings.log.format)  # errors are printed as one sentence
        asyncio.run(_check(name or settings.engine.name, settings, start=start))


def build(environment: VirtualEnvironment, python: str | None, installer: str, *, dry_run: bool) -> None:
    """Make an environment and say so. Raises `ConfigError`, `JoyvlError`."""
    if installer not in ("auto", "pip", "uv"):
        raise ConfigError(f"--installer is auto, pip or uv, not {installer}.")
    state = environment.state()
    if state is EnvironmentState.READY:
        typer.echo(f"{environment.folder} is ready.")
        return
    found = find_python(environment.pythons, python)
    if dry_run:
        typer.echo(f"{environment.folder} is {state}. This would be run:")
        for command in commands(environment, found, installer):
            typer.echo(f"  {shlex.join(command)}")
        return
    typer.echo(f"Making {environment.folder} with {found}: {', '.join(environment.requirements)}")
    make(environment, found, lambda line: typer.echo(f"  {line}"), installer=installer)
    typer.echo(f"{environment.folder} is ready.")


def open_engine(name: str, settings: Settings) -> Engine:
    """The engine as the settings want it. Raises `ConfigError`."""
    maker = cast(Callable[[EngineSettings], Engine], plugins.load(GROUP, name))
    return maker(with_places(settings.engine.options, settings.data_dir, settings.speech_models_dir).get(name, {}))


async def _describe(name: str, settings: Settings) -> str:
    try:
        engine = open_engine(name, settings)
    except ConfigError as error:
        return str(error)
    try:
        if isinstance(engine, VllmEngine):
            return await engine.process.describe()
        return engine.capabilities.note or "ready"
    finally:
        await engine.aclose()


async def _check(name: str, settings: Settings, *, start: bool) -> None:
    engine = open_engine(name, settings)
    try:
        if start:
            _show(await probe(engine, typer.echo))
            typer.echo(await engine.check())
            await _decide(engine, settings.sessions.engine_timeout_s)
        elif isinstance(engine, VllmEngine):
            await engine.process.look()
            typer.echo(await engine.process.describe())
        else:
            typer.echo(await engine.check())
    finally:
        await engine.aclose()


async def probe(engine: Engine, tell: Callable[[str], object]) -> Capabilities:
    """Probe it, and tell how far it is whenever that changes. Raises `JoyvlError`. Cancelled, it gives up."""
    probing = asyncio.create_task(engine.probe(), name=f"probe of {engine.name}")
    try:
        shown = ""
        while not (await asyncio.wait({probing}, timeout=1.0))[0]:
            # Without the seconds, which change every time.
            now = engine.capabilities.note.partition(" (")[0]
            if now != shown:
                tell(now)
            shown = now
        return probing.result()
    finally:
        probing.cancel()


async def _decide(engine: Engine, timeout_s: float) -> None:
    """One decision about a drawn picture, as a session asks for it. Raises `JoyvlError` where none comes."""
    ramp = np.linspace(0, 255, 448, dtype=np.uint8)
    grey = np.repeat(ramp[None, :], 256, axis=0)
    frame = Frame(0.0, time.time(), encode(np.repeat(grey[:, :, None], 3, axis=2)), grey[::4, ::4].copy())
    session = await engine.open(EngineSpec(session_id="check"))
    try:
        async with asyncio.timeout(timeout_s):
            await session.begin(Chunk(1, wire_format.system_prompt()))
            await session.append(UserTurn(1, 0.0, frame))
            score = await session.score()
    except TimeoutError:
        raise EngineTimeout(f"The engine {engine.name} decided nothing within {timeout_s:g} s.") from None
    finally:
        await session.aclose()
    if score.garbage is not None:
        raise EngineError(
            f"The engine {engine.name} answers, but with no decision: “{' '.join(score.garbage.split())[:80]}”. "
            "Use a vision model that follows instructions.",
            code="engine_garbage",
        )
    typer.echo(f"It decided about a picture: {'speak' if score.value >= 0.5 else 'silent'} ({score.value:.2f})")


def _show(found: Capabilities) -> None:
    able = [
        word
        for word in ("scores", "chooses", "prefills", "uuids", "priority", "prepares", "writes")
        if getattr(found, word)
    ]
    typer.echo(f"mode: {found.mode}; can: {', '.join(able) or 'nothing more'}")
    typer.echo(
        f"context: {found.context_tokens or 'not known'} tokens; cache: {found.cache_tokens or 'not known'} tokens"
    )
    if found.note:
        typer.echo(found.note)
