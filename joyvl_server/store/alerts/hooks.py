"""Hooks: where alerts go. Their options may hold secrets; nobody sees them as they are stored."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Mapping

from joyvl_server.core.errors import Conflict, NotAllowed, NotFound
from joyvl_server.store.alerts.records import HookRecord, QuietHours
from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable
from joyvl_server.store.secrets.columns import HOOK_OPTIONS
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
            values = _values(hook, self._db.secrets)
            connection.execute(f"INSERT INTO hooks VALUES ({','.join('?' * len(_COLUMNS))})", values)

        await self._db.write(work)

    async def get(self, hook_id: str) -> HookRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> HookRecord | None:
            row = connection.execute("SELECT * FROM hooks WHERE id = ?", (hook_id,)).fetchone()
            return None if row is None else _opened(row, self._db.secrets)

        found = await self._db.read(work)
        if found is None:
            raise _missing(hook_id)
        return found

    async def list(self) -> builtins.list[HookRecord]:
        """All, oldest first. Cancelling it changes nothing."""

        def work(connection: sqlite3.Connection) -> builtins.list[HookRecord]:
            rows = connection.execute("SELECT * FROM hooks ORDER BY id").fetchall()
            return [_opened(row, self._db.secrets) for row in rows]

        return await self._db.read(work)

    async def update(self, hook: HookRecord) -> None:
        """Replace the stored hook of that id. Raises `Conflict` for a name in use, `NotFound`.

        Cancelled, it may be written all the same.
        """

        def work(connection: sqlite3.Connection) -> None:
            _check_name(connection, hook)
            columns = ", ".join(f"{name} = ?" for name in _COLUMNS[1:])
            values = _values(hook, self._db.secrets)
            cursor = connection.execute(f"UPDATE hooks SET {columns} WHERE id = ?", (*values[1:], hook.id))
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
    """Every hook, oldest first, without its options."""
    return [_record(row, {}) for row in connection.execute("SELECT * FROM hooks ORDER BY id")]


def _check_name(connection: sqlite3.Connection, hook: HookRecord) -> None:
    if connection.execute("SELECT 1 FROM hooks WHERE name = ? AND id <> ?", (hook.name, hook.id)).fetchone():
        raise Conflict(f"There is a hook named “{hook.name}” already. Choose another name.", code="name_in_use")


def _missing(hook_id: str) -> NotFound:
    return NotFound(f"There is no hook {hook_id}.")


def _values(hook: HookRecord, secrets: SecretBox) -> tuple[object, ...]:
    """Raises `StoreError` (secrets_locked)."""
    given = {
        "options": hook.sealed or HOOK_OPTIONS.seal(secrets, hook.id, json.dumps(dict(hook.options))),
        "events": json.dumps(hook.events),
        "cameras": json.dumps(hook.cameras),
        "watches": json.dumps(hook.watches),
        "quiet_hours": json.dumps([[hours.start, hours.end, hours.days] for hours in hook.quiet_hours]),
    }
    return tuple(given.get(name, getattr(hook, name)) for name in _COLUMNS)


def _opened(row: sqlite3.Row, secrets: SecretBox) -> HookRecord:
    try:
        return _record(row, json.loads(HOOK_OPTIONS.open(secrets, row["id"], row["options"])))
    except SecretUnreadable:
        return _record(row, {}, sealed=row["options"])


def _record(row: sqlite3.Row, options: Mapping[str, object], sealed: str = "") -> HookRecord:
    values = dict(row)
    for name in ("events", "cameras", "watches"):
        values[name] = tuple(json.loads(values[name]))
    hours = (QuietHours(start, end, tuple(days)) for start, end, days in json.loads(values["quiet_hours"]))
    values |= {"options": options, "quiet_hours": tuple(hours), "sealed": sealed}
    return HookRecord(**{**values, "enabled": bool(values["enabled"]), "hold": bool(values["hold"])})
