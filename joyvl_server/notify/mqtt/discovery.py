"""What Home Assistant is told of a server's cameras, so that it shows them by itself (MQTT discovery).

Each entity has one retained message: `PREFIX/COMPONENT/DEVICE/ENTITY/config`. An empty one removes it. Fields:
https://www.home-assistant.io/integrations/mqtt/
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from joyvl_server import __version__
from joyvl_server.core.texts import well_formed
from joyvl_server.notify.base import CameraFacts, WatchFacts
from joyvl_server.notify.mqtt.topics import CameraTopics, Topics, safe_id
from joyvl_server.store.alerts.records import ALERT_KINDS

NAME = 100
"""Longest name of a device or an entity, in characters."""
ORIGIN = {"name": "joyvl-server", "sw_version": __version__}


@dataclass(frozen=True, slots=True)
class Discovery:
    """Writes the messages. `link`: the address of the server's page, or empty.

    `pictures`: "jpeg" where the topic of a camera's picture holds the bytes, "url" where it holds an address, "none".
    `snooze_minutes`: what the button asks for.
    """

    topics: Topics
    link: str = ""
    pictures: str = "jpeg"
    snooze_minutes: int = 10

    def messages(self, cameras: Iterable[CameraFacts]) -> dict[str, bytes]:
        """Every message by its topic: those of the server, of each camera and of each of its watches."""
        found = dict(self._server())
        for camera in cameras:
            theirs = self.topics.camera(camera.id, camera.name).available
            for topic, config in self._camera(camera):
                found[topic] = _available(config, self.topics.status, theirs)
        return found

    def _server(self) -> Iterator[tuple[str, bytes]]:
        device = self._device(self.topics.node, "joyvl-server", "Server")
        connection = {
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.status,
            "payload_on": "online",
            "payload_off": "offline",
        }
        yield self._entity("binary_sensor", "connection", device, connection, always=True)
        yield self._entity("sensor", "last_event", device, _last_event(self.topics.last_event))
        yield self._entity("event", "alert", device, _event(self.topics.event))
        yield from self._buttons(device, self.topics.acknowledge, self.topics.snooze)

    def _camera(self, camera: CameraFacts) -> Iterator[tuple[str, bytes]]:
        topics = self.topics.camera(camera.id, camera.name)
        ident = f"{self.topics.node}_{safe_id(camera.id)}"
        device = self._device(ident, _name(camera.name, "Camera"), "Camera") | {"via_device": self.topics.node}
        connection = {
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.status,
            "payload_on": "online",
            "payload_off": "offline",
        }
        yield self._entity("binary_sensor", "connection", device, connection)
        yield self._entity("sensor", "last_event", device, _last_event(topics.last_event))
        yield self._entity("event", "alert", device, _event(topics.event))
        if self.pictures == "jpeg":
            yield self._entity("camera", "picture", device, {"name": "Picture", "topic": topics.picture})
            image = {"image_topic": topics.picture, "content_type": "image/jpeg"}
            yield self._entity("image", "last_picture", device, {"name": "Last picture"} | image)
        elif self.pictures == "url":
            yield self._entity("image", "last_picture", device, {"name": "Last picture", "url_topic": topics.picture})
        for watch in camera.watches:
            yield self._occupancy(device, topics, watch)
        yield from self._buttons(device, topics.acknowledge, topics.snooze)

    def _occupancy(self, device: Mapping[str, Any], topics: CameraTopics, watch: WatchFacts) -> tuple[str, bytes]:
        fields = {
            "name": _name(watch.name, "Watch"),
            "device_class": "occupancy",
            "state_topic": topics.watch(watch.id, watch.name),
            "payload_on": "ON",
            "payload_off": "OFF",
        }
        return self._entity("binary_sensor", f"watch_{safe_id(watch.id)}", device, fields)

    def _buttons(self, device: Mapping[str, Any], acknowledge: str, snooze: str) -> Iterator[tuple[str, bytes]]:
        """For the newest open alert."""
        minutes = str(self.snooze_minutes)
        for entity, name, icon, topic, payload in (
            ("acknowledge", "Acknowledge", "mdi:check", acknowledge, "PRESS"),
            ("snooze", f"Snooze {minutes} min", "mdi:alarm-snooze", snooze, minutes),
        ):
            fields = {"name": name, "icon": icon, "command_topic": topic, "payload_press": payload, "qos": 1}
            yield self._entity("button", entity, device, fields)

    def _device(self, ident: str, name: str, model: str) -> dict[str, Any]:
        device: dict[str, Any] = {
            "identifiers": [ident],
            "name": name,
            "manufacturer": "joyvl-server",
            "model": model,
            "sw_version": __version__,
        }
        return device | ({"configuration_url": self.link} if self.link else {})

    def _entity(
        self, component: str, entity: str, device: Mapping[str, Any], fields: Mapping[str, Any], *, always: bool = False
    ) -> tuple[str, bytes]:
        """`always`: it is there also while the server is not connected."""
        ident = str(device["identifiers"][0])
        config = {**fields, "unique_id": f"{ident}_{entity}", "origin": ORIGIN}
        if not always:
            config["availability"] = [{"topic": self.topics.status}]
        return self.topics.config(component, ident, entity), json.dumps(config | {"device": device}).encode()


def _available(config: bytes, *topics: str) -> bytes:
    """The description of an entity that is there while each of these topics says so."""
    there = {"availability": [{"topic": topic} for topic in topics], "availability_mode": "all"}
    return json.dumps({**json.loads(config), **there}).encode()


def _last_event(topic: str) -> dict[str, Any]:
    """The words are the state; the whole alert stands in the attributes."""
    return {
        "name": "Last event",
        "icon": "mdi:message-alert",
        "state_topic": topic,
        "value_template": "{{ value_json.words }}",
        "json_attributes_topic": topic,
    }


def _event(topic: str) -> dict[str, Any]:
    return {"name": "Alert", "icon": "mdi:bell", "state_topic": topic, "event_types": list(ALERT_KINDS)}


def _name(text: str, otherwise: str) -> str:
    """One line that people can read."""
    shown = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else " " for c in well_formed(text[:1000]))
    return " ".join(shown.split())[:NAME] or otherwise
