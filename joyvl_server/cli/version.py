"""`joyvl version`"""

from __future__ import annotations

import platform

import typer

from joyvl_server import __version__


def version() -> None:
    """Print the version of joyvl-server and of Python."""
    typer.echo(f"joyvl-server {__version__} (Python {platform.python_version()}, {platform.system()})")
