"""What SQLite's errors mean to a user, and which of them come from the disk rather than from a statement."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from joyvl_server.core.errors import StoreError

_SENTENCES = {
    sqlite3.SQLITE_FULL: ("store_full", "The disk is full: {path} cannot be written. Free some space."),
    sqlite3.SQLITE_IOERR: ("store_io", "The disk fails to read or write {path}. Check its space and its health."),
    sqlite3.SQLITE_CORRUPT: (
        "store_corrupt",
        "The database {path} is damaged. Stop the server and put a backup in its place, or move it "
        "away to start empty.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "store_corrupt",
        "{path} is not a database, or it is damaged. Move it away to start empty, or put a backup in its place.",
    ),
    sqlite3.SQLITE_READONLY: (
        "store_readonly",
        "{path} cannot be written. Check the owner and mode of it and its folder.",
    ),
    sqlite3.SQLITE_PERM: ("store_readonly", "{path} cannot be opened. Check the owner and mode of it and its folder."),
    sqlite3.SQLITE_CANTOPEN: ("store_unreachable", "{path} cannot be opened. Check the owner and mode of its folder."),
    sqlite3.SQLITE_BUSY: ("store_busy", "{path} is held by another process. Is a second server using this data_dir?"),
    sqlite3.SQLITE_LOCKED: ("store_busy", "{path} is held by another process. Is a second server using this data_dir?"),
    sqlite3.SQLITE_NOMEM: ("store_memory", "There is no memory left to read or write {path}."),
    sqlite3.SQLITE_INTERRUPT: ("store_closed", "The store was closed while it read."),
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_AFFECTS_ALL = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
)


def is_storage_fault(error: BaseException) -> bool:
    """Does it come from the disk, the file or the machine, so that the same statement may succeed later?"""
    return isinstance(error, sqlite3.Error) and _primary(error) in _SENTENCES


def is_damage(error: BaseException) -> bool:
    """Is the file itself broken, so that it stays so?"""
    return isinstance(error, sqlite3.Error) and _primary(error) in _DAMAGE


def affects_all_writes(error: BaseException) -> bool:
    """Does it stop every write, whatever the statement?"""
    return isinstance(error, StoreError) or (isinstance(error, sqlite3.Error) and _primary(error) in _AFFECTS_ALL)


def store_error(error: sqlite3.Error | StoreError, path: Path) -> StoreError:
    """The error as a sentence, with a code."""
    if isinstance(error, StoreError):
        return error
    code, sentence = _SENTENCES.get(_primary(error), ("store", f"The database {{path}} refused: {error}."))
    return StoreError(sentence.format(path=path), code=code)


def _primary(error: sqlite3.Error) -> int:
    # Errors of the Python module itself (a closed connection, a wrong type) carry no code.
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
