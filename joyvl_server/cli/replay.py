"""`joyvl replay`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from joyvl_server.cli.fail import FAILED, sentences
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.replay import encode_effect, encode_input, replay as replay_lines


def replay(
    log: Annotated[Path, typer.Argument(help="An input log, as sessions.record_dir or joyvl watch --record makes them.")],
    inputs: Annotated[bool, typer.Option("--inputs", help="Print the inputs too.")] = False,
) -> None:
    """Feed a recorded session to the decision machine again and print its effects, one JSON object a line.

    Ends with 1 when the machine now answers otherwise than it did when the log was made.
    """
    with sentences():
        differences = 0
        try:
            with log.open(encoding="utf-8") as lines:
                for step in replay_lines(json.loads(line) for line in lines if line.strip()):
                    if inputs:
                        typer.echo(_line({"input": encode_input(step.input)}))
                    for effect in step.effects:
                        typer.echo(_line({"effect": encode_effect(effect)}))
                    differences += step.recorded is not None and step.recorded != step.effects
        except (OSError, ValueError) as error:
            raise JoyvlError(f"The log {log} cannot be read: {error}") from None
    if differences:
        typer.echo(f"{differences} steps differ from what was recorded.", err=True)
        raise typer.Exit(FAILED)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
