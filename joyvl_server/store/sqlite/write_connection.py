"""The one connection that writes: it notices when the file or the disk fails, and when they work again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sized

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.database_file import GONE, DatabaseFile
from joyvl_server.store.sqlite.errors import is_damage, store_error
from joyvl_server.store.sqlite.readers import ConnectionPool

log = structlog.get_logger(__name__)

RETRY_S = 1.0
"""Seconds between two tries to write what nobody awaits, while the disk refuses."""
CHECK_S = 2.0
"""Seconds between two checks whether the file is still there, while nothing is written."""
RENEW_S = 60.0
"""Seconds between two replacements of a file that keeps being damaged."""

Failure = sqlite3.Error | StoreError


class WriteConnection:
    """Only for the writer's thread, but for `fault` and `renewed`, which any thread may read.

    `pool`: the connections that read the same file. `queue`: the writes that wait. An `expendable` file that is damaged
    or gone is put aside and replaced by a new one.
    """

    def __init__(self, file: DatabaseFile, pool: ConnectionPool, queue: Sized, *, expendable: bool) -> None:
        self.fault: str | None = None
        """what the disk says, while it refuses; damage stays until the file is another one"""
        self.renewed = 0
        """how often the file was replaced by a new one"""
        self._file = file
        self._pool = pool
        self._queue = queue
        self._expendable = expendable
        self._connection: sqlite3.Connection | None = None
        self._prepared = False
        self._damaged = False
        self._gone_since: float | None = None
        self._next_try = 0.0
        self._next_renewal = 0.0

    def open(self) -> None:
        """At the start. Raises `sqlite3.Error`, `StoreError`; with an expendable file that is a fault instead."""
        try:
            self.get()
        except (sqlite3.Error, StoreError) as error:
            self.close()
            if not self._expendable:
                raise
            if not self.renew(error):
                self.mark_failed(error)

    def get(self) -> sqlite3.Connection:
        """The connection, always to the same file. Raises `sqlite3.Error`, `StoreError`."""
        if not self._prepared:
            self._file.prepare()
            self._prepared = True
        self._file.check()
        if self._connection is None:
            self._connection = self._file.connect()
        return self._connection

    def commit(self) -> None:
        """Raises `sqlite3.Error`, `StoreError` where nothing of the transaction is kept."""
        assert self._connection is not None
        self._connection.execute("COMMIT")
        self._file.check_commit()

    def close(self) -> None:
        self._file.disconnected()
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                log.warning("store did not close cleanly", store=self._file.path.name, error=str(error))
            self._connection = None

    def test(self) -> Failure | None:
        """Write something small that touches no record. Returns what hinders it, None where it worked."""
        try:
            connection = self.get()
            self._file.try_disk()
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except (sqlite3.Error, StoreError) as error:
            self.close()
            return error
        return None

    def mark_failed(self, error: Failure, *, kept: int = 0) -> None:
        """There is a fault from now on; it is logged where there was none. `kept`: the writes that stay queued."""
        sentence = str(store_error(error, self._file.path))
        if self.fault is None:
            log.error("store fails", store=self._file.path.name, error=sentence, detail=str(error), kept=kept)
        if self.fault is None or not self._damaged:
            self.fault = sentence
        self._damaged = self._damaged or is_damage(error)

    def check(self, damage: sqlite3.Error | None) -> None:
        """Nothing waits: is the file still there, and does the disk work again? `damage`: what a reader found."""
        if damage is not None and not self.renew(damage):
            self.mark_failed(damage)
        if self.fault is not None:
            self.recover()
            return
        try:
            self._file.check()
        except StoreError as error:
            self.close()
            if not self.renew(error):
                self.mark_failed(error)

    def recover(self) -> None:
        """End the fault where it is over: the disk itself is asked, at most once in `RETRY_S`."""
        if self.fault is None or time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + RETRY_S
        if self._damaged:
            self.renew(None)
            return
        error = self.test()
        if error is None:
            self._mark_healthy()
        else:
            self.renew(error)

    def renew(self, error: Failure | None) -> bool:
        """Put an expendable file aside that is damaged or gone. True where there is a new one."""
        gone = isinstance(error, StoreError) and error.code == GONE
        if not self._expendable or not (self._damaged or gone or (error is not None and is_damage(error))):
            return False
        now = time.monotonic()
        if gone and self._gone_since is None:
            self._gone_since = now
        if now < self._next_renewal or (gone and now < (self._gone_since or 0.0) + CHECK_S):
            return False  # a folder that is being removed loses its files first
        self.close()
        try:
            self._file.check_folder()
            self._next_renewal = now + RENEW_S
            self._pool.renew()
            self._file.put_aside()
            self._prepared = False
            self.get()
        except (OSError, sqlite3.Error, StoreError):
            return False  # the fault stays, and is logged
        self.renewed += 1
        why = "it was removed" if gone else "it was damaged and is put aside"
        log.error("store begins with a new file", store=self._file.path.name, reason=why)
        self._mark_healthy()
        return True

    def _mark_healthy(self) -> None:
        if self.fault is not None:
            log.info("store works again", store=self._file.path.name, queued=len(self._queue))
        self.fault, self._damaged, self._gone_since = None, False, None
