"""Is the database still the file, in the folder, in which it was opened? SQLite writes on into one that was removed."""

from __future__ import annotations

import os
from pathlib import Path

from joyvl_server.core.errors import StoreError

TRIAL_BYTES = 262_144
"""Written by `try_disk`: more than SQLite finds room for where a disk is full."""

Inode = tuple[int, int] | None
GONE = "store_gone"


class FileIdentity:
    """Device and inode of a database, its write-ahead log and its folder, as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal_path = path.with_name(path.name + "-wal")
        self._folder: Inode = None
        self._file: Inode = None
        self._wal: Inode = None

    def take(self) -> None:
        """It is opened: from now on it has to be these."""
        self._folder, self._file, self._wal = _inode(self._path.parent), _inode(self._path), None

    def take_wal(self) -> None:
        """Something was committed: the log is there, and stays while a connection is open."""
        if self._wal is None:
            self._wal = _inode(self._wal_path)

    def forget_wal(self) -> None:
        """No connection is open any more: SQLite may have removed the log."""
        self._wal = None

    def check(self) -> None:
        """Raises `StoreError` (store_gone) where it is another one, or none."""
        self.check_folder()
        if _inode(self._path) != self._file or (self._wal is not None and _inode(self._wal_path) != self._wal):
            raise StoreError(
                f"The database {self._path} was removed or replaced while the server runs; nothing can be kept. Put it "
                "back, or restart the server to go on with what is there.",
                code=GONE,
            )

    def check_folder(self) -> None:
        """Raises `StoreError` (store_gone) where it is another one, or none. Before `take` any will do."""
        if self._folder is not None and _inode(self._path.parent) != self._folder:
            raise StoreError(
                f"The data folder {self._path.parent} was removed, replaced or unmounted while the server runs; "
                "nothing can be kept. Put it back, or restart the server.",
                code=GONE,
            )


def try_disk(path: Path) -> None:
    """Write a little beside the database at `path`. Raises `StoreError` with what hinders it."""
    trial = path.with_name(f".{path.name}-trial")
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
        raise StoreError(f"{path} cannot be written: {error.strerror}.", code="store_io") from error


def _inode(path: Path) -> Inode:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
