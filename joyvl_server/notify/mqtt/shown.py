"""What the topics of a hook hold: pure, from the cameras as they are and the alerts that were sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from typing import Any

from joyvl_server.notify.base import CameraFacts
from joyvl_server.notify.mqtt.discovery import Discovery
from joyvl_server.notify.mqtt.topics import Topics

STATE = 255
"""Longest state of Home Assistant, in characters."""
LINKS = ("picture_url", "clip_url", "link")
LARGEST_PICTURE = 4_000_000
"""bytes that a broker is asked to keep"""


class Shown:
    """`discovery`: None where Home Assistant is told nothing. `pictures`: see `MqttOptions`."""

    def __init__(self, topics: Topics, pictures: str, discovery: Discovery | None) -> None:
        self._topics = topics
        self._pictures = pictures
        self._discovery = discovery
        self._last: dict[str | None, Mapping[str, Any]] = {}
        self._shots: dict[str, bytes] = {}
        self._earlier: dict[str, str] = {}
        """where the newest alert of an earlier run stands → its event"""
        self._bare_topics: set[str] = set()
        """nothing of an earlier run is to stand there"""
        self._shot_of: dict[str, str | None] = {}
        """the events that pictures are of"""
        self._bare: set[tuple[str, str | None]] = set()
        """("alert" or "picture", camera): nothing is to stand there"""

    def alert(self, alert: Mapping[str, Any]) -> None:
        """This one is the newest: of its camera, and of all."""
        for place in {alert.get("camera_id"), None}:
            self._last[place] = alert
            self._bare.discard(("alert", place))

    def learn(self, topic: str, payload: bytes) -> None:
        """This stands at the broker: an earlier run may have put it there."""
        try:
            event_id = json.loads(payload)["event_id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if isinstance(event_id, str):
            self._earlier[topic] = event_id

    def forgotten(self, event_ids: Set[str]) -> bool:
        """What is shown of these events goes, also from the broker. False where there is nothing."""
        places = [place for place, alert in self._last.items() if alert.get("event_id") in event_ids]
        cameras = [camera_id for camera_id, event_id in self._shot_of.items() if event_id in event_ids]
        for place in places:
            del self._last[place]
        for camera_id in cameras:
            del self._shots[camera_id], self._shot_of[camera_id]
        self._bare |= {("alert", place) for place in places} | {("picture", camera_id) for camera_id in cameras}
        earlier = {topic for topic, event_id in self._earlier.items() if event_id in event_ids}
        self._bare_topics |= earlier | {topic.removesuffix("last_event") + "picture" for topic in earlier}
        return bool(places or cameras or earlier)

    def changed(self, alert: Mapping[str, Any]) -> None:
        """Where it is still the newest, it is shown as it is now; its links stay."""
        for place, last in self._last.items():
            if last["id"] == alert["id"]:
                self._last[place] = {**alert, **{name: last[name] for name in LINKS if name in last}}

    def picture(self, camera_id: str, jpeg: bytes, url: str | None, event_id: str | None = None) -> None:
        """Of the newest alert of a camera, and of this event. Where there is none, the one before stays."""
        found = jpeg if self._pictures == "jpeg" else (url or "").encode() if self._pictures == "url" else b""
        if 0 < len(found) <= LARGEST_PICTURE:
            self._shots[camera_id] = found
            self._shot_of[camera_id] = event_id
            self._bare.discard(("picture", camera_id))

    def lacks_picture(self, camera_id: str) -> bool:
        return self._pictures == "jpeg" and camera_id not in self._shots

    def wanted(self, cameras: Iterable[CameraFacts]) -> dict[str, bytes | None]:
        """Every topic that the broker shall keep, with what stands there. None: whatever an earlier run put there."""
        listed = list(cameras)
        topics = self._topics
        found: dict[str, bytes | None] = {topics.status: b"online"}
        if ("alert", None) not in self._bare:
            found[topics.last_event] = self._newest(None)
        for camera in listed:
            theirs = topics.camera(camera.id, camera.name)
            found[theirs.status] = b"online" if camera.online else b"offline"
            found[theirs.available] = b"online" if camera.enabled else b"offline"
            if ("alert", camera.id) not in self._bare:
                found[theirs.last_event] = self._newest(camera.id)
            if self._pictures != "none" and ("picture", camera.id) not in self._bare:
                found[theirs.picture] = self._shots.get(camera.id)
            for watch in camera.watches:
                found[theirs.watch(watch.id, watch.name)] = b"ON" if watch.occupied else b"OFF"
        for topic in self._bare_topics:
            if found.get(topic, b"") is None:
                del found[topic]
        here = {camera.id for camera in listed}
        self._shots = {camera_id: shot for camera_id, shot in self._shots.items() if camera_id in here}
        self._shot_of = {camera_id: event_id for camera_id, event_id in self._shot_of.items() if camera_id in here}
        self._last = {place: alert for place, alert in self._last.items() if place is None or place in here}
        if self._discovery is not None:
            found.update(self._discovery.messages(listed))
        return found

    def _newest(self, place: str | None) -> bytes | None:
        found = self._last.get(place)
        return last_event(found) if found is not None else None


def last_event(alert: Mapping[str, Any]) -> bytes:
    """The alert with its words as a state for Home Assistant."""
    words = str(alert.get("text") or alert.get("title") or alert.get("kind"))
    return _json({**alert, "alert_state": alert.get("state"), "words": " ".join(words.split())[:STATE]})


def event(alert: Mapping[str, Any]) -> bytes:
    """The alert as an event for Home Assistant."""
    return _json({"event_type": alert.get("kind"), **alert})


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
