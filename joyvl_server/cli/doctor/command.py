"""`joyvl doctor`"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from joyvl_server import __version__
from joyvl_server.cli.connecting.address import key_headers
from joyvl_server.cli.doctor.report import Check, Finding, Mask, Report, text_of
from joyvl_server.cli.engine import Config
from joyvl_server.cli.exits import FAILED, USAGE, errors_as_exit_codes
from joyvl_server.kit import logs

DataDir = Annotated[Path | None, typer.Option(help="Folder for the database and files (data_dir).")]
Key = Annotated[str | None, typer.Option(envvar="JOYVL_KEY", help="API key of the running server.")]


def doctor(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="CHECKS", help="Only these, like port or calls; without it all.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    model: Annotated[Path | None, typer.Option(help="Look at the model in this folder.")] = None,
    start: Annotated[
        bool, typer.Option("--start", help="Also start engine vllm and ask it; takes minutes, and may fetch weights.")
    ] = False,
    turn: Annotated[
        str | None, typer.Option(help="Try the TURN server HOST:PORT, with the secret in TURN_SECRET.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Look at the port at this address, not at server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Look at this port, not at the server's (server.port).")
    ] = None,
    key: Key = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at all that the server needs, and say what is wrong and what to do. Ends with 1 where a problem was found.

    Each line is ok, a warning, a problem, or skipped. It works while a server runs and where none ever ran; it changes
    nothing, and prints no secret.
    """
    with errors_as_exit_codes():
        key_headers(key)
    from joyvl_server.cli.doctor.checks import Patient, all_checks

    logs.configure("error", "auto")
    patient = Patient.find(config, data_dir, key)
    with errors_as_exit_codes():
        checks = all_checks(
            patient.at(host, port), model, start=start, turn=turn, listener=BesideFindings(patient.mask)
        )
    if unknown := sorted(set(names or ()) - {check.name.replace(" ", "-") for check in checks}):
        known = ", ".join(check.name.replace(" ", "-") for check in checks)
        typer.echo(f"joyvl: There is no check {unknown[0]}. There are: {known}.", err=True)
        raise typer.Exit(USAGE)
    chosen = [check for check in checks if not names or check.name.replace(" ", "-") in names]
    if not json_out:
        typer.echo(f"joyvl-server {__version__}, data folder {patient.settings.data_dir}\n")
    report = run_checks(chosen, patient.mask, quiet=json_out)
    if json_out:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        typer.echo(f"\n{report.summary()}")
    _end(report)


def run_checks(checks: Sequence[Check], mask: Mask, *, quiet: bool) -> Report:
    """Run them, and print each finding as it comes, unless `quiet`. Ctrl-C ends with 130."""
    from joyvl_server.cli.doctor.examination import examine

    width = shutil.get_terminal_size((100, 24)).columns

    def tell(finding: Finding) -> None:
        if not quiet:
            typer.echo(text_of(finding, width))

    try:
        return asyncio.run(examine(checks, mask, tell))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@dataclass(frozen=True, slots=True)
class BesideFindings:
    """Tells how far something is, on stderr: the findings may be JSON."""

    mask: Mask

    def tell(self, words: str) -> None:
        typer.echo(self.mask.text(words), err=True)


def _end(report: Report) -> None:
    if not report.healthy:
        raise typer.Exit(FAILED)
