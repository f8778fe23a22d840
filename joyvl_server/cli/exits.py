"""How a command ends when something is wrong: one sentence on stderr and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from joyvl_server.core.errors import ConfigError, JoyvlError

FAILED = 1
USAGE = 2
UNDECIDED = 3
"""the engine decided nothing, or no longer at the end"""


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Errors a user may see become one line; wrong settings exit with 2, all else with 1."""
    try:
        yield
    except JoyvlError as error:
        typer.echo(f"joyvl: {error}", err=True)
        raise typer.Exit(USAGE if isinstance(error, ConfigError) else FAILED) from None
