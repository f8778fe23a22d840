"""An alert in JSON: what hooks send, and what the API shows."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from joyvl_server.notify.base import Delivery, Links
from joyvl_server.store.alerts.records import AlertRecord

NO_LINKS = Links()
TYPES = {
    "new": "alert.created",
    "repeat": "alert.repeated",
    "reminder": "alert.reminder",
    "escalation": "alert.escalated",
    "test": "alert.test",
}


def alert_json(alert: AlertRecord, links: Links = NO_LINKS) -> dict[str, Any]:
    """An alert as everybody sees it. Times are RFC 3339 in UTC, `wall` is Unix seconds."""
    return {
        "id": alert.id,
        "kind": alert.kind,
        "at": rfc3339(alert.wall),
        "wall": alert.wall,
        "last_at": rfc3339(alert.last_wall or alert.wall),
        "title": alert.title,
        "text": alert.text,
        "session_id": alert.session_id,
        "camera_id": alert.camera_id,
        "camera": alert.camera or None,
        "event_id": alert.event_id,
        "watches": list(alert.watches),
        "count": alert.count,
        "state": alert.state,
        "acknowledged_at": _time(alert.acknowledged_wall),
        "acknowledged_by": alert.acknowledged_by,
        "snoozed_until": _time(alert.snoozed_until),
        "escalated": alert.escalated,
        "picture_url": links.picture,
        "clip_url": links.clip,
        "link": links.page,
    }


def page_link(public_url: str, alert: AlertRecord) -> str | None:
    """Where people see it; None where it is not known under which address they reach the server."""
    page = f"timeline/{alert.event_id}" if alert.event_id is not None else "alerts"
    return f"{public_url.rstrip('/')}/#/{page}" if public_url else None


def message_json(delivery: Delivery, picture: bytes = b"") -> str:
    """The body of a message to a program. The same at each try but for what has changed in the alert."""
    data: dict[str, Any] = {**alert_json(delivery.alert, delivery.links), "attempt": delivery.attempt}
    if picture:
        data["picture"] = {"content_type": "image/jpeg", "base64": base64.b64encode(picture).decode()}
    happened = rfc3339(delivery.alert.wall)
    return json.dumps({"type": TYPES[delivery.reason], "timestamp": happened, "data": data}, ensure_ascii=False)


def rfc3339(wall: float) -> str:
    """Unix seconds as an RFC 3339 time in UTC with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(wall: float | None) -> str | None:
    return None if wall is None else rfc3339(wall)
