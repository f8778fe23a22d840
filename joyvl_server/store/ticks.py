"""Every tick with its score: a row a second and session, written without haste; beyond a number the oldest go."""

from __future__ import annotations

import builtins
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from joyvl_server.core.errors import NotFound
from joyvl_server.store.database import Database

KEPT = 2_000_000
"""Ticks that are kept (`store.max_ticks`)."""
TRIM_EVERY = 256
TRIM_BATCH = 2000
MAX_PAGE = 1000
# What most ticks do not have stands in one column of JSON.
MORE = ("zone", "box", "text", "question", "detail")
COLUMNS = (
    "id, t, wall, decision, look, score, change, skipped, suppressed, kind, query, epoch, watches, frame_age_ms, "
    "request_ms, score_ms, total_ms, more"
)


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One second of one session.

    `id`: microseconds since 1970 when it was decided, unique and growing in its session. `t` is stream seconds, `wall`
    the same moment in Unix seconds, times are milliseconds. `box` is (x0, y0, x1, y1), parts of the picture.
    """

    id: int
    session_id: str
    t: float
    wall: float
    decision: str
    look: str
    score: float | None = None
    change: float | None = None
    skipped: str | None = None
    suppressed: str | None = None
    kind: str | None = None
    query: str | None = None
    epoch: int | None = None
    watches: tuple[str, ...] = ()
    frame_age_ms: float | None = None
    request_ms: float | None = None
    score_ms: float | None = None
    total_ms: float | None = None
    zone: str | None = None
    box: tuple[float, ...] | None = None
    text: str = ""
    question: str = ""
    detail: str = ""


class Ticks:
    """`kept`: ticks beyond this many, of all sessions together, are deleted by the writer, a batch at a time."""

    def __init__(self, db: Database, *, kept: int = KEPT) -> None:
        self._db = db
        self._kept = kept

    def post(self, tick: TickRecord) -> None:
        """Write it together with others, a little later; nobody waits. The same id twice is one tick."""
        values = _values(tick)
        self._db.post(lambda connection: self._insert(connection, tick.session_id, values), hurry=False)

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
        the page before. Raises `NotFound` for a session the store does not know.
        """
        first = None if since is None else round(since * 1e6)
        bounds = [b for b in (before, None if until is None else round(until * 1e6)) if b is not None]

        def work(connection: sqlite3.Connection) -> builtins.list[sqlite3.Row]:
            found = connection.execute(
                "SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)
            ).fetchone()
            if found is None:
                if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone():
                    raise NotFound(f"There is no session {session_id}.")
                return []
            where, values = "session = ?", [found["number"]]
            if first is not None:
                where, values = f"{where} AND id >= ?", [*values, first]
            if bounds:
                where, values = f"{where} AND id < ?", [*values, min(bounds)]
            values.append(min(max(limit, 1), MAX_PAGE))
            # The clauses are ours; values are bound.
            return connection.execute(
                f"SELECT {COLUMNS} FROM ticks WHERE {where} ORDER BY id DESC LIMIT ?", values
            ).fetchall()

        return [_record(session_id, row) for row in await self._db.read(work)]

    def _insert(self, connection: sqlite3.Connection, session_id: str, values: tuple[object, ...]) -> None:
        number = connection.execute("SELECT number FROM tick_sessions WHERE session_id = ?", (session_id,)).fetchone()
        if number is None:
            number = (connection.execute("INSERT INTO tick_sessions (session_id) VALUES (?)", (session_id,)).lastrowid,)
        marks = ",".join("?" * (len(values) + 1))
        cursor = connection.execute(
            f"INSERT INTO ticks (session, {COLUMNS}) VALUES ({marks}) ON CONFLICT (session, id) DO NOTHING",
            (number[0], *values),
        )
        if cursor.rowcount and cursor.lastrowid is not None and cursor.lastrowid % TRIM_EVERY == 0:
            self._trim(connection)

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Delete a batch of the oldest, and come back for the next where more are too many."""
        oldest, newest = connection.execute(
            "SELECT (SELECT min(seq) FROM ticks), (SELECT max(seq) FROM ticks)"
        ).fetchone()
        if oldest is None or oldest > (beyond := newest - self._kept):
            return
        last = min(beyond, oldest + TRIM_BATCH - 1)
        touched = connection.execute("SELECT DISTINCT session FROM ticks WHERE seq <= ?", (last,)).fetchall()
        connection.execute("DELETE FROM ticks WHERE seq <= ?", (last,))
        connection.executemany(
            "DELETE FROM tick_sessions WHERE number = :n AND NOT EXISTS (SELECT 1 FROM ticks WHERE session = :n)",
            [{"n": row["session"]} for row in touched],
        )
        if last < beyond:
            self._db.post(self._trim, hurry=False)


def _values(tick: TickRecord) -> tuple[object, ...]:
    """In the order of `COLUMNS`."""
    more = {name: value for name in MORE if (value := getattr(tick, name))}
    return (
        tick.id,
        tick.t,
        tick.wall,
        tick.decision,
        tick.look,
        tick.score,
        tick.change,
        tick.skipped,
        tick.suppressed,
        tick.kind,
        tick.query,
        tick.epoch,
        json.dumps(tick.watches) if tick.watches else None,
        tick.frame_age_ms,
        tick.request_ms,
        tick.score_ms,
        tick.total_ms,
        json.dumps(more, ensure_ascii=False, separators=(",", ":")) if more else None,
    )


def _record(session_id: str, row: sqlite3.Row) -> TickRecord:
    values: dict[str, Any] = dict(row)
    more: dict[str, Any] = json.loads(values.pop("more") or "{}")
    if "box" in more:
        more["box"] = tuple(more["box"])
    watches = tuple(json.loads(values.pop("watches") or "[]"))
    return TickRecord(session_id=session_id, watches=watches, **values, **more)
