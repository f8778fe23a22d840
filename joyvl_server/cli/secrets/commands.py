"""`joyvl secrets …`: are stored passwords sealed and can they be opened; another key; a key that is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Annotated

import typer

from joyvl_server.cli.engine import Config, DataDir
from joyvl_server.cli.exits import FAILED, errors_as_exit_codes
from joyvl_server.core.errors import StoreError
from joyvl_server.settings import Settings, load
from joyvl_server.store.secrets import rotation
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.secrets.rotation import SecretsReport

app = typer.Typer(
    help="Stored passwords and their key: check, change the key, give up a lost one.", no_args_is_help=True
)


@app.command()
def check(config: Config = None, data_dir: DataDir = None) -> None:
    """Say whether the key fits. Also while the server runs."""
    settings = _settings(config, data_dir)
    _tell(_told(lambda: rotation.report(settings.data_dir, settings.secret_key_file)))


@app.command()
def rotate(config: Config = None, data_dir: DataDir = None) -> None:
    """Seal all stored passwords with a new key. The server must be stopped: it has the data folder."""
    settings = _settings(config, data_dir)

    def seal_files(box: SecretBox) -> int:
        from joyvl_server.notify.mqtt.published import seal_files  # MQTT is imported where it is used

        return seal_files(settings.data_dir / "hooks" / "mqtt", box)

    _tell(_told(lambda: rotation.rotate(settings.data_dir, settings.secret_key_file, seal_files)))


@app.command("give-up")
def give_up(
    config: Config = None,
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """The key is lost for good: let new passwords be stored. Old ones have to be written again."""
    settings = _settings(config, data_dir)
    with errors_as_exit_codes():
        rotation.check_free(settings.data_dir)
    if not yes and not typer.confirm("Is the key file lost for good? Passwords that it sealed are lost with it."):
        raise typer.Exit(FAILED)
    _tell(_told(lambda: rotation.give_up(settings.data_dir, settings.secret_key_file)), lost_is_fine=True)


def _settings(config: Config, data_dir: DataDir) -> Settings:
    with errors_as_exit_codes():
        return load(config, {"data_dir": data_dir})


def _told(work: Callable[[], SecretsReport]) -> SecretsReport:
    with errors_as_exit_codes():
        try:
            return work()
        except sqlite3.Error as error:
            raise StoreError(f"The database cannot be read: {error}.") from None


def _tell(found: SecretsReport, *, lost_is_fine: bool = False) -> None:
    if found.fault:
        typer.echo(f"joyvl: {found.fault}", err=True)
        raise typer.Exit(FAILED)
    stored = "1 stored secret" if found.stored == 1 else f"{found.stored} stored secrets"
    typer.echo(f"{stored}, sealed with the key {found.key or '(none yet)'}.")
    if found.unreadable:
        typer.echo(f"Cannot be opened, to be written again: {', '.join(found.unreadable)}.")
        if not lost_is_fine:
            raise typer.Exit(FAILED)
