"""The data folder: whose it is, who uses it, whether the databases in it are whole."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.server import RunningServer
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.settings import Settings
from joyvl_server.store.folder import MAIN
from joyvl_server.store.sqlite.database_file import read_only
from joyvl_server.store.sqlite.errors import store_error
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered
from joyvl_server.store.store import TICK_MIGRATIONS, TICKS

INTEGRITY_S = 20.0
STEPS = 100_000
"""SQLite asks us so often, in its own steps, whether it may go on"""


class DataFolderCheck:
    """See `Check`. Reads only; looks at each database for at most `INTEGRITY_S` seconds."""

    name = "data folder"
    limit_s = 3 * INTEGRITY_S

    def __init__(self, settings: Settings, running: RunningServer) -> None:
        self._folder = settings.data_dir.absolute()
        self._running = running

    async def run(self) -> Iterable[Finding]:
        return await off_loop(self._look)

    def _look(self) -> list[Finding]:
        folder = self._folder
        try:
            info = folder.stat()
        except FileNotFoundError:
            return [skipped(f"There is no data folder {folder} yet; the first joyvl serve makes it.")]
        except OSError as error:
            return [problem(f"The data folder {folder} cannot be looked at: {error.strerror}.", "Check who owns it.")]
        if not stat.S_ISDIR(info.st_mode):
            return [problem(f"{folder} is no folder.", "Set data_dir to a folder.")]
        found = [*self._owner(info), *self._server()]
        for name, migrations in ((MAIN, MIGRATIONS), (TICKS, TICK_MIGRATIONS)):
            if (folder / name).exists():
                found.append(look_at_database(folder / name, migrations, expendable=name == TICKS))
        for aside in sorted(folder.glob("*.damaged.db")):
            found += [warning(f"A damaged database was put aside: {aside.name}.", "Delete it when you do not need it.")]
        if not (folder / MAIN).exists():
            found.append(ok(f"{folder} is there, and has no database yet."))
        return found

    def _owner(self, info: os.stat_result) -> Iterable[Finding]:
        me = os.geteuid()
        if info.st_uid != me and me != 0:
            yield problem(
                f"The data folder {self._folder} belongs to user {info.st_uid}, and this is user {me}.",
                f"Run it as that user, or: chown -R {me} {self._folder}",
            )
        elif info.st_mode & 0o077 and (self._folder / MAIN).exists():
            yield warning(
                f"Others on this machine may look into the data folder (mode {stat.S_IMODE(info.st_mode):o}).",
                f"The next start of the server closes it, or: chmod 700 {self._folder}",
            )
        for name in (MAIN, TICKS):
            path = self._folder / name
            if path.exists() and not os.access(path, os.R_OK | os.W_OK):
                yield problem(
                    f"This user ({me}) cannot read and write {path}.",
                    f"chown -R {me} {self._folder}, or run it as its owner.",
                )

    def _server(self) -> Iterable[Finding]:
        pid = self._running.pid
        if pid is None:
            return
        which = f" (process {pid})" if pid else ""
        yield ok(f"A joyvl-server{which} is using this data folder; no second one can start on it.")


def look_at_database(path: Path, migrations: Path, *, expendable: bool) -> Finding:
    """Is it whole, and of a version that this program knows? Reads only. Blocks for at most `INTEGRITY_S`."""
    known = len(numbered(migrations))
    until = time.monotonic() + INTEGRITY_S
    try:
        with closing(read_only(path)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > known:
                return problem(
                    f"{path} was written by a newer joyvl-server (version {version}; this program knows {known}).",
                    "Install that version, or use another data_dir.",
                )
            connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            faults = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            size = path.stat().st_size / 1e9
            return ok(f"{path.name} ({size:.1f} GB) was read for {INTEGRITY_S:g} s without a fault; it has more.")
        told = store_error(error, path)
        return problem(str(told), _repair(expendable))
    if faults != ["ok"]:
        return problem(f"{path} is damaged: {'; '.join(faults)[:200]}.", _repair(expendable))
    older = f"; the next start brings it from version {version} to {known}" if version < known else ""
    return ok(f"{path.name} is whole ({path.stat().st_size / 1e6:.1f} MB, version {version}{older}).")


def _repair(expendable: bool) -> str:
    if expendable:
        return "It holds only scores of past seconds: the next start puts it aside and begins a new one."
    return "Stop the server, and put a backup in its place: joyvl restore (docs/backup.md)."
