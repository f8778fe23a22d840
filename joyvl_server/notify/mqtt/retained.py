"""What the broker shall keep of a hook, and what it does keep: the difference is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Set
from typing import Protocol, TypeVar

import structlog

from joyvl_server.notify.mqtt.published import PublishedTopics

log = structlog.get_logger(__name__)

_Item = TypeVar("_Item")
AT_ONCE = 16
"""messages under way"""


class Publisher(Protocol):
    async def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None: ...


class Retained:
    """One sync at a time. `published` remembers the topics; payloads are remembered while the server runs."""

    def __init__(self, published: PublishedTopics) -> None:
        self._published = published
        self._sent: dict[str, bytes] = {}
        self._failing = False

    def known(self, topic: str) -> bool:
        """Was anything published there, by us or an earlier run?"""
        return topic in self._published.topics

    def lost(self) -> None:
        """The broker may have forgotten all: the next sync sends it again."""
        self._sent.clear()

    async def sync(self, client: Publisher, wanted: Mapping[str, bytes | None]) -> None:
        """Publish what is new or different, remove what is not wanted. None: what stands there is left as it is.

        Where the disk refuses to remember topics, new ones wait. Raises what `publish` raises. Cancelled, the next
        sync does the rest.
        """
        before = self._published.topics
        wanted = {topic: payload for topic, payload in wanted.items() if payload is not None or topic in before}
        # Remembered before it is published, so that a server that is killed leaves nothing that it does not know of.
        if not await self._remembered(before | wanted.keys()):
            wanted = {topic: payload for topic, payload in wanted.items() if topic in before}
        await remove(client, gone := before - wanted.keys())
        for topic in gone:
            self._sent.pop(topic, None)
        fresh = {
            topic: payload
            for topic, payload in wanted.items()
            if payload is not None and self._sent.get(topic) != payload
        }
        for some in _batches(list(fresh.items())):
            await asyncio.gather(*(client.publish(topic, payload, qos=1, retain=True) for topic, payload in some))
            self._sent.update(some)
        await self._remembered(wanted.keys())

    async def _remembered(self, topics: Set[str]) -> bool:
        try:
            await asyncio.to_thread(self._published.replace, topics)
        except OSError as error:
            if not self._failing:
                log.error("topics at an MQTT broker cannot be written down", error=error.strerror)
            self._failing = True
            return False
        self._failing = False
        return True


async def remove(client: Publisher, topics: Iterable[str]) -> None:
    """An empty message makes the broker forget a topic, and Home Assistant an entity. Raises as `publish` does."""
    for some in _batches(sorted(topics)):
        await asyncio.gather(*(client.publish(topic, b"", qos=1, retain=True) for topic in some))


def _batches(items: list[_Item]) -> Iterable[list[_Item]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
