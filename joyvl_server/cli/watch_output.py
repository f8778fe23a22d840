"""What `joyvl watch` prints: decisions as text or JSON lines, and whether the engine decides."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

import typer

from joyvl_server.sessions.engines.state import EngineState, EngineStatus
from joyvl_server.settings.groups import SessionSettings

if TYPE_CHECKING:  # a second of every other command
    from joyvl_server.sessions.session import Session

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


class Printer(Protocol):
    """Shows decisions and what people should know."""

    def tick(self, tick: dict[str, Any], session: Session) -> None:
        """`tick` as in the session's updates."""

    def note(self, text: str | None) -> None:
        """A sentence; nothing where there is none."""

    def state(self, state: dict[str, Any]) -> None:
        """The source's new state."""

    def end(self) -> None:
        """Nothing more comes."""


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


class DecisionReporter:
    """Says once when the engine does not decide, and once when it does again; knows whether it decided at all."""

    def __init__(self, printer: Printer, settings: SessionSettings) -> None:
        self._printer = printer
        self._settings = settings
        self._decided = 0
        self._missed = ""
        self._announced: str | None = None
        self._decides = True

    def waiting(self, state: EngineState) -> None:
        """A file waits for an engine that is in this state."""
        loads = state.status is EngineStatus.LOADING
        longest = self._settings.engine_loading_s if loads else self._settings.engine_timeout_s
        self._announce(state.status.value, f"{state.reason} Waiting for it, at most {longest:g} s.")

    def waited(self, state: EngineState) -> bool:
        """The wait is over: may the file begin?"""
        if not state.decides:
            self._announce(state.status.value, state.reason or "")
            self._printer.note("Nothing was decided.")
            return False
        self._announce_decides()
        return True

    def engine(self, state: dict[str, Any]) -> None:
        """The session's `engine_state` now."""
        self._decides = state["status"] in ("ready", "slow")
        if self._decides:
            self._announce_decides()
        elif state["reason"]:
            self._announce(state["status"], state["reason"])

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
        self._announce("failed", self._missed)
        self._printer.note("The engine no longer decides." if self._decided else "Nothing was decided.")
        return True

    def _announce(self, status: str, sentence: str) -> None:
        if self._announced is None or (self._announced == "loading" and status != "loading"):
            self._announced = status
            self._printer.note(sentence)

    def _announce_decides(self) -> None:
        if self._announced is not None:
            self._announced = None
            self._printer.note("The engine decides now.")
