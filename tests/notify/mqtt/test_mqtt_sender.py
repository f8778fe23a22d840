"""The sender with a real mosquitto: messages, the connection, its ends."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import aiomqtt
import pytest

from fakes.mqtt import (
    DOOR,
    DOOR_TOPICS,
    JPEG,
    Listener,
    LocalNet,
    Mosquitto,
    context_at,
    delivered,
    delivery,
    free_port,
    kept_by,
    listening,
    running,
)
from fakes.patience import until
from joyvl_server.core.errors import NotAllowed
from joyvl_server.notify.base import DeliveryFailed
from joyvl_server.notify.mqtt import broker as broker_module
from joyvl_server.notify.mqtt.sender import MqttSender
from joyvl_server.notify.mqtt.topics import Topics

pytestmark = pytest.mark.processes


def ids(listener: Listener, topic: str = "joyvl/alerts") -> list[str]:
    return [json.loads(payload)["data"]["id"] for payload in listener.on(topic)]


async def test_alerts_arrive_in_order_with_picture_event_and_state(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with listening(mosquitto.port) as heard, running(MqttSender(context)) as sender:
        for number in range(1, 6):
            assert (await sender.send(delivery(number))).status is None
        await until(lambda: len(heard.on(DOOR_TOPICS.alerts)) == 5)
        assert ids(heard) == ids(heard, DOOR_TOPICS.alerts) == [f"alr_{number}" for number in range(1, 6)]
        event = json.loads(heard.on(DOOR_TOPICS.event)[0])
        assert event["event_type"] == "watch_fired"
        assert event["event_id"] == "evt_1"
        await until(lambda: b"number 5" in heard.kept.get(DOOR_TOPICS.last_event, b""))
        assert json.loads(heard.kept[DOOR_TOPICS.last_event])["words"] == "Somebody came, number 5"
        await until(lambda: heard.kept.get(DOOR_TOPICS.picture) == JPEG)
        assert heard.kept["joyvl/status"] == b"online"
        assert heard.kept[DOOR_TOPICS.status] == b"online"
    assert (await kept_by(mosquitto.port))["joyvl/status"] == b"offline"  # it said goodbye


async def test_the_socket_does_not_wait_to_send_and_goes_to_the_checked_address(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        await until(lambda: sender._client is not None)
        connected = sender._client._client.socket()
        assert connected.getsockopt(6, 1) != 0  # IPPROTO_TCP, TCP_NODELAY
        assert connected.getpeername()[0] == "127.0.0.1"
    assert context.net.asked == ["localhost"]


async def test_no_proxy_of_the_environment_is_used(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setenv("mqtt_proxy", "http://127.0.0.1:9")
    socks = SimpleNamespace(HTTP=3, get_default_proxy=lambda: None)  # it has nothing to connect with
    monkeypatch.setattr("paho.mqtt.client.socks", socks)
    async with running(MqttSender(context_at(mosquitto.port, tmp_path))) as sender:
        await until(lambda: sender._client is not None)


async def test_a_camera_shows_how_it_looks_before_its_first_alert(mosquitto, tmp_path):
    async with running(MqttSender(context_at(mosquitto.port, tmp_path))), listening(mosquitto.port) as heard:
        await until(lambda: heard.kept.get(DOOR_TOPICS.picture) == JPEG + b"cam_1")


@pytest.mark.parametrize("pictures", ["url", "none"])
async def test_instead_of_the_picture_its_address_or_nothing(mosquitto, tmp_path, pictures):
    context = context_at(mosquitto.port, tmp_path, pictures=pictures)
    async with listening(mosquitto.port) as heard, running(MqttSender(context)) as sender:
        await sender.send(delivery(1))
        await until(lambda: heard.kept.get(DOOR_TOPICS.last_event))
        expected = delivery(1).links.picture.encode() if pictures == "url" else None
        await until(lambda: heard.kept.get(DOOR_TOPICS.picture) == expected)


async def test_the_broker_restarts_in_the_middle(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        async with listening(mosquitto.port) as before:
            await delivered(sender, 1)
            await until(lambda: ids(before) == ["alr_1"])
            await until(lambda: b"number 1" in before.kept.get(DOOR_TOPICS.last_event, b""))
        mosquitto.stop()
        waiting = asyncio.create_task(delivered(sender, 2))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        mosquitto.start()
        async with listening(mosquitto.port) as after:
            await waiting
            await delivered(sender, 3)
            await until(lambda: ids(after)[-1:] == ["alr_3"])
            # A broker that has forgotten all is told all that it shall keep.
            kept = {"joyvl/status", DOOR_TOPICS.status, DOOR_TOPICS.picture, DOOR_TOPICS.last_event}
            kept |= {topic for topic in before.kept if topic.startswith("homeassistant/")}
            assert len(kept) > 12
            await until(lambda: kept <= after.kept.keys())


async def test_a_broker_that_accepts_and_never_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_module, "CONNECT_S", 0.3)
    ended: list[bool] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        ended.append(True)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = MqttSender(replace(context_at(port, tmp_path), timeout_s=0.4))
    with pytest.raises(DeliveryFailed, match=rf"The broker localhost:{port} does not answer"):
        await sender.serve()
    await until(lambda: ended)  # nothing stays open of what was given up
    async with running(sender):
        await until(lambda: sender.fault)
        with pytest.raises(DeliveryFailed, match="does not answer") as failed:
            await sender.send(delivery(1))
    assert failed.value.retry
    server.close()


async def test_a_connection_that_comes_when_nobody_waits_any_more_is_closed(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    sender = MqttSender(context)
    client = await sender._broker._client("127.0.0.1")
    client.timeout = 0.5
    client.abandon()  # before its thread has a socket
    with pytest.raises(aiomqtt.MqttError):
        await client.__aenter__()
    await until(lambda: client._client.socket() is None)


async def test_a_broker_that_stops_to_confirm_is_left_and_the_message_is_sent_again(mosquitto, tmp_path):
    context = context_at(mosquitto.port, tmp_path)
    async with running(MqttSender(context)) as sender:
        await delivered(sender, 1)
        sender._client.timeout = 0.4
        mosquitto.send_signal(signal.SIGSTOP)
        with pytest.raises(DeliveryFailed, match="did not confirm"):
            await sender.send(delivery(2))
        mosquitto.send_signal(signal.SIGCONT)
        async with listening(mosquitto.port) as heard:
            await delivered(sender, 2)
            await until(lambda: "alr_2" in ids(heard))


async def test_a_wrong_password_is_told_without_it(tmp_path):
    passwords = tmp_path / "passwords"
    program = ["mosquitto_passwd", "-b", "-c", str(passwords), "joyvl", "the right one"]
    await (await asyncio.create_subprocess_exec(*program)).wait()
    guarded = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    guarded.start()
    try:
        login = {"username": "joyvl", "password": "a wrong secret"}
        with pytest.raises(DeliveryFailed, match="refuses the login") as failed:
            await MqttSender(context_at(guarded.port, tmp_path, **login)).serve()
        assert "secret" not in str(failed.value)
        right = context_at(guarded.port, tmp_path, **login | {"password": "the right one"})
        async with running(MqttSender(right)) as sender:
            await delivered(sender, 1)
    finally:
        guarded.stop()


async def test_tls_checks_the_name_at_the_address_that_was_checked(tmp_path):
    await certificate(tmp_path, "broker.test")
    guarded = Mosquitto(tmp_path, ["allow_anonymous true", *(f"{n}file {tmp_path}/{n}.pem" for n in ("cert", "key"))])
    guarded.start()
    ca = (tmp_path / "cert.pem").read_text()
    try:
        context = context_at(guarded.port, tmp_path, host="broker.test", tls=True, ca=ca)
        async with running(MqttSender(context)) as sender:
            await delivered(sender, 1)
            assert isinstance(sender._client._client.socket(), ssl.SSLSocket)
        for wrong in ({"ca": ""}, {"host": "other.test"}):
            options = {"host": "broker.test", "tls": True, "ca": ca} | wrong
            with pytest.raises(DeliveryFailed, match=r"certificate of the broker .* is not trusted"):
                await MqttSender(context_at(guarded.port, tmp_path, **options)).serve()
        options = {"host": "other.test", "tls": True, "tls_verify": False}
        async with running(MqttSender(context_at(guarded.port, tmp_path, **options))) as sender:
            await delivered(sender, 2)
        with pytest.raises(DeliveryFailed, match="PEM"):
            await MqttSender(context_at(guarded.port, tmp_path, tls=True, ca="nonsense")).serve()
    finally:
        guarded.stop()


async def certificate(folder: Path, name: str) -> None:
    program = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    program += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    program += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    process = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def test_the_net_policy_is_asked_before_anything_is_sent(tmp_path):
    context = replace(context_at(free_port(), tmp_path), net=LocalNet(NotAllowed("Hooks may not reach localhost.")))
    with pytest.raises(NotAllowed, match="may not reach"):
        await MqttSender(context).serve()


async def test_nobody_at_the_port(tmp_path):
    with pytest.raises(DeliveryFailed, match="cannot be reached"):
        await MqttSender(context_at(free_port(), tmp_path)).serve()


async def test_hostile_names_go_through_and_stay_apart(mosquitto, tmp_path):
    hostile = ["a/b", "a#b", "a+b", "a\0b", "$SYS/x", "/", "+", "#", "", "\ud800", "‮abc", "x" * 10_000, "后门", "🚪"]
    cameras = [replace(DOOR, id=f"cam_{number}", name=name) for number, name in enumerate(hostile)]
    context = context_at(mosquitto.port, tmp_path, *cameras)
    async with running(MqttSender(context)) as sender, listening(mosquitto.port) as heard:
        for found in cameras:
            await sender.send(delivery(1, found.id, camera=found.name, text=found.name))
        for found in cameras:
            topics = Topics("joyvl").camera(found.id, found.name)
            await until(lambda topics=topics: heard.on(topics.alerts))
            assert [json.loads(payload)["data"]["camera_id"] for payload in heard.on(topics.alerts)] == [found.id]


KILLED = """
import asyncio, sys
from pathlib import Path
from fakes.mqtt import context_at
from joyvl_server.notify.mqtt.sender import MqttSender
asyncio.run(MqttSender(context_at(int(sys.argv[1]), Path(sys.argv[2]))).serve())
"""


async def test_the_last_will_of_a_server_that_is_killed(mosquitto, tmp_path):
    async with listening(mosquitto.port) as heard:
        program = [sys.executable, "-c", KILLED, str(mosquitto.port), str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*program, env={"PYTHONPATH": ":".join(sys.path)})
        await until(lambda: heard.kept.get("joyvl/status") == b"online")
        process.kill()
        await process.wait()
        await until(lambda: heard.kept.get("joyvl/status") == b"offline")
