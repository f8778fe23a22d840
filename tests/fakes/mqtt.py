"""A real mosquitto on a free port, somebody who listens there, and a server's cameras and alerts for senders."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt

from fakes.patience import until, wait_until
from joyvl_server.core.errors import NotAllowed, NotFound
from joyvl_server.kit.clock import SystemClock
from joyvl_server.notify.base import (
    CameraFacts,
    Delivery,
    DeliveryFailed,
    HookContext,
    Links,
    Sender,
    WatchFacts,
)
from joyvl_server.notify.mqtt.topics import Topics
from joyvl_server.store.alerts.records import AlertRecord
from joyvl_server.store.secrets.box import SecretBox

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """`settings`: lines of its configuration. It keeps nothing when it ends, so that what it knows was sent again."""

    def __init__(self, folder: Path, settings: Sequence[str] = ("allow_anonymous true",)) -> None:
        self.port = free_port()
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self._folder / "mosquitto.conf"
        lines = [*self._settings, "persistence false", "log_dest none"]
        if os.geteuid() == 0:
            lines.append("user root")
        config.write_text("\n".join([f"listener {self.port} 127.0.0.1", *lines]) + "\n")
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send_signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Hears all of a broker. `heard`: messages in order; `kept`: what stands at each topic that the broker keeps."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.heard: list[tuple[str, bytes]] = []
        self.kept: dict[str, bytes] = {}

    def on(self, topic: str) -> list[bytes]:
        return [payload for heard, payload in self.heard if heard == topic]

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            topic = message.topic.value
            self.heard.append((topic, message.payload))
            if message.payload:
                self.kept[topic] = message.payload
            else:
                self.kept.pop(topic, None)


@asynccontextmanager
async def listening(port: int, **options: object) -> AsyncIterator[Listener]:
    async with aiomqtt.Client("127.0.0.1", port, **options) as client:  # type: ignore[arg-type]
        listener = Listener(client)
        await client.subscribe("#", qos=1)
        task = asyncio.create_task(listener.listen())
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def kept_by(port: int, **options: object) -> dict[str, bytes]:
    """What the broker keeps now, by topic."""
    async with listening(port, **options) as listener:
        await listener.client.publish("end/of/it", b"x", qos=1)
        await until(lambda: listener.on("end/of/it"))
        return {topic: payload for topic, payload in listener.kept.items() if topic != "end/of/it"}


class LocalNet:
    """Names of tests are of this machine. `refused`: the error for all of them."""

    def __init__(self, refused: Exception | None = None) -> None:
        self.refused = refused
        self.asked: list[str] = []

    async def address(self, host: str) -> str:
        self.asked.append(host)
        if self.refused is not None:
            raise self.refused
        return "127.0.0.1" if host == "localhost" or host.endswith(".test") else host


class FixedDirectory:
    def __init__(self, cameras: Sequence[CameraFacts]) -> None:
        self.listed = list(cameras)

    async def cameras(self) -> list[CameraFacts]:
        return self.listed

    async def picture(self, camera_id: str) -> bytes:
        return JPEG + camera_id.encode()


class NotedActions:
    """`open`: alerts that nobody has seen to; `done`: what was asked for."""

    def __init__(self) -> None:
        self.open: list[AlertRecord] = []
        self.done: list[tuple[str, str, float | None, str]] = []

    async def acknowledge(self, alert_id: str, by: str) -> AlertRecord:
        self.done.append(("acknowledge", alert_id, None, by))
        return self._take(alert_id)

    async def snooze(self, alert_id: str, minutes: float, by: str) -> AlertRecord:
        self.done.append(("snooze", alert_id, minutes, by))
        return self._take(alert_id)

    async def newest(self, camera_id: str | None = None) -> AlertRecord | None:
        found = [alert for alert in self.open if camera_id in (None, alert.camera_id)]
        return found[-1] if found else None

    def _take(self, alert_id: str) -> AlertRecord:
        for alert in self.open:
            if alert.id == alert_id:
                self.open.remove(alert)
                return replace(alert, state="acknowledged")
        raise NotFound("There is no such alert.")


def camera(ident: str = "cam_1", name: str = "Front door", *watches: str, online: bool = True) -> CameraFacts:
    return CameraFacts(ident, name, online, tuple(WatchFacts(f"wat_{name}", name) for name in watches))


def hook_context(
    folder: Path,
    options: dict[str, object],
    cameras: Sequence[CameraFacts] = (),
    net: LocalNet | None = None,
    hook_id: str = "hook_1",
) -> HookContext:
    return HookContext(
        hook_id,
        "At home",
        options,
        SystemClock(),
        net or LocalNet(),
        FixedDirectory(cameras),
        NotedActions(),
        folder,
        "http://127.0.0.1:8099",
        secrets=SecretBox.of_folder(folder),
    )


DOOR = camera("cam_1", "Front door", "Person")
DOOR_TOPICS = Topics("joyvl").camera("cam_1", "Front door")


def context_at(port: int, folder: Path, *cameras: CameraFacts, **options: object) -> HookContext:
    return hook_context(folder, {"host": "localhost", "port": port} | options, cameras or (DOOR,))


@asynccontextmanager
async def running(sender: Sender) -> AsyncIterator[Any]:
    """As the server does: `run` is called again after a pause."""

    async def again() -> None:
        while True:
            with suppress(DeliveryFailed, NotAllowed):
                await sender.run()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(again())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def delivered(sender: Sender, number: int) -> None:
    """As the outbox does: again until it is taken."""
    while True:
        with suppress(DeliveryFailed):
            await sender.send(delivery(number))
            return
        await asyncio.sleep(0.05)


def delivery(number: int = 1, camera_id: str | None = "cam_1", picture: bytes = JPEG, **fields: object) -> Delivery:
    given = {"text": f"Somebody came, number {number}", "camera": "Front door", "event_id": f"evt_{number}", **fields}
    alert = AlertRecord(
        f"alr_{number}", "watch_fired", 1_700_000_000.0 + number, "Person", camera_id=camera_id, **given
    )  # type: ignore[arg-type]
    return Delivery(
        f"dlv_{number}", "new", 1, alert, Links("http://127.0.0.1:8099/v1/events/evt_1/thumbnail.jpg"), picture
    )
