"""`joyvl bench …`: measurements anybody can repeat from a checkout. They stand beside the package, not in it."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "scripts"


def load() -> typer.Typer:
    """The benchmarks' commands; outside a checkout one that says where to get them."""
    if not (SCRIPTS / "bench" / "__init__.py").is_file():
        return _elsewhere()
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))
    from bench import app

    return app


def _elsewhere() -> typer.Typer:
    app = typer.Typer(help="Measure this machine (only in a checkout of the sources).")
    app.command("bench", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(_missing)
    return app


def _missing(context: typer.Context) -> None:
    typer.echo("The benchmarks are not part of the package. Run `joyvl bench` in a checkout of the sources.", err=True)
    raise typer.Exit(2)
