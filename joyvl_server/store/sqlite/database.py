"""The record on disk: one SQLite file in WAL mode, mode 0600, one writer, a few readers, numbered migrations.

The loop never waits for the disk: `read` and `write` run in threads, `post` returns at once. What an awaited write has
written survives `kill -9` and a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.migrate import MIGRATIONS, migrate
from joyvl_server.store.sqlite.readers import Readers
from joyvl_server.store.sqlite.writer import Writer

T = TypeVar("T")
POSTS = 10_000
"""Records nobody awaits that may be queued, and as many without hurry; further ones are dropped and counted."""
BUSY_S = 5.0
"""Seconds to wait for another process that holds the file."""


class Database:
    """Use `await Database.open(path)`; `await db.aclose()` at the end. All methods are for the event loop's thread.

    The functions given to `read` and `write` get a connection (rows are `sqlite3.Row`), run outside the loop, and
    neither begin nor commit anything. Errors of theirs that are not SQLite's reach the caller as they are.
    """

    def __init__(self, path: Path, writer: Writer, readers: Readers) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        migrations: Path = MIGRATIONS,
        post_limit: int = POSTS,
        readers: int = 4,
        expendable: bool = False,
    ) -> Database:
        """Create the file where there is none, migrate it where it is old.

        Raises `StoreError` where the file cannot be used, is damaged, or is of a newer program (code store_newer). One
        that is `expendable` is put aside and begun again instead, or tried again later: then `fault` says why.
        """
        path = _absolute(path)
        reading: Readers

        def renew() -> None:
            reading.renew()
            put_aside(path)

        writer = Writer(
            path,
            lambda: _prepare(path, migrations),
            lambda: _connect(path),
            post_limit,
            renew=renew if expendable else None,
        )
        reading = Readers(path, lambda: _connect(path, read_only=True), readers, on_damage=writer.report)
        try:
            await asyncio.wrap_future(writer.start())
        except asyncio.CancelledError:
            writer.close()
            raise
        except Exception:
            writer.join()
            raise
        return cls(path, writer, reading)

    @property
    def pending(self) -> int:
        """Writes that wait."""
        return self._writer.pending

    @property
    def dropped(self) -> int:
        """Posts lost since the start."""
        return self._writer.dropped

    @property
    def fault(self) -> str | None:
        """A sentence while the disk refuses to write, or the file is damaged or gone, else None."""
        return self._writer.fault

    @property
    def renewed(self) -> int:
        """Times an expendable file was begun again."""
        return self._writer.renewed

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raises `StoreError`, and what `work` raises; then nothing of it was written. Cancelled while it waits in the
        queue it does not run; cancelled later it is written all the same.
        """
        result: T = await asyncio.wrap_future(self._writer.submit(work))
        return result

    def connect(self, *, read_only: bool) -> sqlite3.Connection:
        """A connection of one's own, for a thread. The caller closes it. Raises `sqlite3.Error`."""
        return _connect(self.path, read_only=read_only)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` with a read-only connection that sees one snapshot."""
        return await self._readers.run(work)

    def post(
        self,
        work: Callable[[sqlite3.Connection], object],
        *,
        hurry: bool = True,
        settled: Callable[[bool], None] | None = None,
    ) -> bool:
        """A write nobody awaits. While the disk refuses it waits; False where it had to be dropped. Thread-safe.

        Without `hurry` it is committed within about five seconds, together with others. `settled` is told in the
        writer's thread whether it was kept.
        """
        return self._writer.post(work, hurry=hurry, settled=settled)

    async def aclose(self) -> None:
        """Write all that is queued and close. Idempotent. No thread and no descriptor is left."""
        await self._readers.aclose()
        await asyncio.wrap_future(self._writer.close())
        self._writer.join()


def put_aside(path: Path) -> None:
    """Rename a database to `NAME.damaged.db`, with what belongs to it, in place of one put aside earlier."""
    aside = path.with_name(f"{path.stem}.damaged{path.suffix}")
    for end in ("", "-wal", "-shm"):
        aside.with_name(aside.name + end).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))


def _absolute(path: Path) -> Path:
    # The program may change its folder later, and connections are made at any time.
    return path.absolute()


def _prepare(path: Path, migrations: Path) -> None:
    """Make the folder and the file, for the owner alone, and migrate it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives -wal and -shm the mode of the file itself.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be opened: {error.strerror}. Check data_dir and who owns it.",
            code="store_unreachable",
        ) from error
    connection = _connect(path)
    try:
        migrate(connection, migrations, path)
    finally:
        connection.close()


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode. Never creates the file: one that vanished is a fault, not an empty record."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -8192")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        elif connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise sqlite3.OperationalError("no WAL here; data_dir must be on a local disk")
        else:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
