"""`joyvl memory …`: what a running server remembers, over its REST API; and the index made again from the record."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import urlencode

import typer

from joyvl_server.cli.cameras import DEFAULT, Json, Key, Server, call, download
from joyvl_server.cli.engine import Config, DataDir
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit import logs
from joyvl_server.kit.clock import SystemClock
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings, load
from joyvl_server.store.store import Store

app = typer.Typer(
    help="What the server remembers: list, search, export, forget; rebuild the index.", no_args_is_help=True
)

PAGE = 200
WIDTH = 30

Camera = Annotated[str | None, typer.Option(help="Only of this camera, by its id.")]
Collection = Annotated[str | None, typer.Option(help="Only of this collection, like user:ann.")]
Kind = Annotated[list[str] | None, typer.Option(help="Only of this kind; give it once for each.")]
Since = Annotated[
    str | None,
    typer.Option(help="Only from this time on, like 2026-11-29 or 2026-11-29T08:00 (here, unless it names a zone)."),
]
Until = Annotated[str | None, typer.Option(help="Only before this time.")]
Limit = Annotated[int, typer.Option(help="At most this many.", min=1)]


@app.command("list")
def list_memories(
    camera: Camera = None,
    collection: Collection = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    server: Server = DEFAULT,
    key: Key = None,
    json_out: Json = False,
) -> None:
    """List memories, newest first."""
    chosen = _filter(camera, collection, kind, since, until)
    memories = [memory for _, memory in zip(range(limit), _pages(server, key, chosen), strict=False)]
    _print(memories, json_out)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A question, or words.")],
    words: Annotated[bool, typer.Option("--words", help="Only memories with every word, newest first.")] = False,
    camera: Camera = None,
    collection: Collection = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 10,
    server: Server = DEFAULT,
    key: Key = None,
    json_out: Json = False,
) -> None:
    """Search memories by meaning, best first."""
    chosen = _filter(camera, collection, None, since, until)
    asked = [("query", text), ("by", "words" if words else "meaning"), ("limit", str(limit))]
    found = call(server, key, "GET", f"/v1/memories?{urlencode(chosen + asked)}")
    _print(found["data"], json_out)


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="File to write; without it, standard output.")] = None,
    camera: Camera = None,
    collection: Collection = None,
    server: Server = DEFAULT,
    key: Key = None,
) -> None:
    """Write memories as JSON lines with all their fields, newest first. Only you can read the file."""
    chosen = _filter(camera, collection, None, None, None)
    with errors_as_exit_codes():
        try:
            out = sys.stdout.buffer if file is None else _private(file)
        except OSError as error:
            raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
        try:
            asyncio.run(download(server, key, f"/v1/memories/export?{urlencode(chosen)}", out))
            out.flush()
        except OSError as error:
            raise JoyvlError(f"{file or 'The output'} cannot be written: {error.strerror}.") from None
        finally:
            if file is not None:
                with suppress(OSError):  # told already
                    out.close()


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of memories.")] = None,
    camera: Camera = None,
    collection: Collection = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget all there is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    server: Server = DEFAULT,
    key: Key = None,
) -> None:
    """Forget memories for good, with the pictures, clips and events that belong to them."""
    chosen = _filter(camera, collection, None, since, until)
    with errors_as_exit_codes():
        if sum((bool(ids), bool(chosen), everything)) != 1:
            raise ConfigError("Name ids, or a camera, collection or time, or --all: one of the three.")
    if not yes:
        typer.confirm("Forget this for good? It cannot be undone.", abort=True)
    if ids:
        for memory_id in ids:
            call(server, key, "DELETE", f"/v1/memories/{memory_id}")
        typer.echo(f"{len(ids)} forgotten.")
        return
    found = call(server, key, "DELETE", f"/v1/memories?{urlencode([('all', 'true')] if everything else chosen)}")
    typer.echo(f"{found['deleted']} forgotten.")


@app.command()
def rebuild(
    embed: Annotated[
        bool, typer.Option("--embed", help="Embed every text again, too; without it the kept vectors are indexed.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make the index of memories again from the database. The server must be stopped: it has the data folder."""
    logs.configure("error", "auto")
    with errors_as_exit_codes():
        asyncio.run(_rebuild(load(config, {"data_dir": data_dir}), embed))
    typer.echo("The index of memories is complete.")


async def _rebuild(settings: Settings, embed: bool) -> None:
    store = await Store.open(settings.data_dir, settings.secret_key_file)
    try:
        memory = LongTermMemory.open(settings, store.main, SystemClock())
        try:
            await memory.rebuild(ProgressBar(), embed=embed)
        finally:
            await memory.aclose()
    finally:
        await store.aclose()


class ProgressBar:
    """One line that grows on a terminal; elsewhere a line for each tenth."""

    def __init__(self) -> None:
        self._told = -1

    def progress(self, done: int, total: int) -> None:
        """See `RebuildProgress`."""
        share = 1.0 if total == 0 else min(done / total, 1.0)
        if sys.stdout.isatty():
            filled = round(share * WIDTH)
            end = "\n" if share == 1.0 else ""
            typer.echo(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%}{end}", nl=False)
        elif int(share * 10) != self._told:
            self._told = int(share * 10)
            typer.echo(f"{self._told * 10} %")


def _private(file: Path) -> BinaryIO:
    """Opened to be written, for its owner alone, also where it was there before. Raises `OSError`."""
    out = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
    with suppress(OSError):  # a device, or somebody else's
        if stat.S_ISREG(os.fstat(out.fileno()).st_mode):
            os.fchmod(out.fileno(), 0o600)
    return out


def _time(option: str, text: str | None) -> str | None:
    """With the zone of this machine where it names none. Raises `ConfigError`."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError, OSError):
        raise ConfigError(f"{option} {text}: write a day or a time, like 2026-11-29 or 2026-11-29T08:00.") from None


def _filter(
    camera: str | None, collection: str | None, kinds: list[str] | None, since: str | None, until: str | None
) -> list[tuple[str, str]]:
    with errors_as_exit_codes():
        since, until = _time("--since", since), _time("--until", until)
    given = [("camera_id", camera), ("collection", collection), ("since", since), ("until", until)]
    return [(name, value) for name, value in given if value] + [("kind", kind) for kind in kinds or ()]


def _pages(server: str, key: str | None, chosen: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    after: list[tuple[str, str]] = []
    while True:
        page = call(server, key, "GET", f"/v1/memories?{urlencode([*chosen, ('limit', str(PAGE)), *after])}")
        yield from page["data"]
        if page["next"] is None:
            return
        after = [("after", page["next"])]


def _print(memories: list[dict[str, Any]], json_out: bool) -> None:
    if json_out:
        typer.echo(json.dumps(memories, indent=2, ensure_ascii=False))
        return
    for memory in memories:
        typer.echo(
            f"{memory['at']}  {memory['collection']:<16} {memory['kind']:<11} {memory['text']}  ({memory['id']})"
        )
    if not memories:
        typer.echo("Nothing.")
