"""`joyvl watch`: the whole way from a source to decisions, in one terminal, without a server."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

from joyvl_server.cli.exits import UNDECIDED, USAGE, errors_as_exit_codes
from joyvl_server.cli.serve import given
from joyvl_server.cli.watch_output import DecisionReporter, JsonPrinter, Printer, TextPrinter
from joyvl_server.core.errors import ConfigError, JoyvlError, SourceError
from joyvl_server.core.watches.kinds import Kinds, read_kinds
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.kit import logs
from joyvl_server.settings import Settings, load

if TYPE_CHECKING:  # a second of every other command
    from joyvl_server.sessions.session import Session

TICKS = ("response.listen", "response.skip", "response.done")

KINDS_HELP = (
    "What the watches fire at when the engine reads no words: any, or kinds such as enter,leave. Without it the kinds "
    "that their words name."
)


def watch(
    source: Annotated[str, typer.Argument(help="A video file, or a URL such as rtsp://user:password@host/stream.")],
    watch: Annotated[list[str] | None, typer.Option(help="What to watch for; give it once for each watch.")] = None,
    kinds: Annotated[str | None, typer.Option(help=KINDS_HELP)] = None,
    engine: Annotated[str | None, typer.Option(help="The engine that decides (engine.name).")] = None,
    speed: Annotated[
        str, typer.Option(help="Files: 1 is real time; 8 or max go faster and wait for every decision.")
    ] = "1",
    json_lines: Annotated[bool, typer.Option("--json", help="Print one JSON object for each tick.")] = False,
    threshold: Annotated[
        float | None, typer.Option(help="Speak when the score reaches this, 0 to 1 (sessions.threshold).")
    ] = None,
    fidelity: Annotated[
        str | None, typer.Option(help="What frames may cost: faithful, adaptive or eco (sessions.fidelity).")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Files: play from the start when the file ends.")] = False,
    duration: Annotated[float | None, typer.Option(help="Stop after this many seconds of the stream.")] = None,
    record: Annotated[Path | None, typer.Option(help="Folder for the input log, for joyvl replay.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
) -> None:
    """Watch one source and print the decisions.

    A file waits while the engine loads its model (sessions.engine_loading_s), and for a while when the engine is away.
    A camera that is away is waited for.
    """
    with errors_as_exit_codes(), tempfile.TemporaryDirectory(prefix="joyvl-watch-") as folder:
        settings = load(
            config,
            given(
                {
                    "data_dir": folder,
                    "demo": False,
                    "engine": {"name": engine},
                    "sessions": {"threshold": threshold, "fidelity": fidelity, "record_dir": record},
                    "media": {"file_roots": ["/"]},  # whoever runs this may read the files anyway
                    "log": {"level": "error"},  # errors of a source are printed as one sentence
                }
            ),
        )
        logs.configure(settings.log.level, settings.log.format)
        printer = JsonPrinter() if json_lines else TextPrinter(sys.stderr.isatty())
        spec = pull_spec(source, speed, loop)
        chosen = read_kinds(kinds)
        try:
            asyncio.run(_watch(settings, spec, source, [(text, chosen) for text in watch or ()], printer, duration))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def pull_spec(source: str, speed: str, loop: bool) -> PullSpec:
    """A path becomes a file URL. Files faster than real time wait for each decision, so that none is skipped."""
    is_url = "://" in source
    is_file = not is_url or source.lower().startswith("file:")
    path = Path("/" + unquote(source.split("/", 3)[-1]) if is_url else source).expanduser()
    if is_file and not path.is_file():
        raise SourceError(f"There is no file {source}.", code="not_found")
    url = source if is_url else path.resolve().as_uri()
    factor = _speed(speed)
    if not is_file and factor != 1:
        raise ConfigError("--speed is for files: a live source runs at its own speed.")
    return PullSpec(url, loop=loop and is_file, speed=factor, lockstep=is_file and factor != 1)


def _speed(text: str) -> float:
    """`max` is 0: as fast as decisions come."""
    if text == "max":
        return 0.0
    try:
        factor = float(text)
    except ValueError:
        factor = -1.0
    if not 0 < factor <= 1000:
        typer.echo(f"joyvl: --speed takes a number above 0, or max, not {text!r}.", err=True)
        raise typer.Exit(USAGE)
    return factor


async def _watch(
    settings: Settings,
    spec: PullSpec,
    name: str,
    watches: Sequence[tuple[str, Kinds | None]],
    printer: Printer,
    duration: float | None,
) -> None:
    from joyvl_server.compose import build_registry
    from joyvl_server.sessions.watch_list import WatchDraft

    drafts = tuple(WatchDraft(text, kinds=kinds) for text, kinds in watches)
    registry = await build_registry(settings)
    is_file = spec.is_file
    reporter = DecisionReporter(printer, settings.sessions)
    try:
        await registry.start()
        if is_file and not reporter.waited(await registry.engine_there(reporter.waiting)):
            raise typer.Exit(UNDECIDED)
        session = await registry.watch_url(spec, name=name, watches=drafts)
        if not is_file:
            printer.note("Waiting for the source, however long it is away. Ctrl-C ends it.")
        reason = await _print_until_end(session, printer, reporter, duration, is_file=is_file)
    finally:
        await registry.aclose()
    printer.end()
    if reason is not None:
        raise JoyvlError(reason)
    if reporter.undecided():
        raise typer.Exit(UNDECIDED)


async def _print_until_end(
    session: Session,
    printer: Printer,
    reporter: DecisionReporter,
    duration: float | None,
    *,
    is_file: bool,
) -> str | None:
    """Returns why it ended, where that was not the end of the source."""
    for note in dict.fromkeys(session.watches.note(watch) for watch in session.watches.all()):
        printer.note(note)
    async for update in session.updates.since(None):
        match update.type:
            case t if t in TICKS:
                tick = update.data["tick"]
                if duration is not None and tick["t"] >= duration:
                    return None
                reporter.tick(tick)
                printer.tick(tick, session)
            case "session.created" | "session.updated":
                reporter.engine(update.data["session"]["engine_state"])
            case "camera.online" | "camera.offline":
                if is_file and session.state.status is SourceStatus.OFFLINE:
                    return session.state.error  # a camera may come back, a file does not
                printer.state(update.data["state"])
            case "session.ended" if session.state.error_code != "ended":
                return str(update.data["reason"])
    return None
