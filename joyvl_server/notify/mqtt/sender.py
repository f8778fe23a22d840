"""Alerts to an MQTT broker, with topics that show the state of cameras and watches, and with Home Assistant's entities.

One connection for each hook. It carries messages at least once: one that was sent again has the same id.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any

import aiomqtt
import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.masking import MASK
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.notify.base import (
    AlertChanged,
    CameraFacts,
    Delivery,
    DeliveryFailed,
    EventsForgotten,
    HookContext,
    Links,
    Sender,
    Sent,
    StateChange,
)
from joyvl_server.notify.messages import alert_json, message_json
from joyvl_server.notify.mqtt.broker import CONNECT_S, Broker, BrokerClient, client_id
from joyvl_server.notify.mqtt.commands import CommandTopics
from joyvl_server.notify.mqtt.discovery import Discovery
from joyvl_server.notify.mqtt.leftovers import Leftovers
from joyvl_server.notify.mqtt.options import MqttOptions
from joyvl_server.notify.mqtt.published import FOLDER, PublishedTopics
from joyvl_server.notify.mqtt.retained import Retained
from joyvl_server.notify.mqtt.shown import Shown, event
from joyvl_server.notify.mqtt.topics import Topics

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""before the broker is tried again; a connection that lasted as long as the longest counts as one that worked"""
AGAIN_S = 2.0
"""Home Assistant is told everything again at most so often."""


class MqttSender(Sender):
    wants_picture = True

    def __init__(self, context: HookContext) -> None:
        self._options = options = validated(MqttOptions, context.options, "options")
        self._context = context
        self._topics = topics = Topics(options.topic, options.discovery_topic)
        link = context.public_url if context.public_url.startswith(("http://", "https://")) else ""
        discovery = Discovery(topics, link, options.pictures, options.snooze_minutes)
        self._shown = Shown(topics, options.pictures, discovery if options.discovery else None)
        self._published = PublishedTopics(context.folder / FOLDER, context.hook_id, options, context.secrets)
        self._retained = Retained(self._published)
        self._commands = CommandTopics(topics, context.actions, f"MQTT ({context.name})", options.snooze_minutes)
        self._broker = Broker(options, context.net, client_id(context.hook_id), topics.status)
        self._client: BrokerClient | None = None
        self._connected = asyncio.Event()
        self._stale = asyncio.Event()
        self._broken = asyncio.Event()
        self._cameras: list[CameraFacts] | None = None
        self.fault = ""

    # ------------------------------------------------------------------------------------------------------- options

    @classmethod
    def checked(cls, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """See `Sender.checked`."""
        options = validated(MqttOptions, given, "options")
        words = ""
        if options.password is not None and options.password.get_secret_value() == MASK:
            before = validated(MqttOptions, stored, "options") if stored else None
            same = before is not None and before.same_broker(options) and before.username == options.username
            options = options.model_copy(update={"password": before.password if before is not None and same else None})
            if not same:
                words = "The broker or the user is another one now, so the stored password was dropped: write it again."
        return options.stored(), words

    @classmethod
    def masked(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """See `Sender.masked`."""
        return {**options, "password": MASK if options.get("password") else None}

    @classmethod
    def hosts(cls, options: Mapping[str, Any]) -> list[str]:
        """See `Sender.hosts`."""
        return [str(options["host"])]

    # ---------------------------------------------------------------------------------------------------- connection

    async def run(self) -> None:
        """A connection, and another one after it is lost. It ends by cancelling, and says goodbye then."""
        pauses = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, jitter=0.2, random=Random())
        clock = self._context.clock
        while True:
            began = clock.monotonic()
            try:
                await self.serve()
            except (JoyvlError, aiomqtt.MqttError, OSError) as error:
                words = str(error) if isinstance(error, JoyvlError) else "The connection to the broker was lost."
                if not self.fault:
                    log.warning("an MQTT broker is away", hook=self._context.name, error=words)
                self.fault = words
            if clock.monotonic() - began > LONGEST_PAUSE_S:
                pauses.worked()
            await clock.sleep(pauses.failed())

    async def serve(self) -> None:
        """One connection, until it is lost. Raises `JoyvlError`, `aiomqtt.MqttError`, `OSError`; cancelled, it says
        goodbye."""
        try:
            with suppress(OSError):  # nothing is removed then
                await asyncio.to_thread(self._published.load)
            async with self._broker.connected() as client:
                await self._serve(client)
        finally:
            self._client = None
            self._connected.clear()

    async def _serve(self, client: BrokerClient) -> None:
        self._broken.clear()
        self._retained.lost()
        await client.publish(self._topics.status, b"online", qos=1, retain=True)
        for topic in (*self._topics.commands, *self._topics.kept, self._topics.home_assistant):
            await client.subscribe(topic, qos=1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client), name="MQTT commands")
                group.create_task(self._keep(client), name="MQTT states")
                group.create_task(self._until_broken(), name="MQTT confirmations")
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            with suppress(aiomqtt.MqttError):
                await client.publish(self._topics.status, b"offline", qos=1, retain=True, timeout=1.0)

    async def _until_broken(self) -> None:
        await self._broken.wait()
        raise DeliveryFailed("The broker did not confirm a message.")

    async def _listen(self, client: BrokerClient) -> None:
        """Take commands, and what Home Assistant says of itself."""
        async for message in client.messages:
            topic = message.topic.value
            if not isinstance(message.payload, bytes):
                continue
            if message.retain:  # a command that the broker kept was meant for another time
                self._shown.learn(topic, message.payload)
            elif topic != self._topics.home_assistant:
                await self._commands.take(topic, message.payload)
            elif message.payload == b"online":
                self._retained.lost()
                self._stale.set()

    async def _keep(self, client: BrokerClient) -> None:
        """Publish all, then what changes."""
        await self._sync(client)
        if self.fault:
            log.info("an MQTT broker is back", hook=self._context.name)
        self._client, self.fault = client, ""
        self._connected.set()
        while True:
            await self._stale.wait()
            await self._sync(client)
            await self._context.clock.sleep(AGAIN_S if self._stale.is_set() else 0)

    async def _sync(self, client: BrokerClient) -> None:
        self._stale.clear()
        cameras = await self._listed()
        if cameras is None:
            return
        self._commands.listed(cameras)
        await self._first_pictures(cameras)
        await self._retained.sync(client, self._shown.wanted(cameras))

    async def _listed(self) -> list[CameraFacts] | None:
        """The cameras; those of before where the store does not say, None where it never did."""
        with suppress(JoyvlError):
            self._cameras = await self._context.directory.cameras()
        return self._cameras

    async def _first_pictures(self, cameras: list[CameraFacts]) -> None:
        """A camera that has had no alert yet shows how it looks now."""
        for camera in cameras:
            topic = self._topics.camera(camera.id, camera.name).picture
            if camera.online and self._shown.lacks_picture(camera.id) and not self._retained.known(topic):
                with suppress(JoyvlError):
                    self._shown.picture(camera.id, await self._context.directory.picture(camera.id), None)

    # ------------------------------------------------------------------------------------------------------ messages

    async def send(self, delivery: Delivery) -> Sent:
        """See `Sender.send`. Sent is what the broker has confirmed."""
        client = await self._there()
        alert = alert_json(delivery.alert, delivery.links)
        message = {"id": delivery.id, **json.loads(message_json(delivery))}
        payload = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
        messages = [(self._topics.alerts, payload), (self._topics.event, event(alert))]
        camera = await self._camera(delivery.alert.camera_id)
        if camera is not None:
            theirs = self._topics.camera(camera.id, camera.name)
            messages += [(theirs.alerts, payload), (theirs.event, event(alert))]
            self._shown.picture(camera.id, delivery.picture, delivery.links.picture, delivery.alert.event_id)
        try:
            for topic, content in messages:
                await client.confirmed(topic, content)
        except ValueError as error:
            raise DeliveryFailed(f"The message cannot be sent by MQTT: {error}.", retry=False) from None
        except (aiomqtt.MqttError, OSError):
            self._broken.set()
            raise DeliveryFailed("The broker did not confirm the message.") from None
        self._shown.alert(alert)
        self._stale.set()
        return Sent(words="The broker has confirmed it.")

    async def _there(self) -> BrokerClient:
        if self._client is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(CONNECT_S, self._context.timeout_s) / 2):
                    await self._connected.wait()
        if self._client is None:
            raise DeliveryFailed(self.fault or "The broker is not connected yet.")
        return self._client

    async def _camera(self, camera_id: str | None) -> CameraFacts | None:
        if camera_id is None:
            return None
        cameras = await self._listed()
        return next((camera for camera in cameras or () if camera.id == camera_id), None)

    async def state_changed(self, change: StateChange) -> None:
        """See `Sender.state_changed`. It only notes that something is to be published."""
        if isinstance(change, EventsForgotten) and not self._shown.forgotten(change.event_ids):
            return
        if isinstance(change, AlertChanged):
            self._shown.changed(alert_json(change.alert, Links()))
        self._stale.set()

    # ---------------------------------------------------------------------------------------------------------- ends

    async def removed(self) -> None:
        """Nothing of the hook stays at the broker: what cannot be removed now, `Leftovers` removes later."""
        await asyncio.to_thread(self._published.load)
        left = await asyncio.to_thread(self._published.leave)
        if left is not None:
            await self._leftovers().take_back(left)

    def _leftovers(self) -> Leftovers:
        context = self._context
        return Leftovers(context.folder / FOLDER, context.net, context.clock, context.secrets)
