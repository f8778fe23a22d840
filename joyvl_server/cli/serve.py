"""`joyvl serve`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from joyvl_server.cli.exits import errors_as_exit_codes


def serve(
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (server.host).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (server.port).")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for the database and files (data_dir).")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine of new sessions (engine.name).")] = None,
    demo: Annotated[
        bool | None, typer.Option(help="Add the camera demo, a drawn clip, at the first start (demo).")
    ] = None,
    tls: Annotated[str | None, typer.Option(help="off, self-signed or files (server.tls).")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (log.level).")] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM. SIGHUP reads the settings again, as joyvl config reload does."""
    from joyvl_server.app import serve as run_server
    from joyvl_server.cli.part_names import CheckedSource
    from joyvl_server.cli.upkeep.settings_checks import check_engines_in_time

    with errors_as_exit_codes():
        flags = given(
            {
                "data_dir": data_dir,
                "demo": demo,
                "server": {"host": host, "port": port, "tls": tls},
                "engine": {"name": engine},
                "log": {"level": log_level},
            }
        )
        source = CheckedSource(config, flags)
        settings = source.read()
        check_engines_in_time(settings)
        run_server(settings, source=source)


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Only the flags that were given, so that the others leave environment and file their say."""
    chosen: dict[str, Any] = {}
    for name, value in flags.items():
        if isinstance(value, dict):
            value = given(value) or None
        if value is not None:
            chosen[name] = value
    return chosen
