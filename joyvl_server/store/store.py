"""All that a server keeps: the record in joyvl.db; in ticks.db the ticks, which can then block nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from joyvl_server.core.errors import StoreError
from joyvl_server.store.folder import MAIN, DataFolder
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS
from joyvl_server.store.ticks.old_ticks import move_old_ticks

TICKS = "ticks.db"
TICK_MIGRATIONS = MIGRATIONS / "ticks"


class Store:
    """Use `await Store.open(folder)`; `await store.aclose()` at the end."""

    def __init__(self, folder: DataFolder | None, main: Database, ticks: Database) -> None:
        self.main = main
        self.ticks = ticks
        self._folder = folder
        # The server does not wait for it: millions of old ticks take minutes.
        self._moving = asyncio.create_task(move_old_ticks(main, ticks), name="move-old-ticks") if folder else None

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Lock the folder and open, make or migrate what is in it.

        Raises `StoreError` where another server has the folder, or where joyvl.db cannot be used. A ticks.db that
        cannot be used is a fault of `ticks`, no error. Cancelled, it closes what it has opened.
        """
        folder = await asyncio.to_thread(DataFolder.open, path)
        opened: list[Database] = []
        try:
            opened.append(await Database.open(folder.path / MAIN))
            opened.append(await Database.open(folder.path / TICKS, migrations=TICK_MIGRATIONS, expendable=True))
        except BaseException:
            for database in opened:
                await database.aclose()
            folder.close()
            raise
        return cls(folder, *opened)

    def __iter__(self) -> Iterator[tuple[str, Database]]:
        """Each database with its name."""
        yield "main", self.main
        yield "ticks", self.ticks

    async def fault(self) -> str | None:
        """What keeps the record from being read or written, None where nothing does. Cancelling it changes nothing."""
        if self.main.fault is None:
            try:
                await self.main.read(lambda connection: connection.execute("SELECT 1").fetchone())
            except StoreError as error:
                return str(error)
        return self.main.fault

    async def moved(self) -> None:
        """Wait until what an older version left is moved, as far as it can be. Cancelling it only ends the wait."""
        if self._moving is not None:
            await asyncio.wait({self._moving})

    async def aclose(self) -> None:
        """Write all that is queued, close, and unlock the folder. Idempotent. Cancelled, it may leave it locked."""
        if self._moving is not None:
            self._moving.cancel()  # it goes on at the next start
            await asyncio.wait({self._moving})
        try:
            await self.ticks.aclose()
        finally:
            await self.main.aclose()
            if self._folder is not None:
                self._folder.close()
