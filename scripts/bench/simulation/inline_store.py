"""The store for virtual time: as the real one, but each job is done at once, on the loop, unsynced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from joyvl_server.store.folder import MAIN
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS, migrate
from joyvl_server.store.sqlite.write_queue import PostListener
from joyvl_server.store.store import TICK_MIGRATIONS, TICKS, Store

T = TypeVar("T")


class InlineDatabase(Database):
    """A fresh file at `path`; its folder must be there."""

    def __init__(self, path: Path, migrations: Path = MIGRATIONS) -> None:
        self.path = path
        self.secrets = SecretBox.of_folder(path.parent)
        self._connection = connection = sqlite3.connect(path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        for pragma in ("foreign_keys = ON", "journal_mode = MEMORY", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, migrations, path)

    @property
    def pending(self) -> int:
        return 0

    @property
    def dropped(self) -> int:
        return 0

    @property
    def renewed(self) -> int:
        return 0

    @property
    def fault(self) -> str | None:
        return None

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("SAVEPOINT work")
        try:
            result = work(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK TO work")
            raise
        finally:
            self._connection.execute("RELEASE work")
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self._connection)

    def post(
        self,
        work: Callable[[sqlite3.Connection], object],
        *,
        hurry: bool = True,
        listener: PostListener | None = None,
    ) -> bool:
        work(self._connection)
        if listener is not None:
            listener.settled(kept=True)
        return True

    async def aclose(self) -> None:
        self._connection.close()


def inline_store(folder: Path) -> Store:
    """In a folder that is there, without a lock."""
    return Store(None, InlineDatabase(folder / MAIN), InlineDatabase(folder / TICKS, TICK_MIGRATIONS))
