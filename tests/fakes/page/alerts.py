"""Alerts and hooks of `page.server`."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fakes.page.shapes import rfc3339

FINE = {"ok": True, "status": 200, "message": "It answered 200.", "took_s": 0.12}


@dataclass
class AlertBook:
    """All alerts and hooks of a world, oldest first."""

    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    deliveries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """by hook, newest first"""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """what tests of hooks come to, by name"""
    snoozes: list[dict[str, Any]] = field(default_factory=list)
    """of cameras and watches"""
    told: list[dict[str, Any]] = field(default_factory=list)
    """what the stream tells"""
    closing: bool = False
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, title: str, kind: str = "watch_fired", *, ago_s: float = 0.0, **more: Any) -> dict[str, Any]:
        """One more that is open unless `more` says otherwise."""
        wall = time.time() - ago_s
        alert = {
            "id": f"alr_{next(self._ids):026d}",
            "kind": kind,
            "at": rfc3339(wall),
            "wall": wall,
            "last_at": rfc3339(wall),
            "title": title,
            "text": "",
            "session_id": "ses_1",
            "camera_id": "cam_1",
            "camera": "Front door",
            "event_id": None,
            "watches": [],
            "count": 1,
            "state": "open",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "snoozed_until": None,
            "escalated": False,
            "picture_url": None,
            "clip_url": None,
            "link": None,
            **more,
        }
        self.alerts[alert["id"]] = alert
        self.told.append({"type": "alert.created", "alert": dict(alert)})
        return alert

    def change(self, alert_id: str, **changes: Any) -> dict[str, Any]:
        self.alerts[alert_id].update(changes)
        self.told.append({"type": "alert.updated", "alert": dict(self.alerts[alert_id])})
        return self.alerts[alert_id]

    def page(self, limit: int, after: str | None, state: str | None) -> dict[str, Any]:
        """Newest first."""
        found = [a for a in reversed(self.alerts.values()) if state is None or a["state"] == state]
        found = [a for a in found if after is None or a["id"] < after]
        return {"data": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}

    async def stream(self) -> AsyncIterator[str]:
        position = len(self.told)
        spoken = 0.0
        while not self.closing:
            if time.monotonic() - spoken > 2:
                spoken = time.monotonic()
                yield 'data: {"type":"heartbeat"}\n\n'
            for update in self.told[position:]:
                position += 1
                yield f"id: {position}\ndata: {json.dumps(update)}\n\n"
            await asyncio.sleep(0.02)

    def add_hook(self, name: str, kind: str = "webhook", **more: Any) -> dict[str, Any]:
        hook = {
            "id": f"hook_{next(self._ids)}",
            "name": name,
            "kind": kind,
            "options": {},
            "enabled": True,
            "events": [],
            "cameras": [],
            "watches": [],
            "quiet_hours": [],
            "hold": False,
            "cooldown_s": 0.0,
            "group_s": 0.0,
            "escalate_after_s": None,
            "escalates": 0,
            "created_at": rfc3339(time.time()),
            "updated_at": rfc3339(time.time()),
            "state": {"ok": None, "last_error": None, "waiting": 0, "retry_in_s": None},
            "notice": None,
            **more,
        }
        self.hooks[hook["id"]] = hook
        return hook

    def deliver(self, hook_id: str, state: str, *, reason: str = "new", **more: Any) -> None:
        delivery = {
            "id": f"dlv_{next(self._ids)}",
            "alert_id": "alr_1",
            "title": "The door",
            "reason": reason,
            "state": state,
            "at": rfc3339(time.time()),
            "due_at": None,
            "attempts": 1,
            "last_at": None,
            "status": None,
            "error": None,
            "took_s": None,
            **more,
        }
        self.deliveries.setdefault(hook_id, []).insert(0, delivery)

    def masked(self, hook: dict[str, Any]) -> dict[str, Any]:
        secret = {name: "***" for name in ("secret", "password") if hook["options"].get(name)}
        return {**hook, "options": {**hook["options"], **secret}}
