"""All that a server keeps: the record in joyvl.db; in ticks.db the ticks, which can then block nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.folder import MAIN, DataFolder
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.secrets.sealing import mark_clean, seal_folder
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS
from joyvl_server.store.ticks.old_ticks import move_old_ticks

log = structlog.get_logger(__name__)

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
    async def open(cls, path: Path, key_file: Path | None = None) -> Store:
        """Lock the folder and open, make or migrate what is in it. Secrets of an older version are sealed first.
        `key_file`: where the key of secrets is, when not in the folder; what is wrong with it is a fault of
        `main.secrets`, no error.

        Raises `StoreError` where another server has the folder, or where joyvl.db cannot be used. A ticks.db that
        cannot be used is a fault of `ticks`, no error. Cancelled, it closes what it has opened.
        """
        folder = await asyncio.to_thread(DataFolder.open, path)
        opened: list[Database] = []
        try:
            secrets, main = SecretBox.of_folder(folder.path, key_file), folder.path / MAIN
            new = not main.exists()
            await _sealed(main, secrets)
            opened.append(await Database.open(main, secrets=secrets))
            if new:
                opened[0].post(mark_clean)
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


async def _sealed(main: Path, secrets: SecretBox) -> None:
    """Prepare the box, and seal what is in clear. Cancelled, it ends soon, with nobody in the folder any more."""
    for sealing in await asyncio.to_thread(seal_folder, main, secrets):
        running = asyncio.ensure_future(asyncio.to_thread(sealing.run, prepare=not secrets.prepared))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            sealing.stop()
            await asyncio.wait({running})
            raise
    if secrets.fault is not None:
        log.error("stored passwords cannot be used", error=secrets.fault)
