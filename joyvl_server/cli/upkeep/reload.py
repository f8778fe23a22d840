"""`joyvl config reload` and `joyvl config log-level`: settings of a running server, over its REST API."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from joyvl_server.cli.cameras import DEFAULT, Key, Server, call
from joyvl_server.cli.exits import USAGE
from joyvl_server.settings.values import LogLevel

LEVELS: tuple[str, ...] = get_args(LogLevel)


def reload(server: Server = DEFAULT, key: Key = None) -> None:
    """Let a running server read its settings again. What it cannot take over at once is named."""
    report = call(server, key, "POST", "/v1/reload")
    for words, names in (("In force now", report["applied"]), ("After a restart", report["restart"])):
        if names:
            typer.echo(f"{words}: {', '.join(names)}.")
    if not report["applied"] and not report["restart"]:
        typer.echo("Nothing is other than before.")


def log_level(
    level: Annotated[
        str | None, typer.Argument(help="debug, info, warning or error; without it the present one.")
    ] = None,
    server: Server = DEFAULT,
    key: Key = None,
) -> None:
    """Show or change the level of a running server's log, until its next start."""
    if level is None:
        typer.echo(call(server, key, "GET", "/v1/log_level")["level"])
        return
    wanted = level.lower()
    if wanted not in LEVELS:
        typer.echo(f"joyvl: There is no level {level[:40]!r}. There are: {', '.join(LEVELS)}.", err=True)
        raise typer.Exit(USAGE)
    typer.echo(call(server, key, "PUT", "/v1/log_level", {"level": wanted})["level"])
