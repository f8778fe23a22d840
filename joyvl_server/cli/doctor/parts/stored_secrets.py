"""Stored passwords: sealed, and can they be opened with the key that is here?"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.errors import JoyvlError
from joyvl_server.settings import Settings
from joyvl_server.store.folder import MAIN
from joyvl_server.store.secrets.columns import keys_in_use
from joyvl_server.store.secrets.key_file import KEY_FILE
from joyvl_server.store.secrets.rotation import report
from joyvl_server.store.sqlite.database_file import read_only

BACK = "Put back the key file that you have kept. If it is lost for good: joyvl secrets give-up (docs/secrets.md)."
LISTED = 5


class StoredSecretsCheck:
    """See `Check`. Reads only: it makes no key."""

    name = "secrets"
    limit_s = 20.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        folder, named = self._settings.data_dir, self._settings.secret_key_file
        path = named or folder / KEY_FILE
        if not (folder / MAIN).exists():
            return skipped("No passwords are stored yet.")
        with suppress(OSError):
            if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.stat().st_uid == os.geteuid():
                return warning(f"Others may read the key file {path}.", f"chmod 600 {path}")
        try:
            if not path.exists() and not self._sealed(folder / MAIN):
                return skipped(f"No password is sealed yet; the next start of the server makes the key file {path}.")
            found = report(folder, named)
        except (JoyvlError, sqlite3.Error) as error:
            return problem(f"Stored passwords cannot be read: {error}", BACK)
        if found.fault:
            return problem(found.fault, BACK)
        if found.unreadable:
            shown = ", ".join(found.unreadable[:LISTED])
            return problem(f"{len(found.unreadable)} stored passwords cannot be opened ({shown}).", BACK)
        count = "1 stored password is" if found.stored == 1 else f"{found.stored} stored passwords are"
        return ok(f"{count} sealed, and can be opened. Keep a copy of {path} elsewhere.")

    def _sealed(self, database: Path) -> bool:
        """Is anything in it sealed?"""
        with closing(read_only(database)) as connection:
            return bool(keys_in_use(connection))
