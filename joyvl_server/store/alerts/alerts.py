"""Alerts. What is written in a transaction with something else takes the connection; the rest is for the loop."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from joyvl_server.core.errors import NotFound
from joyvl_server.store.alerts.records import AlertRecord, AlertState
from joyvl_server.store.sqlite.database import Database

MAX_PAGE = 1000
DAY_S = 86_400.0
TRIM_BATCH = 500
BATCH = 200
_COLUMNS = (
    "id", "revision", "kind", "created_wall", "wall", "title", "text", "session_id", "camera_id", "camera", "event_id",
    "watches", "subject", "count", "last_wall", "state", "acknowledged_wall", "acknowledged_by", "snoozed_until",
    "told", "first_revision",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM alerts"


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """All that is given must match. `since` (included) and `until` (left out): Unix seconds of `wall`."""

    state: str | None = None
    camera_id: str | None = None
    kind: str | None = None
    since: float | None = None
    until: float | None = None
    cameras: tuple[str, ...] = ()
    """of one of these; none given: any"""


@dataclass(frozen=True, slots=True)
class EventMedia:
    """`clip`: there is one, or will be in a few seconds."""

    picture: bool
    clip: bool


@dataclass(frozen=True, slots=True)
class Snooze:
    """A camera or a watch of which nobody is told for a while. `since_wall`, `until_wall`: Unix seconds. `name`: what
    people call it; empty for one that is gone."""

    scope: str
    subject_id: str
    since_wall: float
    until_wall: float
    name: str


@dataclass(frozen=True, slots=True)
class SnoozedAlert:
    """`until`: Unix seconds; `snooze_s`: how long the snooze was when it began."""

    id: str
    until: float
    snooze_s: float


class Alerts:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, alert_id: str) -> AlertRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        found = await self._db.read(lambda connection: read_alert(connection, alert_id))
        if found is None:
            raise missing(alert_id)
        return found

    async def list(
        self, wanted: AlertFilter, *, limit: int = 100, before: str | None = None
    ) -> builtins.list[AlertRecord]:
        """Newest first, at most `limit` (1 to 1000); `before`: the last id of the page before.

        Cancelling it changes nothing.
        """
        filters = {
            "state = ?": wanted.state, "camera_id = ?": wanted.camera_id, "kind = ?": wanted.kind,
            "wall >= ?": wanted.since, "wall < ?": wanted.until, "id < ?": before,
        }  # fmt: skip
        given = {clause: value for clause, value in filters.items() if value is not None}
        several = wanted.cameras
        clauses = [*given, f"camera_id IN ({', '.join('?' * len(several))})"] if several else [*given]
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"{_SELECT} {where} ORDER BY id DESC LIMIT ?"
        values = (*given.values(), *several, min(max(limit, 1), MAX_PAGE))
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query, values).fetchall())]

    async def changed(self, since: int, limit: int) -> builtins.list[AlertRecord]:
        """Those with a later revision, as they are now, oldest revision first. Cancelling it changes nothing."""
        query = f"{_SELECT} WHERE revision > ? ORDER BY revision LIMIT ?"
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query, (since, limit)).fetchall())]

    async def revision(self) -> int:
        """The newest revision. Cancelling it changes nothing."""
        return int(
            await self._db.read(lambda c: c.execute("SELECT max(number) FROM alert_revision").fetchone()[0]) or 0
        )

    async def snoozes(self) -> builtins.list[SnoozedAlert]:
        """The alerts that are snoozed. Cancelling it changes nothing."""
        query = "SELECT id, snoozed_until, snooze_s FROM alerts WHERE state = 'snoozed'"
        return [SnoozedAlert(*row) for row in await self._db.read(lambda c: c.execute(query).fetchall())]

    async def snoozed(self, now: float) -> builtins.list[Snooze]:
        """Cameras and watches that are snoozed `now` (Unix seconds), those that end first come first. Cancelling it
        changes nothing."""
        query = (
            "SELECT scope, subject_id, since_wall, until_wall, coalesce(cameras.name, nullif(watches.name, ''), "
            "watches.text, '') FROM snoozes LEFT JOIN cameras ON scope = 'camera' AND cameras.id = subject_id "
            "LEFT JOIN watches ON scope = 'watch' AND watches.id = subject_id "
            "WHERE until_wall > ? AND since_wall <= ? ORDER BY until_wall"
        )
        return [Snooze(*row) for row in await self._db.read(lambda c: c.execute(query, (now, now)).fetchall())]

    async def titles(self, alert_ids: Iterable[str]) -> dict[str, str]:
        """By id; those that are gone are left out. Cancelling it changes nothing."""
        wanted = tuple(set(alert_ids))
        query = f"SELECT id, title FROM alerts WHERE id IN ({','.join('?' * len(wanted))})"
        rows = await self._db.read(lambda c: c.execute(query, wanted).fetchall()) if wanted else []
        return {row["id"]: row["title"] for row in rows}

    async def media(self, event_ids: Iterable[str]) -> dict[str, EventMedia]:
        """What there is of these events; those that are gone are left out. Cancelling it changes nothing."""
        wanted = tuple(event_ids)
        query = f"SELECT id, picture, clip FROM events WHERE id IN ({','.join('?' * len(wanted))})"
        rows = await self._db.read(lambda c: c.execute(query, wanted).fetchall()) if wanted else []
        return {row["id"]: EventMedia(bool(row["picture"]), row["clip"] in ("recording", "ready")) for row in rows}

    async def open_subjects(self, kinds: Iterable[str]) -> set[str]:
        """Subjects of these kinds of alerts that are not closed. Cancelling it changes nothing."""
        wanted = tuple(kinds)
        marks = ",".join("?" * len(wanted))
        query = f"SELECT DISTINCT subject FROM alerts WHERE state <> 'closed' AND kind IN ({marks})"
        return {row["subject"] for row in await self._db.read(lambda c: c.execute(query, wanted).fetchall())}


# ------------------------------------------------------------------------------------------------- in a transaction


def read_alert(connection: sqlite3.Connection, alert_id: str) -> AlertRecord | None:
    row = connection.execute(f"{_SELECT} WHERE id = ?", (alert_id,)).fetchone()
    return None if row is None else _record(row)


def insert_alert(connection: sqlite3.Connection, alert: AlertRecord, *, snooze_s: float = 0.0) -> None:
    """`snooze_s`: how long the snooze lasts in which it was written."""
    values = {**{name: getattr(alert, name) for name in _COLUMNS}, "watches": json.dumps(alert.watches)}
    revision = next_revision(connection)
    values |= {"revision": revision, "first_revision": revision, "snooze_s": snooze_s}
    names = ", ".join(values)
    connection.execute(f"INSERT INTO alerts ({names}) VALUES ({','.join('?' * len(values))})", tuple(values.values()))


def update_alert(connection: sqlite3.Connection, alert_id: str, **changes: Any) -> AlertRecord:
    """Raises `NotFound`."""
    given = {**changes, "revision": next_revision(connection)}
    columns = ", ".join(f"{name} = ?" for name in given)
    connection.execute(f"UPDATE alerts SET {columns} WHERE id = ?", (*given.values(), alert_id))
    if (found := read_alert(connection, alert_id)) is None:
        raise missing(alert_id)
    return found


def next_revision(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE alert_revision SET number = number + 1")
    return int(connection.execute("SELECT number FROM alert_revision").fetchone()[0])


def newest_alert(connection: sqlite3.Connection, subject: str, states: tuple[AlertState, ...]) -> AlertRecord | None:
    """The newest alert about that, where it is in one of these states."""
    row = connection.execute(f"{_SELECT} WHERE subject = ? ORDER BY id DESC LIMIT 1", (subject,)).fetchone()
    return _record(row) if row is not None and row["state"] in states else None


def unclosed(connection: sqlite3.Connection, subject: str, kind: str) -> list[AlertRecord]:
    """Alerts about that which are not closed."""
    query = f"{_SELECT} WHERE subject = ? AND kind = ? AND state <> 'closed'"
    return [_record(row) for row in connection.execute(query, (subject, kind))]


def open_ids(connection: sqlite3.Connection, camera_id: str | None, upto: str | None) -> list[str]:
    """A batch of alerts that are open, of this camera and up to this id where they are given."""
    query = (
        "SELECT id FROM alerts WHERE state = 'open' AND camera_id IS coalesce(?1, camera_id) AND id <= coalesce(?2, id)"
    )
    return [row["id"] for row in connection.execute(f"{query} ORDER BY id LIMIT {BATCH}", (camera_id, upto))]


def before(connection: sqlite3.Connection, alert: AlertRecord) -> AlertState | None:
    """The state of the alert before this one about the same; None where there is none."""
    query = "SELECT state FROM alerts WHERE subject = ? AND kind = ? AND id < ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (alert.subject, alert.kind, alert.id)).fetchone()
    return None if row is None else row["state"]


def snoozed_alerts(connection: sqlite3.Connection, until: float) -> list[AlertRecord]:
    """Alerts that are snoozed until then, or because a camera or watch is."""
    query = f"{_SELECT} WHERE state = 'snoozed' AND (remind = 0 OR snoozed_until = ?)"
    return [_record(row) for row in connection.execute(query, (until,))]


def end_snooze(connection: sqlite3.Connection, scope: str, subject_id: str, now: float) -> float | None:
    """Until when that camera or watch was snoozed; None where it was not."""
    query = "DELETE FROM snoozes WHERE scope = ? AND subject_id = ? RETURNING until_wall"
    row = connection.execute(query, (scope, subject_id)).fetchone()
    return None if row is None or row["until_wall"] <= now else float(row["until_wall"])


def snoozed_until(connection: sqlite3.Connection, alert: AlertRecord, now: float) -> float | None:
    """Until when its camera, or each of its watches, is snoozed. A clock that was set back ends a snooze."""
    query = "SELECT until_wall FROM snoozes WHERE scope = ? AND subject_id = ? AND until_wall > ? AND since_wall <= ?"

    def until(scope: str, subject_id: str) -> float | None:
        row = connection.execute(query, (scope, subject_id, now, now)).fetchone()
        return None if row is None else float(row["until_wall"])

    if alert.camera_id is not None and (found := until("camera", alert.camera_id)) is not None:
        return found
    ends = [until("watch", watch_id) for watch_id in alert.watches]
    return min(end for end in ends if end is not None) if ends and all(ends) else None


def set_snooze(connection: sqlite3.Connection, scope: str, subject_id: str, now: float, until: float) -> None:
    """`until` not after `now` ends it."""
    connection.execute("DELETE FROM snoozes WHERE until_wall <= ?", (now,))
    connection.execute("DELETE FROM snoozes WHERE scope = ? AND subject_id = ?", (scope, subject_id))
    if until > now:
        connection.execute("INSERT INTO snoozes VALUES (?,?,?,?)", (scope, subject_id, now, until))


def trim_alerts(connection: sqlite3.Connection, kept: int, days: float, now: float) -> int:
    """Delete a batch of the oldest beyond `kept` or older than `days`; those of which something waits to be sent stay.

    Returns how many are deleted.
    """
    busy = "SELECT alert_id FROM deliveries WHERE state IN ('waiting', 'later') AND alert_id IS NOT NULL"
    old = f"SELECT id FROM alerts WHERE created_wall < ? AND id NOT IN ({busy}) ORDER BY id LIMIT ?"
    beyond = f"SELECT id FROM (SELECT id FROM alerts ORDER BY id DESC LIMIT ? OFFSET ?) WHERE id NOT IN ({busy})"
    deleted = connection.execute(f"DELETE FROM alerts WHERE id IN ({old})", (now - days * DAY_S, TRIM_BATCH)).rowcount
    deleted += connection.execute(f"DELETE FROM alerts WHERE id IN ({beyond})", (TRIM_BATCH, kept)).rowcount
    return deleted


def forget_alerts(connection: sqlite3.Connection, event_ids: Iterable[str]) -> int:
    """Delete the alerts of these events, with what waits to be sent of them. Returns how many."""
    count = 0
    for event_id in event_ids:
        count += connection.execute("DELETE FROM alerts WHERE event_id = ?", (event_id,)).rowcount
    return count


def missing(alert_id: str) -> NotFound:
    return NotFound(f"There is no alert {alert_id}.")


def _record(row: sqlite3.Row) -> AlertRecord:
    values = dict(row)
    return AlertRecord(**{**values, "watches": tuple(json.loads(values["watches"]))})
