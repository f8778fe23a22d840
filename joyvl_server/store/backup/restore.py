"""A backup restored into an empty data folder: all of it, or nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup import contents
from joyvl_server.store.backup.archive import FORMAT, ArchiveReader, HashedFile, Manifest
from joyvl_server.store.folder import LOCK, MAIN, DataFolder
from joyvl_server.store.sqlite.copying import sync
from joyvl_server.store.sqlite.migrate import numbered

UNFINISHED = ".restore-unfinished"
MEDIA = "media"
"""the folder of files that cameras play"""
SPARE_INODES = 1000
"""entries that the disk must have left: one that has none holds no more files, whatever is free"""
IGNORED = {LOCK, UNFINISHED, "lost+found"}
"""in a folder that counts as empty"""

Told = Callable[[int, int], object]
"""Gets how many bytes are done, and of how many."""


def restore_backup(archive: Path, folder: Path, *, told: Told | None = None) -> Manifest:
    """Restore the backup file `archive` into `folder`, which is empty or not there; returns what it was.

    Everything is read, compared and checked before anything gets its place, and the record gets its place last: a
    folder with a record is whole. Interrupted, nothing is left in the folder; killed, the same command begins again.
    Raises `StoreError`: backup_damaged, store_newer, store_full, store_locked, backup_target (not empty), store_io.
    Blocks.
    """
    folder = folder.absolute()
    _check_empty(folder)
    try:
        with archive.open("rb") as file:
            reader = ArchiveReader(file, archive)
            _check_manifest(reader.manifest, archive)
            before = _Before.of(folder)
            held = DataFolder.open(folder)  # no server starts in it meanwhile
            try:
                _check_empty(folder)
                _fill(reader, archive, folder, told)
            except BaseException:
                before.again()
                raise
            finally:
                held.close()
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"The backup cannot be restored: {where}: {error.strerror}.", code="store_io") from error
    return reader.manifest


@dataclass(frozen=True, slots=True)
class _Before:
    """What there was. `missing`: folders that were not there, the innermost first. `locked`: had it a file to lock?"""

    folder: Path
    missing: tuple[Path, ...]
    locked: bool

    @classmethod
    def of(cls, folder: Path) -> _Before:
        missing = tuple(path for path in (folder, *folder.parents) if not os.path.lexists(path))
        return cls(folder, missing, (folder / LOCK).exists())

    def again(self) -> None:
        """What others have put there meanwhile stays, with the folders it is in."""
        with suppress(OSError):
            if not self.locked:
                (self.folder / LOCK).unlink()
            for path in self.missing:
                path.rmdir()


def check_backup(archive: Path, *, told: Told | None = None) -> Manifest:
    """Read a backup to its end without writing anything. Raises `StoreError`. Blocks."""
    done = 0
    try:
        with archive.open("rb") as file:
            reader = ArchiveReader(file, archive)
            _check_manifest(reader.manifest, archive)
            for name, content in reader.files():
                _check_name(name, archive)
                for piece in content.pieces():
                    done += len(piece)
                    if told is not None:
                        told(done, max(done, reader.manifest.size))
    except OSError as error:
        raise StoreError(f"The backup {archive} cannot be read: {error.strerror}.", code="store_io") from error
    return reader.manifest


def _fill(reader: ArchiveReader, archive: Path, folder: Path, told: Told | None) -> None:
    _check_space(folder, reader.manifest.size)
    work = folder / UNFINISHED
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        done = 0
        for name, content in reader.files():
            _check_name(name, archive)
            _check_space(folder, content.size)
            _write(work, name, content)
            done += content.size
            if told is not None:
                told(done, max(done, reader.manifest.size))
        for name in contents.DATABASES:
            if (work / name).exists() or name == MAIN:
                _check_database(work / name, archive)
        _play_from(folder, reader.manifest.folder, work / MAIN)
        os.sync()
        for name in sorted(os.listdir(work), key=lambda name: (name == MAIN, name)):
            (work / name).rename(folder / name)
        sync(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _play_from(folder: Path, before: str, database: Path) -> None:
    """Cameras that played files of the data folder `before` play them from `folder`."""
    if not before.startswith("/") or Path(before) == folder:
        return
    old, new = Path(before, MEDIA), Path(folder, MEDIA)
    with closing(sqlite3.connect(database)) as connection, connection:
        # As the server writes an address, and as somebody may have typed it.
        for was, now in ((old.as_uri(), new.as_uri()), (f"file://{old}", f"file://{new}")):
            connection.execute(
                "UPDATE cameras SET url = ? || substr(url, ?) WHERE substr(url, 1, ?) = ?",
                (now, len(was) + 1, len(was) + 1, f"{was}/"),
            )


def _check_space(folder: Path, needed: int) -> None:
    """Raises `StoreError` (store_full)."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"The backup needs {needed / 1e6:,.0f} MB in {folder}, and {free / 1e6:,.0f} MB are free.",
            code="store_full",
        )
    disk = os.statvfs(folder)
    if disk.f_files and disk.f_favail < SPARE_INODES:  # some file systems count none
        raise StoreError(
            f"The disk of {folder} has room for {disk.f_favail:,} more files only (df -i shows it).", code="store_full"
        )


def _check_empty(folder: Path) -> None:
    """Raises `StoreError` (backup_target)."""
    try:
        found = sorted(set(os.listdir(folder)) - IGNORED)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}.", code="backup_target") from error
    if found:
        some = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
        raise StoreError(
            f"{folder} is not empty ({some}). A backup is restored into an empty "
            "folder only: choose another data_dir, or move what is there away.",
            code="backup_target",
        )


def _check_manifest(manifest: Manifest, archive: Path) -> None:
    newer = manifest.format > FORMAT or any(
        version > len(numbered(contents.DATABASES[name]))
        for name, version in manifest.databases.items()
        if name in contents.DATABASES
    )
    if newer:
        raise StoreError(
            f"The backup {archive} was made by a newer joyvl-server ({manifest.program}). Install that version.",
            code="store_newer",
        )


def _check_name(name: str, archive: Path) -> None:
    if not contents.is_safe(name):
        raise StoreError(
            f"The backup {archive} is refused: a file of the name {name[:200]!r} does not belong in it.",
            code="backup_damaged",
        )


def _write(work: Path, name: str, content: HashedFile) -> None:
    *parents, last = name.split("/")
    folder = work
    for parent in parents:
        folder = folder / parent
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    path = folder / last
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        for piece in content.pieces():
            out.write(piece)
    with suppress(OverflowError, ValueError):  # no time at all
        os.utime(path, (content.written_wall, content.written_wall))


def _check_database(path: Path, archive: Path) -> None:
    """Whole in SQLite's own eyes, and of no newer program. Raises `StoreError`."""
    damaged = StoreError(f"The backup {archive} is damaged: {path.name} in it cannot be used.", code="backup_damaged")
    if not path.is_file():
        raise damaged
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()  # no log is left next to it
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise damaged from error
    if found != "ok" or version < 1:
        raise damaged
    if version > len(numbered(contents.DATABASES[path.name])):
        raise StoreError(f"The backup {archive} was made by a newer joyvl-server.", code="store_newer")
