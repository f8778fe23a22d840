"""Another key for stored secrets; and what is lost with a key is given up. The server must be stopped."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from joyvl_server.core.errors import ConfigError, StoreError
from joyvl_server.store.folder import MAIN, DataFolder, held_by_another, holder_of
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.secrets.columns import keys_in_use, unreadable, values
from joyvl_server.store.secrets.key_file import KEY_BYTES, KeyFile, Keys, key_id
from joyvl_server.store.secrets.sealing import database_copies, seal_folder
from joyvl_server.store.sqlite.database_file import read_only

SealFiles = Callable[[SecretBox], int]
"""Seals what lies in files of their own; how many there were. Blocks."""


@dataclass(frozen=True, slots=True)
class SecretsReport:
    """`key`: the id of the one that seals, empty where there is none. `fault`: in words. `unreadable`: `table/id`."""

    key: str
    stored: int
    unreadable: tuple[str, ...]
    fault: str | None


def report(folder: Path, key_file: Path | None) -> SecretsReport:
    """What is sealed, and whether it can be opened. Changes nothing, also while the server runs. Blocks. Raises
    `ConfigError` where there is no such folder, `StoreError`."""
    _check_folder(folder)
    box, main = SecretBox.of_folder(folder, key_file), folder / MAIN
    box.prepare(_in_use([main]) if main.exists() else None)
    if not main.exists():
        return SecretsReport("", 0, (), box.fault)
    with closing(_reading(main)) as connection:
        stored, lost = sum(1 for _ in values(connection)), tuple(unreadable(connection, box))
    return SecretsReport(box.newest if box.fault is None else "", stored, lost, box.fault)


def key_fault(folder: Path, key_file: Path | None) -> str | None:
    """Why the key file does not open what is sealed, in words; None where it does, or where nothing is. Makes no key,
    changes nothing, also while the server runs. Blocks. Raises `StoreError`."""
    in_use = _in_use([folder / MAIN])
    if not in_use:
        return None
    box = SecretBox.of_folder(folder, key_file)
    box.prepare(in_use)
    return box.fault


def rotate(folder: Path, key_file: Path | None, seal_files: SealFiles) -> SecretsReport:
    """Seal everything with a new key. The old one stays in the file until nothing needs it, so that it may be killed at
    any moment. Blocks. Raises `ConfigError`, `StoreError`; then all can be read as before."""
    _check_folder(folder)
    held = DataFolder.open(folder)
    try:
        box, main = SecretBox.of_folder(folder, key_file), folder / MAIN
        assert box.file is not None
        if not main.exists():
            raise ConfigError(f"There is no database in {folder}.")
        box.prepare(_in_use([main]))
        if box.fault is not None:
            raise StoreError(box.fault, code="secrets_locked")
        before = box.file.read()
        assert before is not None
        fresh = secrets.token_bytes(KEY_BYTES)
        box.file.write(Keys((fresh, *before.keys), before.given_up))
        box.prepare(_in_use([main]))
        for sealing in seal_folder(main, box):
            sealing.run(prepare=False)
        seal_files(box)
        needed = _in_use([main, *database_copies(main)])
        kept = tuple(key for key in before.keys if key_id(key) in needed)
        box.file.write(Keys((fresh, *kept), before.given_up))
        if kept:
            raise StoreError(
                "Not everything could be sealed with the new key; the old one stays in the file too. Try again.",
                code="secrets_locked",
            )
    finally:
        held.close()
    return report(folder, key_file)


def give_up(folder: Path, key_file: Path | None) -> SecretsReport:
    """The key of what cannot be opened is lost for good: secrets can be stored again. What it sealed stays until it is
    written again. Blocks. Raises `ConfigError`, `StoreError`."""
    _check_folder(folder)
    held = DataFolder.open(folder)
    try:
        file: KeyFile | None = SecretBox.of_folder(folder, key_file).file
        assert file is not None
        needed = _in_use([folder / MAIN]) if (folder / MAIN).exists() else set()
        keys = file.read() or file.make()
        lost = needed - {key_id(key) for key in keys.keys}
        file.write(Keys(keys.keys, keys.given_up | lost))
    finally:
        held.close()
    return report(folder, key_file)


def check_free(folder: Path) -> None:
    """Raises `ConfigError` where there is no such folder, `StoreError` (store_locked) while a server has it. Blocks."""
    _check_folder(folder)
    holder = holder_of(folder)
    if holder is not None:
        raise held_by_another(folder.absolute(), holder.pid)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        raise ConfigError(
            f"The data folder {folder} {what}. Name the server's folder with --data-dir, or its settings."
        )


def _in_use(paths: list[Path]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        with closing(_reading(path)) as connection:
            found |= keys_in_use(connection)
    return found


def _reading(path: Path) -> sqlite3.Connection:
    try:
        return read_only(path)
    except sqlite3.Error as error:
        raise StoreError(f"The database {path} cannot be read: {error}.", code="store_unreachable") from None
