"""A database copied while others write into it: what the copy holds is one moment, and it is whole or not there."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import structlog

from joyvl_server.core.errors import StoreError

log = structlog.get_logger(__name__)

PAGES = 1024
"""copied in one step; between two of them the copy can be interrupted"""
KEPT = 2
"""copies made before migrations that stay"""
UNFINISHED = ".unfinished"

Told = Callable[[int], object]
"""Gets how many bytes of the copy are written so far."""


def size_of(connection: sqlite3.Connection) -> int:
    """Bytes of the database, as a copy of it has. Raises `sqlite3.Error`."""
    pages, bytes_each = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(bytes_each)


def copy_database(source: sqlite3.Connection, target: Path, told: Told | None = None) -> None:
    """Copy what `source` (in autocommit mode) sees now to the new file `target`, mode 0600, and sync it to disk.

    Others may write meanwhile; nobody waits. Raises `sqlite3.Error`, `OSError`, `FileExistsError`; whoever calls
    removes what is left of `target`. Blocks.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    source.execute("BEGIN")
    try:
        # A transaction that has read keeps its snapshot: without it, each write of others would begin the copy again.
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        page = int(source.execute("PRAGMA page_size").fetchone()[0])

        def progress(_status: int, remaining: int, total: int) -> None:
            if told is not None:
                told((total - remaining) * page)

        with closing(sqlite3.connect(target, isolation_level=None)) as out:
            out.execute("PRAGMA journal_mode = OFF").fetchall()
            out.execute("PRAGMA synchronous = OFF")
            source.backup(out, pages=PAGES, progress=progress)
    finally:
        source.execute("ROLLBACK")
    sync(target)


def sync(path: Path) -> None:
    """What was written into a file or a folder is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_before_migration(connection: sqlite3.Connection, path: Path, number: int) -> Path:
    """Copy the database at `path` to `NAME.before-NNNN` before its migration `number`; the newest `KEPT` copies stay.

    Raises `StoreError` (store_full) where the disk has no space for it and for the migration, `StoreError` (store_io),
    `sqlite3.Error`. Killed, it leaves an unfinished file, which the next one replaces. Blocks.
    """
    copy = path.with_name(f"{path.name}.before-{number:04d}")
    unfinished = copy.with_name(copy.name + UNFINISHED)
    try:
        for left in path.parent.glob(f"{path.name}.before-*{UNFINISHED}"):
            left.unlink(missing_ok=True)
        size = size_of(connection)
        free = shutil.disk_usage(path.parent).free
        # The migration itself may write as much again before it is done.
        if free < 2 * size:
            raise StoreError(
                f"{path} comes from an older version. Before it is changed it is copied: that needs {_mb(2 * size)} in "
                f"{path.parent}, and {_mb(free)} are free. Nothing was changed. Free some space and start again.",
                code="store_full",
            )
        try:
            copy_database(connection, unfinished)
            unfinished.replace(copy)
            sync(path.parent)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        for old in _copies(path)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path} comes from an older version and cannot be copied before it is changed: {error.strerror}. Nothing "
            "was changed.",
            code="store_io",
        ) from error
    log.info("the database is copied before its migration", store=path.name, copy=copy.name, bytes=size)
    return copy


def remove_copies(path: Path) -> None:
    """Remove the copies made before migrations of the database at `path`: what is forgotten is in them, too.

    Raises `OSError`. Blocks.
    """
    copies = _copies(path)
    for copy in copies:
        copy.unlink(missing_ok=True)
    if copies:
        log.info("copies made before migrations are removed", store=path.name, copies=len(copies))


def _copies(path: Path) -> list[Path]:
    """Oldest first."""
    name = re.compile(re.escape(path.name) + r"\.before-\d{4}")
    return sorted(p for p in path.parent.glob(f"{path.name}.before-*") if name.fullmatch(p.name))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
