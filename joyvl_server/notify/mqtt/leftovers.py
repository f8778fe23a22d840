"""Removes from brokers what hooks that are gone have left there, as soon as the broker can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from pathlib import Path

import aiomqtt
import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import NetCheck
from joyvl_server.notify.mqtt.broker import Broker, client_id
from joyvl_server.notify.mqtt.published import LEFT, BrokerTopics
from joyvl_server.notify.mqtt.retained import remove
from joyvl_server.store.secrets.box import SecretBox

log = structlog.get_logger(__name__)

GIVEN_UP_S = 30 * 86_400.0
"""A broker that was away for so long is gone, too."""


class Leftovers:
    """One for the server. `folder`: that of the MQTT hooks."""

    def __init__(self, folder: Path, net: NetCheck, clock: Clock, secrets: SecretBox) -> None:
        self._folder = folder
        self._net = net
        self._clock = clock
        self._secrets = secrets

    def gather(self, hook_ids: Container[str]) -> None:
        """Take over what belongs to none of these hooks: the server was killed while one was deleted. Blocks."""
        for file in self._folder.glob("*.json"):
            if file.stem not in hook_ids:
                (self._folder / LEFT).mkdir(mode=0o700, parents=True, exist_ok=True)
                file.touch()  # its age counts from now
                file.replace(self._folder / LEFT / f"{new_id('left')}.json")

    async def sweep(self) -> int:
        """Try each once; returns how many are left. Cancelled, the rest stays to be done."""
        files = await asyncio.to_thread(lambda: sorted((self._folder / LEFT).glob("*.json")))
        left = 0
        for file in files:
            if not await self.take_back(file):
                left += 1
        return left

    async def take_back(self, file: Path) -> bool:
        """Remove what one file lists, and the file; False where the broker is away. Cancelled, it stays to be done."""
        found = await asyncio.to_thread(BrokerTopics.read, file, self._secrets)
        try:
            if found is not None and found.topics:
                await self._remove(found)
        except (JoyvlError, aiomqtt.MqttError, OSError) as error:
            log.debug("an MQTT broker still keeps topics of a hook that is gone", error=str(error)[:200])
            try:
                written = (await asyncio.to_thread(file.stat)).st_mtime
            except OSError:
                return True
            if self._clock.wall() - written < GIVEN_UP_S:
                return False
            log.warning("topics of a hook that is gone stay at its MQTT broker, which is away", host=_host(found))
        await asyncio.to_thread(file.unlink, missing_ok=True)
        return True

    async def _remove(self, found: BrokerTopics) -> None:
        # As the hook itself: then the broker has ended its connection, and nothing of that comes afterwards.
        broker = Broker(found.options, self._net, client_id(found.hook_id))
        async with broker.connected() as client:
            gone = found.topics - await asyncio.to_thread(self._in_use, found)
            await remove(client, gone)

    def _in_use(self, found: BrokerTopics) -> frozenset[str]:
        """Topics that hooks of now have at that broker. Blocks."""
        others = (BrokerTopics.read(file, self._secrets) for file in self._folder.glob("*.json"))
        ours = (other.topics for other in others if other is not None and other.options.same_broker(found.options))
        return frozenset().union(*ours)


def _host(found: BrokerTopics | None) -> str:
    return found.options.host if found is not None else ""
