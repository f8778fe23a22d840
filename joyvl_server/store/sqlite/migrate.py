"""Numbered migrations: `0001_initial.sql`, `0002_….sql`, each in one transaction, counted in `PRAGMA user_version`.

Before the first one an existing database is copied. Killed at any time, the next start goes on where this one was.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.copying import copy_before_migration

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


def migrate(connection: sqlite3.Connection, folder: Path, path: Path) -> int:
    """Bring the database at `path` to the newest version and return it.

    `connection` is in autocommit mode. Raises `StoreError` for a database of a newer program, and for one that cannot
    be copied before; both stay as they were. A migration that fails is rolled back whole; those before it stay, and so
    does the copy.
    """
    scripts = numbered(folder)
    found = _version(connection)
    if found > len(scripts):
        raise StoreError(
            f"The database {path} was written by a newer joyvl-server (its version is {found}, this program knows "
            f"{len(scripts)}). Install that version, or use another data_dir.",
            code="store_newer",
        )
    if 0 < found < len(scripts):
        copy_before_migration(connection, path, found + 1)
    for number, script in enumerate(scripts[found:], found + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster, between our look and our lock.
            if _version(connection) < number:
                for statement in statements(script.read_text(encoding="utf-8")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return len(scripts)


def numbered(folder: Path) -> list[Path]:
    """The migrations of a folder in order. Raises `StoreError` where a number is missing or used twice."""
    scripts = sorted(p for p in folder.iterdir() if p.suffix == ".sql")
    for number, script in enumerate(scripts, 1):
        match = _NAME.fullmatch(script.name)
        if match is None or int(match[1]) != number:
            raise StoreError(f"Migration number {number} is missing or misnamed: found {script.name}.")
    return scripts


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one, triggers whole. (`executescript` would commit on its way.)"""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
