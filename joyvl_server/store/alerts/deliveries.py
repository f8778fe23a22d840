"""The outbox: one row for each message to one hook. What waits is sent in the order of its numbers."""

from __future__ import annotations

import builtins
import sqlite3
from dataclasses import dataclass

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, DeliveryState
from joyvl_server.store.sqlite.database import Database

MAX_PAGE = 1000
_COLUMNS = (
    "id", "hook_id", "alert_id", "reason", "state", "created_wall", "due_wall", "wait_s", "attempts", "last_wall",
    "status", "error", "took_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one try: `wall` Unix seconds, `took_s` seconds."""

    wall: float
    took_s: float
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HookActivity:
    """How a hook is doing: messages that wait, and the newest try, if there was one."""

    waiting: int
    newest: DeliveryRecord | None


class Deliveries:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def waiting(self, hook_id: str, limit: int) -> builtins.list[DeliveryRecord]:
        """What is to be sent to it next, in order. Cancelling it changes nothing."""
        query = "SELECT * FROM deliveries WHERE hook_id = ? AND state = 'waiting' ORDER BY seq LIMIT ?"
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query, (hook_id, limit)).fetchall())]

    async def later(self, limit: int) -> builtins.list[DeliveryRecord]:
        """What waits for its time, soonest first. Cancelling it changes nothing."""
        query = "SELECT * FROM deliveries WHERE state = 'later' ORDER BY due_wall, seq LIMIT ?"
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query, (limit,)).fetchall())]

    async def list(self, hook_id: str, *, limit: int = 100, before: str | None = None) -> builtins.list[DeliveryRecord]:
        """Of one hook, newest first, at most `limit` (1 to 1000); `before`: the last id of the page before.

        Cancelling it changes nothing.
        """
        earlier = "AND seq < (SELECT seq FROM deliveries WHERE id = ?)" if before is not None else ""
        query = f"SELECT * FROM deliveries WHERE hook_id = ? {earlier} ORDER BY seq DESC LIMIT ?"
        values = (hook_id, *((before,) if before is not None else ()), min(max(limit, 1), MAX_PAGE))
        return [_record(row) for row in await self._db.read(lambda c: c.execute(query, values).fetchall())]

    async def activity(self, hook_id: str) -> HookActivity:
        """Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> HookActivity:
            query = "SELECT count(*) FROM deliveries WHERE hook_id = ? AND state IN ('waiting', 'later')"
            waiting = connection.execute(
                f"{query} AND reason <> 'escalation' OR hook_id = ? AND state = 'waiting' AND reason = 'escalation'",
                (hook_id, hook_id),
            ).fetchone()[0]
            row = connection.execute(
                "SELECT * FROM deliveries WHERE hook_id = ? AND last_wall IS NOT NULL ORDER BY last_wall DESC LIMIT 1",
                (hook_id,),
            ).fetchone()
            return HookActivity(waiting, None if row is None else _record(row))

        return await self._db.read(work)

    async def add(self, delivery: DeliveryRecord, kept: int) -> None:
        """Of what is settled for its hook the newest `kept` stay. Raises `StoreError`. Cancelled, it may be written all
        the same."""

        def work(connection: sqlite3.Connection) -> None:
            insert_delivery(connection, delivery)
            trim_deliveries(connection, delivery.hook_id, kept)

        await self._db.write(work)

    async def again(self, hook_id: str, delivery_id: str) -> DeliveryRecord:
        """One that was given up or refused waits again, in its place in the order, with the same id. Raises `NotFound`,
        `Conflict` for any other, `StoreError`. Cancelled, it may be done all the same."""

        def work(connection: sqlite3.Connection) -> DeliveryRecord:
            found = read_delivery(connection, delivery_id)
            if found is None or found.hook_id != hook_id:
                raise NotFound(f"There is no message {delivery_id} to this hook.")
            if found.alert_id is None:
                raise Conflict("This was a test. Test the hook again.")
            if found.state not in ("dead", "refused"):
                raise Conflict("Only a message that was given up or refused can be sent again.")
            changes = "state = 'waiting', attempts = 0, due_wall = NULL, created_wall = max(created_wall, last_wall)"
            connection.execute(f"UPDATE deliveries SET {changes} WHERE id = ?", (delivery_id,))
            return read_delivery(connection, delivery_id) or found

        return await self._db.write(work)

    async def tried(self, delivery_id: str, state: DeliveryState, attempt: Attempt) -> None:
        """What came of a try: its state is this now. Nothing where it is gone, or settled already.

        Raises `StoreError`. Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, last_wall = ?, status = ?, error = ?, "
                "took_s = ? WHERE id = ? AND state = 'waiting'",
                (state, attempt.wall, attempt.status, attempt.error, attempt.took_s, delivery_id),
            )

        await self._db.write(work)

    async def settle(self, delivery_id: str, state: DeliveryState, error: str) -> None:
        """It is not sent, for this reason. Raises `StoreError`. Cancelled, it may be written all the same."""
        query = "UPDATE deliveries SET state = ?, error = ? WHERE id = ? AND state IN ('waiting', 'later')"
        await self._db.write(lambda connection: connection.execute(query, (state, error, delivery_id)))

    async def give_up(self, hook_id: str, older_than: float, error: str) -> int:
        """All that waits for this hook and was written before `older_than` (Unix seconds) is dead; how many.

        Raises `StoreError`. Cancelled, it may be written all the same.
        """
        query = (
            "UPDATE deliveries SET state = 'dead', error = ? WHERE hook_id = ? AND state = 'waiting' "
            "AND created_wall < ?"
        )
        return await self._db.write(lambda c: c.execute(query, (error, hook_id, older_than)).rowcount)


# ------------------------------------------------------------------------------------------------- in a transaction


def insert_delivery(connection: sqlite3.Connection, delivery: DeliveryRecord) -> None:
    """Nothing where its hook is gone."""
    values = tuple(getattr(delivery, name) for name in _COLUMNS)
    connection.execute(
        f"INSERT INTO deliveries ({', '.join(_COLUMNS)}) SELECT {','.join('?' * len(_COLUMNS))} "
        "WHERE EXISTS (SELECT 1 FROM hooks WHERE id = ?)",
        (*values, delivery.hook_id),
    )


def read_delivery(connection: sqlite3.Connection, delivery_id: str) -> DeliveryRecord | None:
    row = connection.execute("SELECT * FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return None if row is None else _record(row)


def last_told(connection: sqlite3.Connection, hook_id: str, alert: AlertRecord) -> float | None:
    """When a message about the same was last written for this hook that no rule kept back; Unix seconds."""
    row = connection.execute(
        "SELECT deliveries.created_wall AS wall FROM alerts JOIN deliveries ON deliveries.alert_id = alerts.id "
        "WHERE alerts.subject = ? AND alerts.kind = ? AND deliveries.hook_id = ? AND deliveries.reason = 'new' "
        "AND deliveries.state IN ('waiting', 'later', 'sent') ORDER BY alerts.id DESC LIMIT 1",
        (alert.subject, alert.kind, hook_id),
    ).fetchone()
    return None if row is None else float(row["wall"])


def cancel_repeat(connection: sqlite3.Connection, hook_id: str, alert: AlertRecord) -> None:
    """What a hook was to be told of repeats of the same: a message about this alert takes its place."""
    connection.execute(
        "UPDATE deliveries SET state = 'cancelled', error = 'A later alert takes its place.' WHERE hook_id = ? "
        "AND reason = 'repeat' AND state = 'later' "
        "AND alert_id IN (SELECT id FROM alerts WHERE subject = ? AND kind = ?)",
        (hook_id, alert.subject, alert.kind),
    )


def awaits_repeat(connection: sqlite3.Connection, hook_id: str, alert_id: str) -> bool:
    """Will this hook be told of further events in this alert?"""
    query = "SELECT 1 FROM deliveries WHERE alert_id = ? AND hook_id = ? AND reason = 'repeat' AND state = 'later'"
    return connection.execute(query, (alert_id, hook_id)).fetchone() is not None


def cancel_later(connection: sqlite3.Connection, alert_id: str, why: str) -> None:
    """Of this alert nobody is told any more who waits for his time: next contacts, of repeats, at the end of a snooze.

    A message about the alert itself that quiet hours hold back stays.
    """
    connection.execute(
        "UPDATE deliveries SET state = 'cancelled', error = ? WHERE alert_id = ? AND reason <> 'new' "
        "AND (state = 'later' OR (state = 'waiting' AND reason = 'escalation'))",
        (why, alert_id),
    )


def postpone(connection: sqlite3.Connection, delivery: DeliveryRecord, due_wall: float, wait_s: float) -> None:
    """Its time comes later than was thought."""
    connection.execute(
        "UPDATE deliveries SET due_wall = ?, wait_s = ? WHERE id = ? AND state = 'later'",
        (due_wall, wait_s, delivery.id),
    )


def set_state(connection: sqlite3.Connection, delivery_id: str, state: DeliveryState, error: str | None = None) -> bool:
    """Of one whose time has come; False where it was settled meanwhile."""
    query = "UPDATE deliveries SET state = ?, error = ? WHERE id = ? AND state = 'later'"
    return bool(connection.execute(query, (state, error, delivery_id)).rowcount)


def drop_beyond(connection: sqlite3.Connection, hook_id: str, most: int) -> int:
    """More messages than this may not wait for one hook: the oldest of them are dead. Returns how many."""
    return connection.execute(
        "UPDATE deliveries SET state = 'dead', error = 'Too many messages waited for this hook.' WHERE seq IN "
        "(SELECT seq FROM deliveries WHERE hook_id = ? AND state = 'waiting' ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        (hook_id, most),
    ).rowcount


def trim_deliveries(connection: sqlite3.Connection, hook_id: str, kept: int) -> None:
    """Of what is settled only the newest stay; tests have no alert with which they could go."""
    connection.execute(
        "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE hook_id = ? "
        "AND state NOT IN ('waiting', 'later') ORDER BY seq DESC LIMIT 500 OFFSET ?)",
        (hook_id, kept),
    )


def _record(row: sqlite3.Row) -> DeliveryRecord:
    return DeliveryRecord(**dict(row))
