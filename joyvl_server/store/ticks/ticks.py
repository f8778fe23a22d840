"""Every tick with its score: written without haste, packed every some minutes, thinned out with age."""

from __future__ import annotations

import builtins
import sqlite3
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import structlog

from joyvl_server.core.errors import NotFound
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.ticks.records import TickRecord, pack, unpack

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
MOST_WAITING = 50_000
"""Ticks that wait for the disk: 13 minutes of 64 sessions. Further ones are dropped and counted."""
PACK_S = 600.0
"""Seconds of ticks, and how many of them, that lie as they came before they are packed into spans."""
PACK_TICKS = 20_000
SPAN_TICKS = 600
TRIM_BATCH = 200
"""Spans deleted with one commit."""
MAX_PAGE = 1000
ALL = 1 << 62
"""Greater than any id."""
SPANS = (
    "SELECT s.last, s.scores, d.data FROM spans s LEFT JOIN details d ON d.seq = s.seq "
    "WHERE s.session = ? AND s.last >= ? AND s.first < ? ORDER BY s.last DESC"
)
Tell = Callable[[ValueError], None]


@dataclass(frozen=True, slots=True)
class TickRetention:
    """Beyond `max_bytes` of the file the oldest details go first, then the oldest scores."""

    scores_s: float = 7 * DAY_S
    details_s: float = DAY_S
    max_bytes: int = 2_000_000_000


class Ticks:
    """`db` is the ticks' own database, `main` the one that knows the sessions. `wall` gives Unix seconds."""

    def __init__(
        self,
        db: Database,
        main: Database,
        retention: TickRetention | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.dropped = 0
        """ticks lost since the start"""
        self._db = db
        self._main = main
        self._retention = retention or TickRetention()
        self._wall = wall
        self._lock = threading.Lock()
        self._waiting: deque[TickRecord] = deque()
        self._taken = 0
        self._posted = False
        self._full = False
        self._damage_told = False
        self._fresh = 0
        self._fresh_since = 0  # an id; 0: what an earlier run left is packed with the first commit

    def post(self, tick: TickRecord) -> None:
        """Write it together with others, a little later; nobody waits. The same id twice is one tick."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self.dropped += 1
                first, self._full = not self._full, True
                if first:
                    log.error("ticks are dropped", reason="the disk does not take them", waiting=MOST_WAITING)
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
        the page before. Raises `NotFound` for a session the store does not know, `StoreError`.
        """
        lowest = 0 if since is None else round(since * 1e6)
        bounds = [b for b in (before, None if until is None else round(until * 1e6)) if b is not None]
        beyond = min(bounds, default=ALL)
        wanted = min(max(limit, 1), MAX_PAGE)
        found = await self._db.read(lambda c: _newest(c, session_id, lowest, beyond, wanted, self._tell_damage))
        if not found and not await self._known(session_id):
            raise NotFound(f"There is no session {session_id}.")
        return found

    async def newest(self, session_id: str) -> TickRecord | None:
        """The newest tick that is kept of a session."""
        found = await self._db.read(lambda c: _newest(c, session_id, 0, ALL, 1, self._tell_damage))
        return found[0] if found else None

    async def _known(self, session_id: str) -> bool:
        query, values = "SELECT 1 FROM sessions WHERE id = ?", (session_id,)
        if await self._main.read(lambda c: c.execute(query, values).fetchone()):
            return True
        query = "SELECT 1 FROM tick_sessions WHERE session_id = ?"
        return await self._db.read(lambda c: c.execute(query, values).fetchone()) is not None

    def _tell_damage(self, error: ValueError) -> None:
        if not self._damage_told:
            self._damage_told = True
            log.error("some ticks cannot be read", error=str(error))

    # ------------------------------------------------------------------------------------------- the writer's thread

    def _post(self) -> None:
        if not self._db.post(self._write, hurry=False, settled=self._written):
            self._written(False)

    def _write(self, connection: sqlite3.Connection) -> None:
        """All that waits. Run again, with what has come since, where the commit failed."""
        with self._lock:
            ticks = list(self._waiting)
        self._taken = len(ticks)
        insert_fresh(connection, ticks)
        self._fresh += len(ticks)
        newest = max((tick.id for tick in ticks), default=0)
        if self._fresh >= PACK_TICKS or newest - self._fresh_since >= PACK_S * 1e6:
            pack_fresh(connection, self._tell_damage)
            self._fresh, self._fresh_since = 0, newest
        self._trim(connection)

    def _written(self, kept: bool) -> None:
        with self._lock:
            for _ in range(self._taken):
                self._waiting.popleft()
            lost = 0 if kept else self._taken
            if not kept and not lost:  # refused before it ran: the store is closed
                lost = len(self._waiting)
                self._waiting.clear()
            self.dropped += lost
            self._taken = 0
            recovered = self._full and len(self._waiting) < MOST_WAITING // 2
            self._full = self._full and not recovered
            self._posted = again = bool(self._waiting)
        if recovered:
            log.info("ticks are kept again", dropped=self.dropped)
        if again:
            self._post()

    def _trim(self, connection: sqlite3.Connection) -> None:
        now, kept = self._wall(), self._retention
        drop_details(connection, before=round((now - kept.details_s) * 1e6))
        drop_spans(connection, before=round((now - kept.scores_s) * 1e6))
        if _used_bytes(connection) > kept.max_bytes and not drop_details(connection):
            drop_spans(connection)


def insert_fresh(connection: sqlite3.Connection, ticks: Iterable[TickRecord]) -> None:
    of: dict[str, list[TickRecord]] = defaultdict(list)
    for tick in ticks:
        of[tick.session_id].append(tick)
    for session_id, some in of.items():
        some.sort(key=lambda tick: tick.id)
        connection.execute(
            "INSERT INTO fresh (session, first, last, scores, details) VALUES (?,?,?,?,?)",
            (session_number(connection, session_id), some[0].id, some[-1].id, *pack(some)),
        )


def session_number(connection: sqlite3.Connection, session_id: str) -> int:
    found = connection.execute("SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)).fetchone()
    if found is not None:
        return int(found[0])
    made = connection.execute("INSERT INTO tick_sessions (session_id) VALUES (?)", (session_id,)).lastrowid
    assert made is not None
    return made


def pack_fresh(connection: sqlite3.Connection, tell: Tell) -> None:
    """Pack all that lies as it came into long spans, in the same transaction."""
    rows = connection.execute("SELECT session, scores, details FROM fresh ORDER BY session").fetchall()
    for session, some in groupby(rows, key=lambda row: int(row["session"])):
        insert_spans(connection, session, _unpacked("", ((row["scores"], row["details"]) for row in some), tell))
    connection.execute("DELETE FROM fresh")


def insert_spans(connection: sqlite3.Connection, session: int, ticks: Iterable[TickRecord]) -> None:
    one_of_each = {tick.id: tick for tick in ticks}
    ordered = [one_of_each[id] for id in sorted(one_of_each)]
    for start in range(0, len(ordered), SPAN_TICKS):
        span = ordered[start : start + SPAN_TICKS]
        scores, details = pack(span)
        last = span[-1].id
        seq = connection.execute(
            "INSERT INTO spans (session, first, last, scores) VALUES (?,?,?,?)", (session, span[0].id, last, scores)
        ).lastrowid
        connection.execute("INSERT INTO details VALUES (?,?,?)", (seq, last, details))


def drop_details(connection: sqlite3.Connection, before: int = ALL) -> bool:
    """Delete a batch of the oldest details, of ticks whose ids are below `before`. False where there is none."""
    upto = _oldest(connection, "details", before)
    if upto is not None:
        connection.execute("DELETE FROM details WHERE seq <= ?", (upto,))
    return upto is not None


def drop_spans(connection: sqlite3.Connection, before: int = ALL) -> None:
    """Delete a batch of the oldest spans, of ticks whose ids are below `before`, and sessions that have none left."""
    upto = _oldest(connection, "spans", before)
    if upto is None:
        return
    connection.execute("DELETE FROM details WHERE seq <= ?", (upto,))
    touched = connection.execute("SELECT DISTINCT session FROM spans WHERE seq <= ?", (upto,)).fetchall()
    connection.execute("DELETE FROM spans WHERE seq <= ?", (upto,))
    connection.executemany(
        "DELETE FROM tick_sessions WHERE number = :n AND NOT EXISTS (SELECT 1 FROM spans WHERE session = :n) "
        "AND NOT EXISTS (SELECT 1 FROM fresh WHERE session = :n)",
        [{"n": row["session"]} for row in touched],
    )


def _oldest(connection: sqlite3.Connection, table: str, before: int) -> int | None:
    """The last of a batch of the oldest rows, as far as they are old enough. Rows lie in the order of time."""
    upto = None
    # Mostly the first row says that there is nothing to do. The table's name is ours.
    for seq, last in connection.execute(f"SELECT seq, last FROM {table} ORDER BY seq LIMIT {TRIM_BATCH}"):
        if last >= before:
            break
        upto = int(seq)
    return upto


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _newest(
    connection: sqlite3.Connection, session_id: str, lowest: int, beyond: int, wanted: int, tell: Tell
) -> builtins.list[TickRecord]:
    """Of one session, with `lowest` <= id < `beyond`, newest first."""
    row = connection.execute("SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)).fetchone()
    if row is None:
        return []
    values = (row["number"], lowest, beyond)
    found: dict[int, TickRecord] = {}

    def add(blobs: Iterable[tuple[bytes, bytes | None]]) -> None:
        found.update((t.id, t) for t in _unpacked(session_id, blobs, tell) if lowest <= t.id < beyond)

    fresh = "SELECT scores, details FROM fresh WHERE session = ? AND last >= ? AND first < ?"
    add((scores, details) for scores, details in connection.execute(fresh, values))
    for last, scores, details in connection.execute(SPANS, values):
        if len(found) >= wanted and sorted(found, reverse=True)[wanted - 1] > last:
            break
        add([(scores, details)])
    return [found[id] for id in sorted(found, reverse=True)[:wanted]]


def _unpacked(session_id: str, blobs: Iterable[tuple[bytes, bytes | None]], tell: Tell) -> Iterator[TickRecord]:
    """The ticks of many spans; what is damaged is left out, and told."""
    for scores, details in blobs:
        try:
            yield from unpack(session_id, scores, details)
        except ValueError as error:
            tell(error)
