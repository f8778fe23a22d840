"""The first start with a database of an older version: its secrets are sealed, and nothing of them is left in the file.

First the rows are sealed, in one transaction and with deleted content overwritten; then the log is emptied; then the
file is rewritten, because pages that an even older version has freed may hold old passwords. Killed anywhere, the
next start goes on. All of it runs before the migrations, so that copies which they make hold no clear secret either.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from urllib.parse import quote

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.secrets.columns import keys_in_use, seal_all
from joyvl_server.store.sqlite.copying import sync
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered

log = structlog.get_logger(__name__)

CLEANED = 0x4A4F5953
"""`PRAGMA application_id` of a file that was never written with clear secrets, or was rewritten since"""
BUSY_S = 5.0
_FRESH = ".sealing"


class Sealing:
    """Seals one database; `run` in a thread, `stop` from any other."""

    def __init__(self, path: Path, box: SecretBox) -> None:
        self._path = path
        self._box = box
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._stopped = False

    def run(self, *, prepare: bool = True) -> None:
        """Prepare the box and seal. What hinders it is left to who opens the database, or told in the log. Blocks; for
        a large database it takes minutes, once."""
        self._path.with_name(self._path.name + _FRESH).unlink(missing_ok=True)
        try:
            if not self._path.exists() or not self._path.stat().st_size:
                if prepare:
                    self._box.prepare(())
                return
            self._seal(prepare)
        except (sqlite3.Error, StoreError, OSError) as error:
            if prepare and not self._box.prepared:
                self._box.prepare(None)
            log.warning("stored passwords are not sealed yet", store=self._path.name, error=str(error))

    def stop(self) -> None:
        """End it soon; the next start goes on."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def _seal(self, prepare: bool) -> None:
        connection = self._connect()
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] > len(numbered(MIGRATIONS)):
                if prepare:
                    self._box.prepare(None)
                return  # of a newer program: it stays as it is
            if prepare:
                self._box.prepare(keys_in_use(connection))
            if self._box.fault is not None:
                return
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, or rolls back
                sealed = seal_all(connection, self._box)
            clean = connection.execute("PRAGMA application_id").fetchone()[0] == CLEANED
            if sealed or not clean:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if sealed:
                log.info("stored passwords were sealed", store=self._path.name, rows=sealed)
            fresh = None if clean else self._rewritten(connection)
        finally:
            with self._lock:
                self._connection = None
            connection.close()
        if fresh is not None:
            self._put_in_place(fresh)

    def _rewritten(self, connection: sqlite3.Connection) -> Path | None:
        """A copy without free pages; None where there is no space for it."""
        needed = self._path.stat().st_size
        if shutil.disk_usage(self._path.parent).free < needed + needed // 10 + 1_000_000:
            log.warning(
                "the database may hold old passwords in pages that are free: there is no space to rewrite it",
                store=self._path.name,
                needed_mb=needed // 1_000_000,
            )
            return None
        log.info("the database is rewritten, once", store=self._path.name, size_mb=needed // 1_000_000)
        fresh = self._path.with_name(self._path.name + _FRESH)
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            connection.execute("VACUUM INTO ?", (str(fresh),))
            marked = sqlite3.connect(fresh, isolation_level=None)
            try:
                marked.execute(f"PRAGMA application_id = {CLEANED}")
            finally:
                marked.close()
        except sqlite3.Error:
            fresh.unlink(missing_ok=True)
            raise
        return fresh

    def _put_in_place(self, fresh: Path) -> None:
        """Nobody has the database open, so its log is gone."""
        wal = self._path.with_name(self._path.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            fresh.unlink(missing_ok=True)  # another process has it: next time
            return
        sync(fresh)
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        fresh.replace(self._path)
        sync(self._path.parent)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        with self._lock:
            self._connection = connection
            stopped = self._stopped
        if stopped:
            connection.close()
            raise StoreError("It was stopped.", code="store_closed")
        return connection


def seal_folder(main: Path, box: SecretBox) -> tuple[Sealing, ...]:
    """What is to be run, in this order: the database and the copies of it that migrations have left."""
    return (Sealing(main, box), *(Sealing(copy, box) for copy in database_copies(main)))


def database_copies(main: Path) -> list[Path]:
    """Those that migrations have left."""
    return sorted(main.parent.glob(f"{main.name}.before-*[0-9]"))


def mark_clean(connection: sqlite3.Connection) -> None:
    """A new database: nothing in it was ever written in clear."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute(f"PRAGMA application_id = {CLEANED}")
