"""The commands below `joyvl bench`; docs/performance.md and docs/development/measurements.md keep their tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.kit import logs

app = typer.Typer()


class SpeechPart(StrEnum):
    """Each is a module of `bench.speech`."""

    HEARING = "hearing"
    ANSWERS = "answers"
    BARGE_IN = "barge_in"
    ECHO = "echo"
    VOICES = "voices"
    LONG = "long"


class MemoryPart(StrEnum):
    """Each is a module of `bench.memory`."""

    RECALL = "recall"
    SEARCH = "search"
    QUESTION = "question"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("tick")
def tick_command(
    sessions: Annotated[
        list[int] | None, typer.Option(help="Number of sessions; give it once for each number (1, 8, 32).")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds to measure at each number of sessions.")] = 30.0,
    json_out: Json = False,
) -> None:
    """Measure the time from a due tick to its score, with an engine that answers at once."""
    from bench.tick import COLUMNS, bench_tick

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_tick(tuple(sessions or (1, 8, 32)), seconds), COLUMNS, json_out)


@app.command("ingest")
def ingest_command(
    seconds: Annotated[float, typer.Option(help="Seconds to measure each source.")] = 20.0, json_out: Json = False
) -> None:
    """Measure the share of a core for each RTSP camera and call, compared with a bare PyAV or aiortc loop."""
    from bench.ingest import COLUMNS, bench_ingest

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_ingest(seconds), COLUMNS, json_out)


@app.command("clips")
def clips_command(
    seconds: Annotated[float, typer.Option(help="Seconds to measure each kind of camera.")] = 60.0,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it work at all?")] = False,
    json_out: Json = False,
) -> None:
    """Measure what clips cost a media worker for each camera, and whether it loses pictures."""
    from bench.clips import COLUMNS, bench_clips

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_clips(seconds, quick=quick), COLUMNS, json_out)


@app.command("context")
def context_command(
    seconds: Annotated[int, typer.Option(help="Simulated seconds.", min=400)] = 7200, json_out: Json = False
) -> None:
    """Simulate two hours of one session and of the reference's scheme: what a tick costs, and when one is late."""
    from bench.context import COLUMNS, bench_context

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_context(seconds), COLUMNS, json_out)


@app.command("sessions")
def sessions_command(
    clips: Annotated[
        Path | None,
        typer.Option(help="Folder with people-one-by-one.mp4; without it movement is drawn."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter runs.")] = False,
    json_out: Json = False,
) -> None:
    """Simulate how many sessions one card holds, and what they give up when they are too many."""
    from bench.sessions import COLUMNS, bench_sessions

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_sessions(clips, quick=quick), COLUMNS, json_out)


@app.command("fidelity")
def fidelity_command(
    clips: Annotated[
        Path | None, typer.Option(help="Folder of the labelled clips; without it only drawn scenes.")
    ] = None,
    json_out: Json = False,
) -> None:
    """Count the image tokens of adaptive, eco and faithful, and check that each event gets a full look."""
    from bench.fidelity import COLUMNS, bench_fidelity

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_fidelity(clips), COLUMNS, json_out)


@app.command("speech")
def speech_command(
    parts: Annotated[
        list[SpeechPart] | None, typer.Argument(help="What to measure, in this order; without it everything.")
    ] = None,
    env: Annotated[
        Path | None,
        typer.Option(help="Folder that scripts/speech-test-env has built; without it the one that is there already."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few trials: does it work at all?")] = False,
    json_out: Json = False,
) -> None:
    """Measure speech on its whole way, in a real browser: what is heard, said, interrupted, and how soon."""
    from bench.speech.environment import find_environment

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        environment = env or find_environment()
        for part in parts or list(SpeechPart):
            module = import_module(f"bench.speech.{part}")
            result = getattr(module, f"bench_{part}")(environment, quick=quick)
            if not json_out:
                typer.echo(f"{part}:")
            report({"bench": f"speech {part}", **result}, module.COLUMNS, json_out)


@app.command("memory")
def memory_command(
    parts: Annotated[
        list[MemoryPart] | None, typer.Argument(help="What to measure, in this order; without it everything.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Far fewer of them: does it work at all?")] = False,
    json_out: Json = False,
) -> None:
    """Measure how long it takes to find something: among 100,000 memories, by words among 1,000,000
    events, and until a question about the past is asked with what is remembered."""
    logs.configure("error", "auto")
    together: dict[str, Any] = {}
    with errors_as_exit_codes():
        for part in parts or list(MemoryPart):
            module = import_module(f"bench.memory.{part}")
            result = getattr(module, f"bench_{part}")(quick=quick)
            together |= {**result, "bench": "memory", "rows": [*together.get("rows", ()), *result["rows"]]}
            if not json_out:
                typer.echo(f"{part}:")
                report(result, module.COLUMNS, json_out)
        if json_out:
            report(together, (), json_out)


@app.command("alerts")
def alerts_command(
    quick: Annotated[bool, typer.Option("--quick", help="Four rounds in place of twenty.")] = False,
    seed: Annotated[int, typer.Option(help="Chooses the moments and the faults.")] = 1,
    json_out: Json = False,
) -> None:
    """Kill a server again and again while watches fire, before a receiver with faults: is any alert lost?"""
    from bench.alerts.bench import COLUMNS, bench_alerts

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_alerts(quick=quick, seed=seed), COLUMNS, json_out)


@app.command("delegation")
def delegation_command(
    sessions: Annotated[int, typer.Option(help="Number of sessions that tick.", min=1)] = 4,
    agent: Annotated[str, typer.Option(help="Preset of the agent: codex, claude or opencode.")] = "codex",
    env: Annotated[
        Path | None, typer.Option(help="Folder of the agents' commands; without it that of scripts/agents-test-env.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it work at all?")] = False,
    json_out: Json = False,
) -> None:
    """Measure how much later ticks begin while an agent works on the same machine."""
    from bench.delegation import COLUMNS, bench_delegation

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        report(bench_delegation(sessions, agent, env, quick=quick), COLUMNS, json_out)


def report(result: dict[str, Any], columns: Sequence[tuple[str, str]], json_out: bool) -> None:
    """`result["rows"]` as a table with `columns` (key, heading), or the whole result as one JSON object."""
    if json_out:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    cells = [[heading for _, heading in columns]]
    cells += [[_cell(row.get(key)) for key, _ in columns] for row in result["rows"]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for number, row in enumerate(cells):
        typer.echo("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            typer.echo("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for note in result.get("notes", ()):
        typer.echo(note)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
