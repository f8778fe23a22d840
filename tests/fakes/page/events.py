"""The timeline of `page.server`: events over all sessions, with pictures, clips and what a stream tells."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import simplejpeg

from fakes.page.shapes import rfc3339

NO_CLIP = {"state": "none", "reason": "", "url": None, "seconds_before": None}


@dataclass
class EventBook:
    """All events of a world, oldest first."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    """what the stream tells, in order; an event that changes is told again"""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """how lists were asked for"""
    streams: list[dict[str, Any]] = field(default_factory=list)
    """how streams were asked for"""
    digests: list[dict[str, Any]] = field(default_factory=list)
    """of days"""
    closing: bool = False

    def add(
        self,
        text: str,
        type: str = "spoke",
        *,
        camera_id: str | None = "cam_1",
        ago_s: float = 0.0,
        clip: str | dict[str, Any] = "none",
        picture: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        """One more; it happened `ago_s` seconds ago, and is told to whoever follows the stream."""
        wall = time.time() - ago_s
        number = len(self.told) + 1
        event_id = f"evt_{int(wall * 1000):014d}{number:012d}"
        event = {
            "id": event_id,
            "session_id": (camera_id or "ses_0").replace("cam", "ses"),
            "camera_id": camera_id,
            "camera": "Front door",
            "type": type,
            "t": 1.0,
            "at": rfc3339(wall),
            "wall": wall,
            "text": text,
            "data": {},
            "kept": False,
            "score": None,
            "threshold": None,
            "kind": None,
            "watches": [],
            "transcript": [],
            "picture_url": f"/v1/events/{event_id}/thumbnail.jpg" if picture else None,
            "clip": self.clip(event_id, clip) if isinstance(clip, str) else clip,
            **more,
        }
        self.events[event_id] = event
        self.events = dict(sorted(self.events.items()))
        self.told.append(event)
        return event

    def clip(self, event_id: str, state: str, reason: str = "") -> dict[str, Any]:
        ready = state == "ready"
        url = f"/v1/events/{event_id}/clip.mp4" if ready else None
        return {**NO_CLIP, "state": state, "reason": reason, "url": url, "seconds_before": 5.0 if ready else None}

    def change(self, event_id: str, **changes: Any) -> dict[str, Any]:
        self.events[event_id] = event = {**self.events[event_id], **changes}
        return event

    def sum_up(self, text: str, *events: dict[str, Any], **more: Any) -> None:
        """The day of these events in a few words."""
        ids = [event["id"] for event in events]
        of = {"camera_id": events[0]["camera_id"], "day": events[0]["at"][:10]}
        self.digests.append({**of, "text": text, "event_ids": ids, "source": "counts", "done": True, **more})

    def page(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Newest first."""
        self.asked.append(asked)
        found = [event for event in reversed(self.events.values()) if _fits(event, asked)]
        found = [event for event in found if asked["after"] is None or event["id"] < asked["after"]]
        limit = asked["limit"]
        return {"data": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}

    async def since(self, last_id: str | None, asked: dict[str, Any]) -> AsyncIterator[str]:
        ids = [event["id"] for event in self.told]
        position = ids.index(last_id) + 1 if last_id in ids else len(ids)
        spoken = 0.0
        while not self.closing:
            if time.monotonic() - spoken > 2:
                spoken = time.monotonic()
                yield 'data: {"type":"heartbeat"}\n\n'
            for event in self.told[position:]:
                position += 1
                if _fits(event, asked):
                    yield f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
            await asyncio.sleep(0.02)


def _fits(event: dict[str, Any], asked: dict[str, Any]) -> bool:
    words = (asked.get("query") or "").lower().split()
    return (
        (not asked.get("types") or event["type"] in asked["types"])
        and (not asked.get("kinds") or event["kind"] in asked["kinds"])
        and (not asked.get("camera_id") or event["camera_id"] == asked["camera_id"])
        and (not asked.get("watch_id") or any(w["id"] == asked["watch_id"] for w in event["watches"]))
        and (not asked.get("kept") or event["kept"])
        and (not asked.get("since") or event["at"] >= asked["since"])
        and (not asked.get("until") or event["at"] < asked["until"])
        and all(word in event["text"].lower() for word in words)
    )


def _room(shift: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
    picture = np.full((180, 320, 3), (206, 203, 196), np.uint8)
    picture[125:] = (150, 140, 128)
    picture[30:90, 210:280] = (176, 205, 226)
    x = int(40 + 230 * (shift % 1))
    picture[75:165, x - 14 : x + 14] = (58, 72, 104)
    picture[52:75, x - 10 : x + 10] = (214, 170, 140)
    return picture


def draw_event(wall: float) -> bytes:
    """A small picture with somebody in it, who stands elsewhere at another time."""
    return simplejpeg.encode_jpeg(_room(wall / 7.3), quality=80)


@functools.cache
def encode_clip(seconds: int = 4, fps: int = 10) -> bytes:
    """Somebody walks through, as H.264 in MP4."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for n in range(seconds * fps):
            frame = av.VideoFrame.from_ndarray(_room(n / (seconds * fps)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()
