"""A backup of a data folder, made by a process of its own while the server runs, or while none does."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup import contents
from joyvl_server.store.backup.archive import FORMAT, ArchiveWriter, Manifest
from joyvl_server.store.folder import MAIN
from joyvl_server.store.sqlite.copying import UNFINISHED, copy_database, size_of, sync
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.errors import store_error

COMPRESSED = (".tar.gz", ".tgz")
SUFFIXES = (".tar", *COMPRESSED)
SPARE_BYTES = 16_000_000
"""left free on the disk of a backup"""
MOST_NAMED = 20
"""files that cannot be in it, each told by its name"""

Told = Callable[[int, int], object]
"""Gets how many bytes are done, and of how many."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """`left_out`: what lies in the data folder and is not in the backup, with what to do about it."""

    path: Path
    bytes: int
    files: int
    secrets: bool
    left_out: dict[str, str]


def make_backup(
    folder: Path, target: Path, program: str, *, secrets: bool = True, told: Told | None = None
) -> BackupReport:
    """Write all that the data folder `folder` holds into the new file `target` (.tar or .tar.gz), mode 0600.

    The record is that of one moment; pictures and clips are those of a little later. The file is there whole or not at
    all: interrupted (also by `KeyboardInterrupt`), nothing is left; killed, the next backup of that name tidies up.
    Without `secrets` the keys stay away. Raises `StoreError`. Blocks.
    """
    target = target.absolute()
    try:
        if not (folder / MAIN).is_file():
            raise StoreError(
                f"{folder} is no data folder of a server: there is no {MAIN} in it. Name the server's folder with "
                "--data-dir, or its settings file with --config.",
                code="store_unreachable",
            )
        if not target.name.endswith(SUFFIXES):
            raise StoreError(
                f"{target} is no folder that is there, and no name that ends with .tar or .tar.gz. Make the folder, or "
                "choose another name.",
                code="backup_target",
            )
        _check_place(target, folder)
        if os.path.lexists(target):
            raise StoreError(f"{target} is there already. Choose another name.", code="backup_target")
        with _work_folder(target) as work:
            report = _write(DataSize.of(folder, secrets=secrets), work / target.name, program, told)
            (work / target.name).rename(target)
            with suppress(OSError):  # not every file system takes that from a folder
                sync(target.parent)
            return replace(report, path=target)
    except PermissionError as error:
        raise StoreError(
            f"{error.filename} cannot be used: {error.strerror}. Run this as the user that the server runs as.",
            code="store_io",
        ) from error
    except OSError as error:
        raise StoreError(f"The backup {target} cannot be made: {error.strerror or error}.", code="store_io") from error


def _check_place(target: Path, folder: Path) -> None:
    """Raises `StoreError` (backup_target) where the next backup would hold this one, or the server needs the place."""
    data, place = folder.resolve(), target.parent.resolve()
    if place == data:
        where = "is the data folder itself"
    elif any(place.is_relative_to(data / part) for part in (*contents.COPIED, *contents.SECRETS)):
        where = "is a part of the data folder that is in every backup"
    else:
        return
    raise StoreError(f"{target.parent} {where}. Choose a folder elsewhere, best on another disk.", code="backup_target")


@dataclass(frozen=True, slots=True)
class DataSize:
    """What of a data folder is to be copied. `databases`: bytes of each; `versions`: of each; `total`: bytes of all."""

    folder: Path
    secrets: bool
    databases: dict[str, int]
    versions: dict[str, int]
    total: int
    left_out: dict[str, str]

    @classmethod
    def of(cls, folder: Path, *, secrets: bool) -> DataSize:
        """Raises `StoreError`, `OSError`. Ticks that cannot be read are left out: the server does without them, too."""
        sizes, versions, left_out = {}, {}, _left_out(folder, secrets=secrets)
        for name in contents.DATABASES:
            if not (folder / name).is_file():
                continue
            try:
                with _opened(folder / name) as connection:
                    sizes[name] = size_of(connection)
                    versions[name] = int(connection.execute("PRAGMA user_version").fetchone()[0])
                if versions[name] < 1:
                    raise StoreError(f"{folder / name} holds nothing of a server.", code="store_corrupt")
            except StoreError as error:
                if name == MAIN:
                    raise
                left_out[name] = str(error)
                sizes.pop(name, None)
                versions.pop(name, None)
        total = sum(sizes.values()) + sum(file.bytes for file in contents.files(folder, secrets=secrets))
        return cls(folder, secrets, sizes, versions, total, left_out)

    def check_space(self, on: Path) -> None:
        """Raises `StoreError` (store_full)."""
        # Each database lies there for a moment twice: as a copy, and in the archive.
        needed, free = self.total + max(self.databases.values()) + SPARE_BYTES, shutil.disk_usage(on).free
        if free < needed:
            raise StoreError(
                f"The backup needs {needed / 1e6:,.0f} MB in {on}, and {free / 1e6:,.0f} MB are free.",
                code="store_full",
            )


def _write(data: DataSize, path: Path, program: str, told: Told | None) -> BackupReport:
    data.check_space(path.parent.parent)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    folder = str(data.folder.absolute())
    manifest = Manifest(FORMAT, program, made_at, data.versions, data.secrets, data.total, folder)
    done = 0

    def tell(more: int) -> None:
        if told is not None:
            told(done + more, max(done + more, data.total))

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as out,
        ArchiveWriter(out, manifest, compress=path.name.endswith(COMPRESSED)) as archive,
    ):
        for name in data.databases:
            copy = path.with_name(name)
            with _opened(data.folder / name) as connection:
                copy_database(connection, copy, lambda copied: tell(copied // 2))
            _check(copy, data.folder / name)
            done += archive.add(name, copy) or 0
            copy.unlink()
            tell(0)
        passed_over: list[str] = []
        for file in contents.files(data.folder, secrets=data.secrets):
            if not contents.is_safe(file.name):
                passed_over.append(file.name)
                continue
            done += archive.add(file.name, file.path) or 0
            tell(0)
        archive.finish()
        out.flush()
        os.fsync(out.fileno())
        left_out = data.left_out | _named(passed_over)
        return BackupReport(path, out.tell(), archive.files, data.secrets, left_out)


def _named(passed_over: list[str]) -> dict[str, str]:
    """Everything else is in the backup all the same: one file with an odd name must not be the end of all backups."""
    found = dict.fromkeys(
        passed_over[:MOST_NAMED], "its name has a line break or is too long, or it lies too deep: give it another one"
    )
    if len(passed_over) > MOST_NAMED:
        found[f"{len(passed_over) - MOST_NAMED:,} more files"] = "for the same reasons"
    return found


def _left_out(folder: Path, *, secrets: bool) -> dict[str, str]:
    found = {name: why for name, why in contents.LEFT_OUT.items() if why and (folder / name).exists()}
    found |= dict.fromkeys(contents.unknown(folder), "it is none of the server's files")
    found |= dict.fromkeys(contents.links(folder), "it is a link to another place")
    if not secrets:
        found |= {name: "keys were to be left out" for name in contents.SECRETS if (folder / name).exists()}
    return found


def _check(copy: Path, original: Path) -> None:
    """Raises `StoreError` where the copy cannot be used: a backup of a damaged record would help nobody."""
    with _opened(copy) as connection:
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise StoreError(f"{original} is damaged; there is nothing whole to keep.", code="store_corrupt")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Raises `StoreError`."""
    try:
        with closing(DatabaseFile(path).connect(read_only=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise store_error(error, path) from error


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder next to the backup, removed at the end; what a killed one left is removed first.

    Raises `OSError`, `StoreError` where another backup writes there.
    """
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}. Make it first.", code="backup_target")
    work = target.with_name(f".{target.name}{UNFINISHED}")
    work.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"Another backup is just writing {target}.", code="backup_target") from None
        for left in work.iterdir():
            left.unlink()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(descriptor)
