"""The keys in a data folder, for a command: also while the server runs, which sees within seconds what changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from joyvl_server.core.errors import StoreError
from joyvl_server.store.folder import MAIN, DataFolder
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.errors import store_error
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered


@contextmanager
def key_database(data_dir: Path, *, make: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection in a transaction, which is committed at the end of the block, and rolled back where that raises.

    Without a server the database is migrated first; where there is none, `make` makes it, with its folder. Raises
    `StoreError`. Blocks.
    """
    path = data_dir.absolute() / MAIN
    if not make and not path.is_file():
        there = "holds no data of joyvl-server" if data_dir.is_dir() else "is not there"
        raise StoreError(f"The data folder {data_dir} {there}. Check --data-dir, --config or JOYVL_DATA_DIR.")
    folder: DataFolder | None = None
    try:
        folder = DataFolder.open(data_dir)
    except StoreError as error:
        if error.code != "store_locked":
            raise
    file = DatabaseFile(path)
    try:
        if folder is not None:
            file.prepare()
        with closing(file.connect()) as connection:
            _check_version(connection, path)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    finally:
        if folder is not None:
            folder.close()


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    found, known = int(connection.execute("PRAGMA user_version").fetchone()[0]), len(numbered(MIGRATIONS))
    if found != known:
        raise StoreError(
            f"The server that runs over {path} is of another version than this command (its database is {found}, here "
            f"{known}). Use the same version for both.",
            code="store_newer",
        )
