"""`joyvl keys …`: who may call. Works on the data folder, whether the server runs or not."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from joyvl_server.api.access.first_link import login_link
from joyvl_server.api.listening.started import as_started
from joyvl_server.cli.cameras import Json
from joyvl_server.cli.connecting.address import checked_address
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import logs
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.ids import new_id
from joyvl_server.settings import Settings, load
from joyvl_server.store.access.folder import key_database
from joyvl_server.store.access.keys import add_key, all_keys, remove_key
from joyvl_server.store.access.logins import add_code, all_logins, end_login
from joyvl_server.store.access.records import ROLES, KeyRecord, LoginRecord, digest_of, new_key, new_secret

app = typer.Typer(help="Who may call the server: keys with roles, one-time links.", no_args_is_help=True)

LINK_S = 3600
MOST_NAME = 80
"""characters"""
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

Config = Annotated[Path | None, typer.Option(help="YAML file with settings.")]
DataDir = Annotated[Path | None, typer.Option(help="The server's data folder (data_dir).")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name for it, like the person or the device that has it.")],
    role: Annotated[
        str,
        typer.Option(
            help="viewer looks, operator also asks and changes watches, admin may do everything, ingest only sends "
            "media."
        ),
    ] = "viewer",
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Only for this camera, by name or id; give it once for each. With ingest: its name."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it is over: 12h, 30d, 8w, or a day or time like 2027-01-31.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    json_out: Json = False,
) -> None:
    """Make a key and print it. It is shown this once; the server keeps only a digest."""
    with errors_as_exit_codes():
        if role not in ROLES:
            raise ConfigError(f"--role {role}: choose one of {', '.join(ROLES)}.")
        if camera and role == "admin":
            raise ConfigError("An admin's key is for everything; leave --camera out.")
        _check_cameras(camera or [])
        if not 1 <= len(name.strip()) <= MOST_NAME or not name.isprintable():
            raise ConfigError(f"The name of a key has 1 to {MOST_NAME} characters.")
        text, now = new_key(), SystemClock().wall()
        until = None if expires is None else _until(expires, now)
        folder = _settings(config, data_dir).data_dir
        with key_database(folder, make=True) as connection:
            cameras = tuple(camera or ()) if role == "ingest" else _ids(connection, camera or [])
            key = KeyRecord(new_id("key"), name.strip(), digest_of(text), role, cameras, now, until)
            add_key(connection, key)
    if json_out:
        typer.echo(json.dumps({**_shown(key), "key": text}, indent=2, ensure_ascii=False))
        return
    typer.echo(text)
    typer.echo(
        f"This is the key of {key.name} ({key.role}) for the server with the data folder {folder}. Keep it now: it is "
        "not shown again.",
        err=True,
    )


@app.command("list")
def list_keys(config: Config = None, data_dir: DataDir = None, json_out: Json = False) -> None:
    """List the keys, without their text. Those of the setting server.api_keys are not among them."""
    with errors_as_exit_codes():
        folder = _settings(config, data_dir).data_dir
        with key_database(folder) as connection:
            keys = all_keys(connection)
            names = dict(connection.execute("SELECT id, name FROM cameras").fetchall())
    if json_out:
        typer.echo(json.dumps([_shown(key) for key in keys], indent=2, ensure_ascii=False))
        return
    now = SystemClock().wall()
    for key in keys:
        until = "over since" if key.is_over(now) else "until"
        ends = "" if key.expires_wall is None else f"; {until} {_day(key.expires_wall)}"
        used = "never used" if key.used_wall is None else f"last used {_day(key.used_wall)}"
        bound = f"; for {', '.join(names.get(one, one) for one in key.cameras)}" if key.cameras else ""
        typer.echo(f"{key.name:<24} {key.role:<9} {used}{ends}{bound}  ({key.id})")
    if not keys:
        typer.echo(f"No key yet in the data folder {folder}. Make one: joyvl keys add NAME --role viewer")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name or id of the key.")], config: Config = None, data_dir: DataDir = None
) -> None:
    """Remove a key. Within seconds a running server takes it no more, and browsers that signed in with it are out."""
    with errors_as_exit_codes(), key_database(_settings(config, data_dir).data_dir) as connection:
        removed = remove_key(connection, name)
    typer.echo(f"{removed.name} is removed.")


@app.command()
def logins(
    end: Annotated[str | None, typer.Option(metavar="ID", help="Sign this one out.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    json_out: Json = False,
) -> None:
    """List the browsers that are signed in, or sign one out. A running server ends it within seconds."""
    with errors_as_exit_codes():
        with key_database(_settings(config, data_dir).data_dir) as connection:
            if end is not None:
                end_login(connection, end)
            there = all_logins(connection, SystemClock().wall())
            names = {key.id: key.name for key in all_keys(connection)}
    if end is not None:
        typer.echo(f"{end} is signed out.")
        return
    shown = [_shown_login(login, names) for login in there]
    if json_out:
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for login, one in zip(there, shown, strict=True):
        used = "" if login.used_wall is None else f"; last used {_day(login.used_wall)}"
        origin = login.address or "an address not known"
        typer.echo(f"{one['id']:<18} {one['name']:<24} from {origin}, {_day(login.created_wall)}{used}")
    if not shown:
        typer.echo("No browser is signed in.")


@app.command()
def link(
    url: Annotated[str | None, typer.Option(help="Address of the server that the link begins with.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link that signs one browser in as an admin. It opens once, within an hour."""
    with errors_as_exit_codes():
        url = None if url is None else checked_address(url)
        settings = _settings(config, data_dir)
        code, now = new_secret(), SystemClock().wall()
        with key_database(settings.data_dir) as connection:
            add_code(connection, digest_of(code), now + LINK_S, now)
    server = as_started(settings).server
    host = server.host.strip("[]") or "0.0.0.0"
    own = f"{'http' if server.tls == 'off' else 'https'}://{f'[{host}]' if ':' in host else host}:{server.port}"
    typer.echo(login_link(url or server.public_url or own, code))


def _shown_login(login: LoginRecord, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": login.id,
        "name": "one-time link" if login.key is None else names.get(login.key, "a key of the settings"),
        "address": login.address,
        "created_at": _time(login.created_wall),
        "used_at": _time(login.used_wall),
        "expires_at": _time(login.until_wall),
    }


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    logs.configure("error", "auto")
    return load(config, {"data_dir": data_dir})


def _ids(connection: sqlite3.Connection, names: list[str]) -> tuple[str, ...]:
    """The cameras' ids. Raises `ConfigError`."""
    found: list[str] = []
    for name in names:
        row = connection.execute("SELECT id FROM cameras WHERE id = ? OR name = ?", (name, name)).fetchone()
        if row is None:
            raise ConfigError(f"--camera {name}: there is no such camera.")
        if row["id"] in found:
            raise ConfigError(f"--camera {name}: it is given twice.")
        found.append(row["id"])
    return tuple(found)


def _check_cameras(names: list[str]) -> None:
    """Raises `ConfigError` for what names no camera, or names one twice."""
    for name in names:
        if not 1 <= len(name.strip()) <= MOST_NAME or not name.isprintable():
            raise ConfigError(f"--camera needs the name of a camera, of 1 to {MOST_NAME} characters.")
        if names.count(name) > 1:
            raise ConfigError(f"--camera {name}: it is given twice.")


def _until(text: str, now: float) -> float:
    """Unix seconds. Raises `ConfigError`."""
    words = f"--expires {text}: write 12h, 30d, 8w, or a day or time to come like 2027-01-31."
    match = re.fullmatch(r"(\d{1,5})([hdw])", text)
    try:
        at = datetime.fromtimestamp(now, UTC) + int(match[1]) * UNITS[match[2]] if match else None
        until = (at or datetime.fromisoformat(text).astimezone()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ConfigError(words) from None
    if until <= now:
        raise ConfigError(words)
    return until


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d %H:%M")


def _time(wall: float | None) -> str | None:
    return None if wall is None else datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def _shown(key: KeyRecord) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "cameras": list(key.cameras),
        "created_at": _time(key.created_wall),
        "expires_at": _time(key.expires_wall),
        "used_at": _time(key.used_wall),
    }
