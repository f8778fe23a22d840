"""`joyvl bench …`: measurements anybody can repeat from a checkout. They are in scripts/, not in the package.

They are loaded when one of them is called, or when their list is wanted: no other command pays for them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from joyvl_server.cli.exits import USAGE

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MISSING = "The benchmarks are not part of the package. Clone the sources of joyvl-server and call `joyvl bench` there."


class BenchGroup(TyperGroup):
    """The commands of `scripts/bench`. Without a checkout every call prints where to get them, and ends with 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not (SCRIPTS / "bench" / "commands.py").is_file():
            typer.echo(MISSING, err=True)
            raise typer.Exit(USAGE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return self._load().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._load().get_command(ctx, cmd_name)

    def _load(self) -> TyperGroup:
        if str(SCRIPTS) not in sys.path:
            sys.path.insert(0, str(SCRIPTS))
        from bench.commands import app

        return typer.main.get_group(app)


app = typer.Typer(
    cls=BenchGroup, help="Measure this machine: a table, or one JSON object with --json.", no_args_is_help=True
)
app.callback()(lambda: None)
