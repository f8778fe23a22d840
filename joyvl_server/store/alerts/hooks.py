"""Hooks: where alerts go. Their options may hold secrets; nobody sees them as they are stored."""

from __future__ import annotations

import builtins
import json
import sqlite3

from joyvl_server.core.errors import Conflict, NotAllowed, NotFound
from joyvl_server.store.alerts.records import HookRecord, QuietHours
from joyvl_server.store.sqlite.database import Database

MOST = 100
_COLUMNS = (
    "id", "name", "kind", "options", "enabled", "events", "cameras", "watches", "quiet_hours", "hold", "cooldown_s",
    "group_s", "escalate_after_s", "escalates", "created_wall", "updated_wall",
)  # fmt: skip


class Hooks:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, hook: HookRecord) -> None:
        """Raises `Conflict` for a name in use, `NotAllowed` (too_many) for the 101st.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, hook)
            if connection.execute("SELECT count(*) FROM hooks").fetchone()[0] >= MOST:
                raise NotAllowed(f"There are {MOST} hooks already. Delete one first.", code="too_many")
            connection.execute(f"INSERT INTO hooks VALUES ({','.join('?' * len(_COLUMNS))})", _values(hook))

        await self._db.write(work)

    async def get(self, hook_id: str) -> HookRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        row = await self._db.read(lambda c: c.execute("SELECT * FROM hooks WHERE id = ?", (hook_id,)).fetchone())
        if row is None:
            raise _missing(hook_id)
        return _record(row)

    async def list(self) -> builtins.list[HookRecord]:
        """All, oldest first. Cancelling it changes nothing."""
        return await self._db.read(all_hooks)

    async def update(self, hook: HookRecord) -> None:
        """Replace the stored hook of that id. Raises `Conflict` for a name in use, `NotFound`.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, hook)
            columns = ", ".join(f"{name} = ?" for name in _COLUMNS[1:])
            cursor = connection.execute(f"UPDATE hooks SET {columns} WHERE id = ?", (*_values(hook)[1:], hook.id))
            if not cursor.rowcount:
                raise _missing(hook.id)

        await self._db.write(work)

    async def delete(self, hook_id: str) -> None:
        """Delete it with all that waits for it. Raises `NotFound`. Cancelled, it may be deleted all the same."""

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM hooks WHERE id = ?", (hook_id,)).rowcount:
                raise _missing(hook_id)

        await self._db.write(work)


def all_hooks(connection: sqlite3.Connection) -> list[HookRecord]:
    """Every hook, oldest first."""
    return [_record(row) for row in connection.execute("SELECT * FROM hooks ORDER BY id")]


def _check_name(connection: sqlite3.Connection, hook: HookRecord) -> None:
    if connection.execute("SELECT 1 FROM hooks WHERE name = ? AND id <> ?", (hook.name, hook.id)).fetchone():
        raise Conflict(f"There is a hook named “{hook.name}” already. Choose another name.", code="name_in_use")


def _missing(hook_id: str) -> NotFound:
    return NotFound(f"There is no hook {hook_id}.")


def _values(hook: HookRecord) -> tuple[object, ...]:
    given = {
        "options": json.dumps(dict(hook.options)),
        "events": json.dumps(hook.events),
        "cameras": json.dumps(hook.cameras),
        "watches": json.dumps(hook.watches),
        "quiet_hours": json.dumps([[hours.start, hours.end, hours.days] for hours in hook.quiet_hours]),
    }
    return tuple(given.get(name, getattr(hook, name)) for name in _COLUMNS)


def _record(row: sqlite3.Row) -> HookRecord:
    values = dict(row)
    for name in ("events", "cameras", "watches"):
        values[name] = tuple(json.loads(values[name]))
    hours = (QuietHours(start, end, tuple(days)) for start, end, days in json.loads(values["quiet_hours"]))
    values |= {"options": json.loads(values["options"]), "quiet_hours": tuple(hours)}
    return HookRecord(**{**values, "enabled": bool(values["enabled"]), "hold": bool(values["hold"])})
