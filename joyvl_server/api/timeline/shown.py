"""Events as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from joyvl_server.sessions import payloads
from joyvl_server.store.events import REMARKS, EventRecord
from joyvl_server.timeline.timeline import Timeline


async def shown(timeline: Timeline, events: Sequence[EventRecord]) -> list[dict[str, Any]]:
    """With what was said around the remarks. Raises `StoreError`. Cancelling it changes nothing."""
    said = await timeline.said_around([event for event in events if event.type in REMARKS])
    names = await timeline.events.session_names(events)
    return [event_json(event, said.get(event.id, []), names.get(event.session_id)) for event in events]


def event_json(event: EventRecord, transcript: Sequence[str] = (), camera: str | None = None) -> dict[str, Any]:
    """The shape of `EventOut`."""
    names = event.data.get("watch_names")
    named = dict(zip(event.watches, names, strict=False)) if isinstance(names, list) else {}
    path = f"/v1/events/{event.id}"
    return {
        "id": event.id,
        "session_id": event.session_id,
        "camera_id": event.camera_id,
        "camera": camera,
        "type": event.type,
        "t": event.t,
        "at": payloads.rfc3339(event.wall),
        "wall": event.wall,
        "text": event.text,
        "data": event.data,
        "kept": event.kept,
        "score": event.data.get("score"),
        "threshold": event.data.get("threshold"),
        "kind": event.data.get("kind"),
        "watches": [{"id": id, "name": named.get(id) or ""} for id in event.watches],
        "transcript": list(transcript),
        "picture_url": f"{path}/thumbnail.jpg" if event.picture else None,
        "clip": {
            "state": event.clip,
            "reason": event.clip_reason,
            "url": f"{path}/clip.mp4" if event.clip == "ready" else None,
            "seconds_before": event.clip_before_s if event.clip == "ready" else None,
        },
    }
