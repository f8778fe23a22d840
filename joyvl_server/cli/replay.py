"""`joyvl replay`"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from joyvl_server.cli.exits import FAILED, errors_as_exit_codes
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.replay import decode_effect, encode_effect, encode_input
from joyvl_server.core.replay import replay as replay_lines


def replay(
    log: Annotated[Path, typer.Argument(help="An input log, made by sessions.record_dir or joyvl watch --record.")],
    inputs: Annotated[bool, typer.Option("--inputs", help="Also print the inputs.")] = False,
) -> None:
    """Feed the recorded inputs of a session to the observer and print its effects, one JSON object on each line.

    Ends with 1 when the machine now answers otherwise than it did when the log was made.
    """
    differences = 0
    with errors_as_exit_codes():
        try:
            with log.open(encoding="utf-8") as file:
                lines = LogLines(file)
                for input, effects in replay_lines(lines):
                    if inputs:
                        typer.echo(_line({"input": encode_input(input)}))
                    now = [encode_effect(effect) for effect in effects]
                    for effect in now:
                        typer.echo(_line({"effect": effect}))
                    differences += _differ(now, json.loads(lines.newest)["out"])
        except (OSError, UnicodeDecodeError) as error:
            raise JoyvlError(f"The log {log} cannot be read: {error}") from None
    if differences:
        typer.echo(f"{differences} steps differ from what was recorded.", err=True)
        raise typer.Exit(FAILED)


class LogLines:
    """The lines of a file, the one read last at hand."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = iter(file)
        self.newest = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if line.strip():
                self.newest = line
                yield line


def _differ(now: list[dict[str, Any]], recorded: list[dict[str, Any]]) -> bool:
    """Do the effects differ from those in the log? Fields that effects did not have yet are not compared."""
    try:
        told = [encode_effect(decode_effect(effect)) for effect in recorded]
    except (KeyError, TypeError, ValueError):  # there is no such effect any more
        return True
    if len(now) != len(told):
        return True
    steps = zip(now, told, recorded, strict=True)
    return any(then[name] != effect.get(name) for effect, then, names in steps for name in names)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
