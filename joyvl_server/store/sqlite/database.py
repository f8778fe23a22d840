"""The record on disk: one SQLite file in WAL mode, mode 0600, one writer, a few readers, numbered migrations.

The loop never waits for the disk: `read` and `write` run in threads, `post` returns at once. What an awaited write has
written survives `kill -9` and a power cut.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.migrate import MIGRATIONS
from joyvl_server.store.sqlite.readers import ConnectionPool, Readers
from joyvl_server.store.sqlite.write_queue import PostListener
from joyvl_server.store.sqlite.writer import Writer

T = TypeVar("T")
POSTS = 10_000
"""Records nobody awaits that may be queued, and as many without hurry; further ones are dropped and counted."""


class Database:
    """Use `await Database.open(path)`; `await db.aclose()` at the end. All methods are for the event loop's thread.

    The functions given to `read` and `write` get a connection (rows are `sqlite3.Row`), run outside the loop, and
    neither begin nor commit anything. Errors of theirs that are not SQLite's reach the caller as they are.
    """

    def __init__(self, file: DatabaseFile, writer: Writer, readers: Readers, secrets: SecretBox) -> None:
        self.path = file.path
        self.secrets = secrets
        """seals what may hold a password before it is written; for the functions given to `read` and `write`"""
        self._file = file
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
        secrets: SecretBox | None = None,
    ) -> Database:
        """Create the file where there is none, migrate it where it is old. `readers`: threads that read. `secrets`: by
        default the key is in the same folder.

        Raises `StoreError` where the file cannot be used, is damaged, or is of a newer program (code store_newer). An
        `expendable` one is put aside and replaced by a new one instead, or tried again later: then `fault` says why.
        Cancelled, it closes what it has opened.
        """
        file = DatabaseFile(path, migrations)
        pool = ConnectionPool(file)
        writer = Writer(file, pool, post_limit, expendable=expendable)
        try:
            await asyncio.wrap_future(writer.start())
        except asyncio.CancelledError:
            writer.close()
            raise
        except Exception:
            writer.join()
            raise
        return cls(file, writer, Readers(pool, readers, writer), secrets or SecretBox.of_folder(file.path.parent))

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
        """How often an expendable file was replaced by a new one."""
        return self._writer.renewed

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raises `StoreError`, and what `work` raises; then nothing of it was written. Cancelled while it waits in the
        queue, it does not run; cancelled later, it is written all the same.
        """
        result: T = await asyncio.wrap_future(self._writer.submit(work))
        return result

    def connect(self, *, read_only: bool) -> sqlite3.Connection:
        """A separate connection, for a thread. The caller closes it. Raises `sqlite3.Error`."""
        return self._file.connect(read_only=read_only)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` with a read-only connection that sees one snapshot. Raises `StoreError`, and what `work` raises.

        Cancelled while it waits for a thread, it does not run; cancelled later, it runs on and its result is dropped.
        """
        return await self._readers.run(work)

    def post(
        self,
        work: Callable[[sqlite3.Connection], object],
        *,
        hurry: bool = True,
        listener: PostListener | None = None,
    ) -> bool:
        """A write nobody awaits. While the disk refuses it waits; False where it had to be dropped. Thread-safe.

        Without `hurry` it is committed within about five seconds, together with others. The `listener` hears, in the
        writer's thread, whether it was kept.
        """
        return self._writer.post(work, hurry=hurry, listener=listener)

    async def aclose(self) -> None:
        """Write all that is queued and close. Idempotent. No thread and no descriptor is left.

        Cancelled, the writer's thread still writes and closes.
        """
        await self._readers.aclose()
        await asyncio.wrap_future(self._writer.close())
        self._writer.join()
