"""Keys of those who may call: is there one, and does one end soon?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime

from joyvl_server.cli.doctor.report import Finding, ok, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.settings import Settings, asks_for_keys
from joyvl_server.store.access.keys import all_keys
from joyvl_server.store.access.records import ENDS_SOON_S, KeyRecord
from joyvl_server.store.folder import MAIN
from joyvl_server.store.sqlite.database_file import read_only

LISTED = 5


class KeysCheck:
    """See `Check`. Reads only."""

    name = "keys"
    limit_s = 10.0

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        if not asks_for_keys(self._settings.server):
            return skipped("Nobody is asked for a key: the server listens on this machine only.")
        path = self._settings.data_dir / MAIN
        if not path.exists():
            return skipped("There are no keys yet; the first start prints a link that signs one browser in.")
        try:
            with closing(read_only(path)) as connection:
                connection.row_factory = sqlite3.Row
                return self._judged(all_keys(connection))
        except sqlite3.Error:
            return skipped("Keys cannot be read: the database is damaged or of another version (see data folder).")

    def _judged(self, keys: list[KeyRecord]) -> Finding:
        now = self._clock.wall()
        valid = [key for key in keys if not key.is_over(now)]
        ending = [key for key in valid if key.expires_wall is not None and key.expires_wall - now <= ENDS_SOON_S]
        # A key that was made for a short time ends soon from its beginning.
        long_lived = [key for key in ending if key.is_long_lived]
        if long_lived:
            shown = ", ".join(f"{key.name} on {_day(key.expires_wall)}" for key in long_lived[:LISTED])
            more = f" and {len(long_lived) - LISTED} more" if len(long_lived) > LISTED else ""
            return warning(
                f"Keys that end within 14 days: {shown}{more}.",
                "Make new ones (joyvl keys add NAME) and give them to who uses these, before they end.",
            )
        if not self._settings.server.api_keys and not any(key.role == "admin" for key in valid):
            return warning(
                "No admin has a key; a browser that is signed in is signed out when it is not used for twelve hours.",
                "Make one: joyvl keys add NAME --role admin",
            )
        count = len(valid) + len(self._settings.server.api_keys)
        return ok("1 key opens this server." if count == 1 else f"{count} keys open this server.")


def _day(wall: float | None) -> str:
    return "" if wall is None else datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d")
