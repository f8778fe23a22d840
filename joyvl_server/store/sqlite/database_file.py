"""One database on disk: how it is made and connected to, whether it is still the same file, how it is put aside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.migrate import MIGRATIONS, migrate

BUSY_S = 5.0
"""Seconds to wait for another process that holds the file."""
TRIAL_BYTES = 262_144
"""Written by `try_disk`: more than SQLite finds room for where a disk is full."""
GONE = "store_gone"

Inode = tuple[int, int] | None


class DatabaseFile:
    """SQLite in WAL mode, mode 0600. Only the writer's thread makes, checks and moves it; any thread may connect."""

    def __init__(self, path: Path, migrations: Path = MIGRATIONS) -> None:
        # The program may change its folder later, and connections are made at any time.
        self.path = path.absolute()
        self._migrations = migrations
        self._wal_path = self.path.with_name(self.path.name + "-wal")
        # Device and inode as they were when it was opened. None: not known yet.
        self._folder: Inode = None
        self._file: Inode = None
        self._wal: Inode = None

    def prepare(self) -> None:
        """Make the folder and the file, for the owner alone, and migrate it. From now on it has to be these.

        Raises `StoreError`, `sqlite3.Error`.
        """
        self.check_folder()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives -wal and -shm the mode of the file itself.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_mode & 0o077:
                    os.fchmod(descriptor, 0o600)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(
                f"The database {self.path} cannot be opened: {error.strerror}. Check data_dir and who owns it.",
                code="store_unreachable",
            ) from error
        connection = self.connect()
        try:
            migrate(connection, self._migrations, self.path)
        finally:
            connection.close()
        self._folder, self._file, self._wal = _inode(self.path.parent), _inode(self.path), None

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A connection in autocommit mode; the caller closes it. Raises `sqlite3.Error`.

        Never creates the file: one that vanished is a fault, not an empty record.
        """
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={'ro' if read_only else 'rw'}",
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
                # What is deleted is overwritten, so that nothing forgotten is left in the file.
                if not connection.execute("PRAGMA secure_delete").fetchone()[0]:
                    connection.execute("PRAGMA secure_delete = ON").fetchall()
                connection.execute("PRAGMA journal_size_limit = 67108864")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def put_aside(self) -> None:
        """Rename it to `NAME.damaged.db`, with its log, in place of one put aside earlier. Raises `OSError`."""
        aside = self.path.with_name(f"{self.path.stem}.damaged{self.path.suffix}")
        for end in ("", "-wal", "-shm"):
            aside.with_name(aside.name + end).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + end).rename(aside.with_name(aside.name + end))

    def check_commit(self) -> None:
        """After a commit: raises `StoreError` (store_gone) where it went into a file that was removed."""
        # SQLite commits without complaint into a file that has just been removed. The log stays while it is connected.
        if self._wal is None:
            self._wal = _inode(self._wal_path)
        self.check()

    def disconnected(self) -> None:
        """The writer has no connection any more: SQLite may have removed the log."""
        self._wal = None

    def check(self) -> None:
        """Raises `StoreError` (store_gone) where it is another file, or none."""
        self.check_folder()
        if _inode(self.path) != self._file or (self._wal is not None and _inode(self._wal_path) != self._wal):
            raise StoreError(
                f"The database {self.path} was removed or replaced while the server runs; nothing can be kept. Put it "
                "back, or restart the server to go on with what is there.",
                code=GONE,
            )

    def check_folder(self) -> None:
        """Raises `StoreError` (store_gone) where its folder is another one, or none. Before `prepare` any will do."""
        if self._folder is not None and _inode(self.path.parent) != self._folder:
            raise StoreError(
                f"The data folder {self.path.parent} was removed, replaced or unmounted while the server runs; "
                "nothing can be kept. Put it back, or restart the server.",
                code=GONE,
            )

    def try_disk(self) -> None:
        """Write a little into its folder. Raises `StoreError` where that fails."""
        trial = self.path.with_name(f".{self.path.name}-trial")
        try:
            descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                left = memoryview(bytes(TRIAL_BYTES))
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                trial.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}.", code="store_io") from error


def read_only(path: Path, timeout_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to the database at `path` that changes nothing and makes none, also while a server has it.

    `timeout_s`: to wait for who holds it. Raises `sqlite3.Error`.
    """
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=timeout_s)


def _inode(path: Path) -> Inode:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
