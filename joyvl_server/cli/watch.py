"""`joyvl watch`: the whole way from a source to decisions, in one terminal, without a server."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from joyvl_server.cli.exits import UNDECIDED, USAGE, errors_as_exit_codes
from joyvl_server.cli.serve import given
from joyvl_server.compose import build_registry
from joyvl_server.core.errors import ConfigError, JoyvlError, SourceError
from joyvl_server.core.watches.kinds import read_kinds
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.kit import logs
from joyvl_server.sessions.engines.state import EngineState, EngineStatus
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.settings import Settings, load
from joyvl_server.settings.groups import SessionSettings

TICKS = ("response.listen", "response.skip", "response.done")
# What `--json` prints of a tick, and under which name.
FIELDS = (
    "t",
    "decision",
    "kind",
    "zone",
    "text",
    "score",
    "question",
    "skipped",
    "suppressed",
    "watches",
    "look",
    "wall",
)

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
                    "log": {"level": "error"},  # what a source suffers is told as a sentence
                }
            ),
        )
        logs.configure(settings.log.level, settings.log.format)
        printer = JsonPrinter() if json_lines else TextPrinter(sys.stderr.isatty())
        spec = pull_spec(source, speed, loop)
        chosen = read_kinds(kinds)
        watches = tuple(WatchDraft(text, kinds=chosen) for text in watch or ())
        try:
            asyncio.run(_watch(settings, spec, source, watches, printer, duration))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def pull_spec(source: str, speed: str, loop: bool) -> PullSpec:
    """A path becomes a file URL. Files faster than real time wait for each decision, so that none is skipped."""
    if "://" in source:
        url = source
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise SourceError(f"There is no file {source}.", code="not_found")
        url = path.resolve().as_uri()
    is_file = url.startswith("file:")
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
    watches: tuple[WatchDraft, ...],
    printer: JsonPrinter | TextPrinter,
    duration: float | None,
) -> None:
    registry = await build_registry(settings)
    is_file = spec.url.startswith("file:")
    progress = DecisionReporter(printer, settings.sessions)
    try:
        await registry.start()
        if is_file and not progress.waited(await registry.engine_there(progress.waiting)):
            raise typer.Exit(UNDECIDED)
        session = await registry.watch_url(spec, name=name, watches=watches)
        reason = await _print_until_end(session, printer, progress, duration, is_file=is_file)
    finally:
        await registry.aclose()
    printer.end()
    if reason is not None:
        raise JoyvlError(reason)
    if progress.undecided():
        raise typer.Exit(UNDECIDED)


async def _print_until_end(
    session: Session,
    printer: JsonPrinter | TextPrinter,
    progress: DecisionReporter,
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
                progress.tick(tick)
                printer.tick(tick, session)
            case "session.created" | "session.updated":
                progress.engine(update.data["session"]["engine_state"])
            case "camera.online" | "camera.offline":
                printer.state(update.data["state"])
                if is_file and session.state.status is SourceStatus.OFFLINE:
                    return session.state.error  # a camera may come back, a file does not
            case "session.ended" if session.state.error_code != "ended":
                return str(update.data["reason"])
    return None


class DecisionReporter:
    """Whether the engine decides: says so once when it does not, and once when it does again."""

    def __init__(self, printer: JsonPrinter | TextPrinter, settings: SessionSettings) -> None:
        self._printer = printer
        self._settings = settings
        self._decided = 0
        self._missed = ""
        self._told: str | None = None
        self._decides = True

    def waiting(self, state: EngineState) -> None:
        """A file waits for an engine that is in this state."""
        loads = state.status is EngineStatus.LOADING
        longest = self._settings.engine_loading_s if loads else self._settings.engine_timeout_s
        self._tell(state.status.value, f"{state.reason} Waiting for it, at most {longest:g} s.")

    def waited(self, state: EngineState) -> bool:
        """The wait is over: may the file begin?"""
        if not state.decides:
            self._tell(state.status.value, state.reason or "")
            self._printer.note("Nothing was decided.")
            return False
        self._again()
        return True

    def engine(self, state: dict[str, Any]) -> None:
        """The session's `engine_state` now."""
        self._decides = state["status"] in ("ready", "slow")
        if self._decides:
            self._again()
        else:
            self._tell(state["status"], state["reason"])

    def tick(self, tick: dict[str, Any]) -> None:
        if tick["skipped"] is None:
            # A silent tick has a detail only where an answer outside the protocol was taken as silence.
            nonsense = tick["decision"] == "silent" and tick["suppressed"] is None and tick["detail"]
            self._decided += not nonsense
        elif tick["skipped"] in ("failed", "away"):
            self._missed = tick["detail"] or self._missed

    def undecided(self) -> bool:
        """At the end: was nothing decided because of the engine, or did it stop deciding?"""
        if self._decides and (self._decided or not self._missed):
            return False
        self._tell("failed", self._missed)
        self._printer.note("The engine no longer decides." if self._decided else "Nothing was decided.")
        return True

    def _tell(self, status: str, sentence: str) -> None:
        if self._told is None or (self._told == "loading" and status != "loading"):
            self._told = status
            self._printer.note(sentence)

    def _again(self) -> None:
        if self._told is not None:
            self._told = None
            self._printer.note("The engine decides now.")


class JsonPrinter:
    """One object a tick on stdout; what people should know goes to stderr."""

    def tick(self, tick: dict[str, Any], session: Session) -> None:
        line = {field: tick[field] for field in FIELDS}
        sys.stdout.write(json.dumps({**line, "latency_ms": tick["timings"]["total_ms"]}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def note(self, text: str | None) -> None:
        if text:
            typer.echo(text, err=True)

    def state(self, state: dict[str, Any]) -> None:
        if state["error"] and state["error_code"] != "ended":
            typer.echo(state["error"], err=True)

    def end(self) -> None:
        """Nothing is left open."""


class TextPrinter:
    """A line for everything said; on a terminal also a status line that is always the last one."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._status = ""

    def tick(self, tick: dict[str, Any], session: Session) -> None:
        if tick["decision"] != "silent":
            where = f" [{tick['kind']}, {tick['zone']}]" if tick["kind"] else ""
            asks = f" → {tick['question']}" if tick["question"] else ""
            self._line(f"{clock(tick['t'])}  {tick['text']}{where}{asks}")
        if self._live:
            self._show(self._summary(tick, session))

    def note(self, text: str | None) -> None:
        if text:
            self._line(text, err=True)

    def state(self, state: dict[str, Any]) -> None:
        if state["status"] == "online":
            fps = f", {state['fps']:g} fps" if state["fps"] else ""
            self._line(
                f"Watching: {state['width']}x{state['height']}{fps}, {state['codec']}. Ctrl-C ends it.", err=True
            )
        elif state["error"] and state["error_code"] != "ended":
            retry = f" Next try in {state['retry_in_s']:.0f} s." if state["retry_in_s"] else ""
            self._line(state["error"] + retry, err=True)

    def end(self) -> None:
        self._show("")

    def _summary(self, tick: dict[str, Any], session: Session) -> str:
        doing = f"skipped: {tick['skipped']}" if tick["skipped"] else tick["decision"]
        score = "" if tick["score"] is None else f" {tick['score']:.2f}"
        p50 = session.latency()["p50_ms"]
        delay = "" if p50 is None else f" · {p50:.0f} ms"
        return f"{clock(tick['t'])}  {session.record.engine}: {doing}{score}{delay}"

    def _line(self, text: str, *, err: bool = False) -> None:
        status = self._status
        self._show("")
        typer.echo(text, err=err)
        self._show(status)

    def _show(self, status: str) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K" + status)
            sys.stderr.flush()
        self._status = status


def clock(t: float) -> str:
    """Stream seconds as 1:02:03.4"""
    minutes, seconds = divmod(max(0.0, t), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"
