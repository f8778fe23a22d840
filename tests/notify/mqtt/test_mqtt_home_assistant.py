"""What Home Assistant sees and asks for, with a real mosquitto; and what is taken away again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from fakes.mqtt import (
    DOOR,
    DOOR_TOPICS,
    Listener,
    LocalNet,
    camera,
    context_at,
    delivered,
    delivery,
    kept_by,
    listening,
    running,
)
from fakes.patience import until
from joyvl_server.core.errors import StoreError
from joyvl_server.notify.base import AlertChanged, CamerasChanged, DeliveryFailed, EventsForgotten, WatchFacts
from joyvl_server.notify.mqtt.leftovers import Leftovers
from joyvl_server.notify.mqtt.options import MqttOptions
from joyvl_server.notify.mqtt.published import FOLDER, LEFT, BrokerTopics, PublishedTopics
from joyvl_server.notify.mqtt.sender import MqttSender
from joyvl_server.notify.mqtt.topics import Topics
from joyvl_server.store.secrets.box import SecretBox

pytestmark = pytest.mark.processes

BY = "MQTT (At home)"


async def press(heard: Listener, button: str) -> None:
    """As Home Assistant does: what the description of the button says."""
    topic = f"homeassistant/button/joyvl_cam_1/{button}/config"
    await until(lambda: topic in heard.kept)
    config = json.loads(heard.kept[topic])
    await heard.client.publish(config["command_topic"], config["payload_press"], qos=config["qos"])


async def test_buttons_do_what_the_api_does(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    actions = context.actions
    actions.open += [delivery(1).alert, delivery(2, "cam_2").alert, delivery(3).alert]
    async with running(MqttSender(context)), listening(mosquitto.port) as heard:
        await press(heard, "acknowledge")
        await until(lambda: len(actions.done) == 1)
        await press(heard, "snooze")
        await until(lambda: len(actions.done) == 2)
        await heard.client.publish("joyvl/acknowledge", "alr_2", qos=1)
        await until(lambda: len(actions.done) == 3)
    assert actions.done == [
        ("acknowledge", "alr_3", None, BY),
        ("snooze", "alr_1", 10, BY),
        ("acknowledge", "alr_2", None, BY),
    ]


async def test_commands_that_the_broker_kept_or_that_mean_nothing_do_nothing(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    context.actions.open.append(delivery(1).alert)
    async with listening(mosquitto.port) as heard:
        await heard.client.publish(DOOR_TOPICS.acknowledge, "PRESS", qos=1, retain=True)
        async with running(MqttSender(context)) as sender:
            await until(lambda: sender._client is not None)
            for payload in (b"\xff\x00", b"x" * 5000, b"[]", b'{"minutes": NaN}', b"-1", b"alr_none"):
                await heard.client.publish(DOOR_TOPICS.snooze, payload, qos=1)
            await heard.client.publish("joyvl/nobody-cam_9/snooze", "5", qos=1)
            await heard.client.publish(DOOR_TOPICS.snooze, "5", qos=1)
            await until(lambda: ("snooze", "alr_1", 5.0, BY) in context.actions.done)
    assert [done[:2] for done in context.actions.done] == [("snooze", "alr_none"), ("snooze", "alr_1")]


async def test_home_assistant_is_told_again_when_it_starts(mosquitto, tmp_path):
    topic = "homeassistant/sensor/joyvl_cam_1/last_event/config"
    async with running(MqttSender(context_at(mosquitto.port, tmp_path))) as sender:
        await until(lambda: sender._client is not None)
        async with listening(mosquitto.port) as heard:
            await until(lambda: len(heard.on(topic)) == 1)
            await heard.client.publish("homeassistant/status", "online", qos=1)
            await until(lambda: len(heard.on(topic)) == 2)


async def test_without_discovery_home_assistant_is_told_nothing(mosquitto, tmp_path):
    async with running(MqttSender(context_at(mosquitto.port, tmp_path, discovery=False))) as sender:
        await delivered(sender, 1)
        assert [topic for topic in await kept_by(mosquitto.port) if topic.startswith("homeassistant")] == []


async def test_occupancy_follows_the_watch_and_an_acknowledged_alert_is_shown_so(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    topic = DOOR_TOPICS.watch("wat_Person", "Person")
    async with running(MqttSender(context)) as sender, listening(mosquitto.port) as heard:
        await until(lambda: heard.kept.get(topic) == b"OFF")
        context.directory.listed = [replace(DOOR, watches=(WatchFacts("wat_Person", "Person", occupied=True),))]
        await sender.state_changed(CamerasChanged())
        await until(lambda: heard.kept.get(topic) == b"ON")
        await delivered(sender, 1)
        await sender.state_changed(AlertChanged(replace(delivery(1).alert, state="acknowledged")))
        await until(lambda: b'"alert_state": "acknowledged"' in heard.kept.get(DOOR_TOPICS.last_event, b""))
        assert json.loads(heard.kept[DOOR_TOPICS.last_event])["picture_url"]


# ----------------------------------------------------------------------------------------------------- what is removed


def gone(kept: dict[str, bytes]) -> list[str]:
    return [topic for topic in kept if "cam_2" in topic or "wat_" in topic or "front_door" in topic]


async def test_topics_of_what_is_gone_are_removed(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path, DOOR, camera("cam_2", "Yard", "Cat"))
    async with running(MqttSender(context)) as sender, listening(mosquitto.port) as heard:
        await until(lambda: any("cam_2" in topic for topic in heard.kept))
        context.directory.listed = [camera("cam_1", "Garden door")]  # renamed, without its watch; the yard is gone
        await sender.state_changed(CamerasChanged())
        renamed = Topics("joyvl").camera("cam_1", "Garden door")
        await until(lambda: renamed.status in heard.kept)
        await until(lambda: not gone(heard.kept))


async def test_also_those_of_what_went_while_the_server_was_off(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path, DOOR, camera("cam_2", "Yard", "Cat"))
    async with running(MqttSender(context)) as sender:
        await until(lambda: sender._client is not None)
    assert any("cam_2" in topic for topic in await kept_by(mosquitto.port))
    context = context_at(mosquitto.port, tmp_path, camera("cam_1", "Garden door"))
    async with running(MqttSender(context)) as sender:
        await until(lambda: sender._client is not None)
    kept = await kept_by(mosquitto.port)
    assert gone(kept) == []
    assert any("garden_door" in topic for topic in kept)


async def test_a_deleted_hook_leaves_nothing(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        await delivered(sender, 1)
    await sender.removed()
    assert await kept_by(mosquitto.port) == {}


async def test_nothing_of_a_connection_that_hangs_comes_after_its_topics_were_removed(mosquitto, tmp_path):
    """The broker still holds the old connection, with its last will, when the hook is deleted."""
    context = context_at(mosquitto.port, tmp_path)
    sender = MqttSender(context)
    async with sender._broker.connected() as client:
        await sender._retained.sync(client, {"joyvl/status": b"online"})
        await sender.removed()
        await until(lambda: client._client.socket() is None)
    assert await kept_by(mosquitto.port) == {}


async def test_a_thread_that_is_late_writes_no_list_of_a_hook_that_is_gone(tmp_path):
    published = PublishedTopics(tmp_path, "hook_1", MqttOptions(host="localhost"), SecretBox.passing())
    published.replace({"joyvl/status"})
    assert published.leave().parent.name == LEFT
    published.replace({"joyvl/status", "joyvl/more"})
    assert [path.name for path in tmp_path.iterdir()] == [LEFT]


async def test_a_hook_whose_broker_is_another_one_now_leaves_nothing_at_the_old_one(mosquitto, tmp_path):
    async with running(MqttSender(context_at(mosquitto.port, tmp_path))) as sender:
        await until(lambda: sender._client is not None)
    moved = context_at(1, tmp_path)
    async with running(sender := MqttSender(moved)):
        await until(lambda: sender.fault)
    assert await Leftovers(tmp_path / FOLDER, moved.net, moved.clock, moved.secrets).sweep() == 0
    assert await kept_by(mosquitto.port) == {}


async def test_a_hook_deleted_while_the_broker_was_away_leaves_nothing_once_it_is_back(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        await until(lambda: sender._client is not None)
    os.utime(context.folder / FOLDER / "hook_1.json", (0, 0))  # nothing has changed for long
    away = LocalNet(DeliveryFailed("The broker is away."))
    await MqttSender(replace(context, net=away)).removed()
    assert await Leftovers(context.folder / FOLDER, away, context.clock, context.secrets).sweep() == 1
    [file] = (context.folder / FOLDER / LEFT).iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert await kept_by(mosquitto.port) != {}
    assert await Leftovers(context.folder / FOLDER, context.net, context.clock, context.secrets).sweep() == 0
    assert await kept_by(mosquitto.port) == {}
    assert not file.exists()


async def test_a_broker_that_is_away_for_a_month_is_given_up(tmp_path):
    context = context_at(1, tmp_path)
    left = tmp_path / FOLDER / LEFT / "left_1.json"
    BrokerTopics("hook_1", MqttOptions(host="localhost"), frozenset({"joyvl/status"})).write(left, context.secrets)
    away = LocalNet(DeliveryFailed("The broker is away."))
    assert await Leftovers(tmp_path / FOLDER, away, context.clock, context.secrets).sweep() == 1
    os.utime(left, (0, 0))
    assert await Leftovers(tmp_path / FOLDER, away, context.clock, context.secrets).sweep() == 0
    assert not left.exists()


async def test_another_hook_keeps_its_topics_when_one_at_the_same_broker_goes(mosquitto, tmp_path):
    first = context_at(mosquitto.port, tmp_path)
    second = replace(first, hook_id="hook_2")
    for context in (first, second):
        async with running(MqttSender(context)) as sender:
            await until(lambda: sender._client is not None)
    before = await kept_by(mosquitto.port)
    await MqttSender(first).removed()
    assert await kept_by(mosquitto.port) == before


async def test_a_full_disk_keeps_no_alert_back_and_no_camera_off(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    (tmp_path / FOLDER).write_text("no folder can be made here")
    async with running(MqttSender(context)) as sender, listening(mosquitto.port) as heard:
        await delivered(sender, 1)
        await until(lambda: heard.on(DOOR_TOPICS.alerts))
        assert not any(topic.startswith("homeassistant/") for topic in heard.kept)  # nobody could take it back
        (tmp_path / FOLDER).unlink()
        await sender.state_changed(CamerasChanged())
        await until(lambda: DOOR_TOPICS.last_event in heard.kept)


async def test_topics_stay_while_the_store_does_not_say_which_cameras_there_are(mosquitto, tmp_path, monkeypatch):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        await until(lambda: sender._client is not None)
    before = await kept_by(mosquitto.port)

    async def away() -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(context.directory, "cameras", away)
    async with running(MqttSender(context)) as sender:
        await delivered(sender, 1)
    assert (await kept_by(mosquitto.port)).keys() >= before.keys()


async def test_what_is_forgotten_does_not_stay_at_the_broker(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path, pictures="url")
    async with running(MqttSender(context)) as sender, listening(mosquitto.port) as heard:
        await delivered(sender, 1)
        shown = ("joyvl/last_event", DOOR_TOPICS.last_event, DOOR_TOPICS.picture)
        await until(lambda: all(heard.kept.get(topic) for topic in shown))
        await sender.state_changed(EventsForgotten(frozenset({"evt_9"})))
        await sender.state_changed(EventsForgotten(frozenset({"evt_1"})))
        await until(lambda: not any(heard.kept.get(topic) for topic in shown))
        await delivered(sender, 2)
        await until(lambda: all(heard.kept.get(topic) for topic in shown))


async def test_nothing_of_a_deleted_event_stays_at_the_broker_also_after_a_restart(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with listening(mosquitto.port) as heard:
        async with running(MqttSender(context)) as sender:
            await delivered(sender, 2)
            await until(lambda: b"number 2" in heard.kept.get("joyvl/last_event", b""))
            await until(lambda: DOOR_TOPICS.picture in heard.kept)
        async with running(MqttSender(context)) as sender:
            await until(lambda: sender._client is not None and len(sender._shown._earlier) == 2)
            await sender.state_changed(EventsForgotten(frozenset({"evt_1"})))
            assert b"number 2" in heard.kept[DOOR_TOPICS.last_event]
            await sender.state_changed(EventsForgotten(frozenset({"evt_2"})))
            gone = {DOOR_TOPICS.last_event, "joyvl/last_event", DOOR_TOPICS.picture}
            await until(lambda: not gone & heard.kept.keys())


async def test_a_disabled_camera_is_unavailable_and_stays_known(mosquitto, tmp_path):
    off = replace(DOOR, online=False, enabled=False)
    async with listening(mosquitto.port) as heard, running(MqttSender(context_at(mosquitto.port, tmp_path, off))):
        await until(lambda: DOOR_TOPICS.available in heard.kept)
        await until(lambda: "homeassistant/camera/joyvl_cam_1/picture/config" in heard.kept)
        config = json.loads(heard.kept["homeassistant/camera/joyvl_cam_1/picture/config"])
        assert [one["topic"] for one in config["availability"]] == ["joyvl/status", DOOR_TOPICS.available]
        assert config["availability_mode"] == "all"
        assert heard.kept[DOOR_TOPICS.available] == b"offline"
