"""Every tick with its score: written without hurry, packed every few minutes, thinned out with age."""

from __future__ import annotations

import builtins
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import structlog

from joyvl_server.core.errors import NotFound
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.ticks.spans import (
    ALL,
    DamageLog,
    drop_details,
    drop_spans,
    insert_fresh,
    newest_ticks,
    pack_fresh,
    used_bytes,
)

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
MAX_WAITING = 50_000
"""Ticks that wait for the disk: 13 minutes of 64 sessions. Further ones are dropped and counted."""
PACK_S = 600.0
"""Seconds of ticks, and how many of them, that stay fresh before they are packed into spans."""
PACK_TICKS = 20_000
MAX_PAGE = 1000


class WallClock(Protocol):
    def wall(self) -> float:
        """Unix seconds."""


class SystemWallClock:
    def wall(self) -> float:
        return time.time()


@dataclass(frozen=True, slots=True)
class TickRetention:
    """Beyond `max_bytes` of the file the oldest details go first, then the oldest scores."""

    scores_s: float = 7 * DAY_S
    details_s: float = DAY_S
    max_bytes: int = 2_000_000_000


class Ticks:
    """`db` is the ticks' own database, `main` the one that knows the sessions."""

    def __init__(
        self,
        db: Database,
        main: Database,
        retention: TickRetention | None = None,
        clock: WallClock | None = None,
    ) -> None:
        self.dropped = 0
        """ticks lost since the start"""
        self._db = db
        self._main = main
        self._retention = retention or TickRetention()
        self._clock = clock or SystemWallClock()
        self._damage = DamageLog()
        self._lock = threading.Lock()
        self._waiting: deque[TickRecord] = deque()
        self._taken = 0
        self._posted = False
        self._full = False
        self._fresh = 0
        self._fresh_since = 0  # an id; 0: what an earlier run left is packed with the first commit

    def post(self, tick: TickRecord) -> None:
        """Write it together with others, a little later; nobody waits. The same id twice is one tick."""
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self.dropped += 1
                first, self._full = not self._full, True
                if first:
                    log.error("ticks are dropped", reason="the disk does not take them", waiting=MAX_WAITING)
                return
            self._waiting.append(tick)
            if self._posted:
                return
            self._posted = True
        self._post()

    def tidy(self) -> None:
        """Delete what is older than the settings say; also done with every commit."""
        self._db.post(lambda connection: self._trim(connection), hurry=False)

    async def list(
        self,
        session_id: str,
        *,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> builtins.list[TickRecord]:
        """Those of one session, newest first, at most `limit` (1 to 1000), ended sessions included.

        `since` (included) and `until` (left out) are Unix seconds of the decision. `before`: the id of the last one of
        the page before. Raises `NotFound` for a session the store does not know, `StoreError`. Cancelling it changes
        nothing.
        """
        lowest = 0 if since is None else round(since * 1e6)
        bounds = [b for b in (before, None if until is None else round(until * 1e6)) if b is not None]
        beyond = min(bounds, default=ALL)
        wanted = min(max(limit, 1), MAX_PAGE)
        found = await self._db.read(lambda c: newest_ticks(c, session_id, lowest, beyond, wanted, self._damage))
        if not found and not await self._known(session_id):
            raise NotFound(f"There is no session {session_id}.")
        return found

    async def newest(self, session_id: str) -> TickRecord | None:
        """The newest tick that is kept of a session. Raises `StoreError`. Cancelling it changes nothing."""
        found = await self._db.read(lambda c: newest_ticks(c, session_id, 0, ALL, 1, self._damage))
        return found[0] if found else None

    async def _known(self, session_id: str) -> bool:
        query, values = "SELECT 1 FROM sessions WHERE id = ?", (session_id,)
        if await self._main.read(lambda c: c.execute(query, values).fetchone()):
            return True
        query = "SELECT 1 FROM tick_sessions WHERE session_id = ?"
        return await self._db.read(lambda c: c.execute(query, values).fetchone()) is not None

    # ------------------------------------------------------------------------------------------- the writer's thread

    def _post(self) -> None:
        if not self._db.post(self._write, hurry=False, listener=self):
            self.settled(kept=False)

    def _write(self, connection: sqlite3.Connection) -> None:
        """Write all that waits. Where the commit fails it runs once more, with what has come since."""
        with self._lock:
            ticks = list(self._waiting)
        self._taken = len(ticks)
        insert_fresh(connection, ticks)
        self._fresh += len(ticks)
        newest = max((tick.id for tick in ticks), default=0)
        if self._fresh >= PACK_TICKS or newest - self._fresh_since >= PACK_S * 1e6:
            pack_fresh(connection, self._damage)
            self._fresh, self._fresh_since = 0, newest
        self._trim(connection)

    def settled(self, *, kept: bool) -> None:
        """The writer's answer to what `_write` took. Called in the writer's thread."""
        with self._lock:
            for _ in range(self._taken):
                self._waiting.popleft()
            lost = 0 if kept else self._taken
            if not kept and not lost:  # refused before it ran: the store is closed
                lost = len(self._waiting)
                self._waiting.clear()
            self.dropped += lost
            self._taken = 0
            recovered = self._full and len(self._waiting) < MAX_WAITING // 2
            self._full = self._full and not recovered
            self._posted = more = bool(self._waiting)
        if recovered:
            log.info("ticks are kept again", dropped=self.dropped)
        if more:
            self._post()

    def _trim(self, connection: sqlite3.Connection) -> None:
        now, kept = self._clock.wall(), self._retention
        drop_details(connection, before=round((now - kept.details_s) * 1e6))
        drop_spans(connection, before=round((now - kept.scores_s) * 1e6))
        if used_bytes(connection) > kept.max_bytes and not drop_details(connection):
            drop_spans(connection)
