"""What Home Assistant is told, against the fields that its documentation names.

https://www.home-assistant.io/integrations/mqtt/ and the page of each component, as of 2023.12 and later.
"""

from __future__ import annotations

import json
import re

import pytest

from fakes.mqtt import camera
from joyvl_server.notify.mqtt.discovery import Discovery
from joyvl_server.notify.mqtt.topics import Topics

TOPIC, TEXT, TEMPLATE = "topic", "text", "template"
COMMON = {
    "name": TEXT,
    "unique_id": TEXT,
    "icon": re.compile(r"mdi:[a-z0-9-]+"),
    "qos": {0, 1, 2},
    "device": dict,
    "origin": dict,
    "availability": list,
    "availability_mode": str,
    "entity_category": {"diagnostic", "config"},
}
"""of every component"""
FIELDS = {
    "binary_sensor": {
        "state_topic": TOPIC,
        "payload_on": TEXT,
        "payload_off": TEXT,
        "device_class": {"connectivity", "occupancy", "motion", "problem"},
    },
    "sensor": {"state_topic": TOPIC, "value_template": TEMPLATE, "json_attributes_topic": TOPIC},
    "event": {"state_topic": TOPIC, "event_types": list},
    "camera": {"topic": TOPIC},
    "image": {"image_topic": TOPIC, "url_topic": TOPIC, "content_type": re.compile(r"image/[a-z]+")},
    "button": {"command_topic": TOPIC, "payload_press": TEXT},
}
NEEDED = {
    "binary_sensor": {"state_topic"},
    "sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "camera": {"topic"},
    "image": set(),
    "button": {"command_topic"},
}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version", "via_device", "configuration_url"}
CONFIG_TOPIC = re.compile(r"homeassistant/([a-z_]+)/([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)/config")
CAMERAS = [
    camera("cam_1", "Front door", "Person", "Cat"),
    camera("cam_2", "a/#+\0" * 3000, "w" * 10_000),
    camera("c", ""),
]


def messages(pictures: str = "jpeg", link: str = "http://192.168.1.2:8099") -> dict[str, dict]:
    found = Discovery(Topics("home/joyvl"), link, pictures).messages(CAMERAS)
    return {topic: json.loads(payload) for topic, payload in found.items()}


def check(value: object, kind: object) -> None:
    if kind in (TOPIC, TEXT, TEMPLATE):
        assert isinstance(value, str)
        assert value
        assert value.isprintable()
        assert len(value.encode()) < 1000
        if kind == TOPIC:
            assert not set("#+\0") & set(value)
        if kind == TEMPLATE:
            assert value.startswith("{{")
            assert value.endswith("}}")
    elif isinstance(kind, set):
        assert value in kind
    elif isinstance(kind, re.Pattern):
        assert kind.fullmatch(str(value))
    else:
        assert isinstance(value, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("pictures", ["jpeg", "url", "none"])
def test_every_field_is_one_of_the_documented_ones_with_a_value_of_its_kind(pictures):
    found = messages(pictures)
    assert len(found) > 20
    for topic, config in found.items():
        component = CONFIG_TOPIC.fullmatch(topic)[1]
        assert NEEDED[component] <= config.keys()
        for name, value in config.items():
            check(value, (COMMON | FIELDS[component])[name])
        assert config["device"]["identifiers"]
        assert config["device"].keys() <= DEVICE
        assert all(
            isinstance(value, str) and value for value in config["device"].values() if not isinstance(value, list)
        )
        for place in config.get("availability", ()):
            assert place["topic"] == "home/joyvl/status" or place["topic"].endswith("/available")


def test_an_image_has_one_topic_and_a_type_only_for_bytes():
    images = [config for topic, config in (messages() | messages("url")).items() if "/image/" in topic]
    assert images
    assert all(len(config.keys() & {"image_topic", "url_topic"}) == 1 for config in images)
    assert not any("url_topic" in config and "content_type" in config for config in images)
    assert not any("/image/" in topic or "/camera/" in topic for topic in messages("none"))


def test_each_camera_is_a_device_with_all_that_belongs_to_it():
    found = messages()
    entities = {CONFIG_TOPIC.fullmatch(topic).group(1, 3) for topic in found if "_cam_1/" in topic}
    assert entities == {
        ("binary_sensor", "connection"),
        ("sensor", "last_event"),
        ("event", "alert"),
        ("camera", "picture"),
        ("image", "last_picture"),
        ("binary_sensor", "watch_wat_Person"),
        ("binary_sensor", "watch_wat_Cat"),
        ("button", "acknowledge"),
        ("button", "snooze"),
    }
    device = next(config["device"] for topic, config in found.items() if "_cam_1/" in topic)
    assert device["name"] == "Front door"
    server = next(
        config["device"]
        for topic, config in found.items()
        if topic.endswith("/connection/config") and "_c" not in topic.split("/")[2][5:]
    )
    assert device["via_device"] == server["identifiers"][0]
    assert len({config["unique_id"] for config in found.values()}) == len(found)


def test_servers_that_share_a_broker_stay_apart():
    ours = Discovery(Topics("home/joyvl")).messages(CAMERAS)
    theirs = Discovery(Topics("home_joyvl")).messages(CAMERAS)
    assert not ours.keys() & theirs.keys()


def test_without_a_public_address_no_link():
    assert all("configuration_url" not in config["device"] for config in messages(link="").values())
