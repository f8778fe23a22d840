"""The timeline: events with their pictures and clips, and the stream of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.settings import TimelineSettings
from joyvl_server.store.events import EventFilter, EventRecord, Events
from joyvl_server.timeline.feed import EventFeed
from joyvl_server.timeline.files import TimelineFiles

log = structlog.get_logger(__name__)

FOLDER = "timeline"
RETRY_S = 30.0


class Timeline:
    """`start` before use, `aclose` before the store is closed. `settings` are those of pictures and clips."""

    def __init__(self, data_dir: Path, settings: TimelineSettings, events: Events, clock: Clock) -> None:
        self.settings = settings
        self.events = events
        self.files = TimelineFiles(data_dir / FOLDER, settings, events, clock)
        self.feed = EventFeed(events)
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        events.on_removed(self.files.remove)

    async def start(self) -> None:
        """Begin to write files, and to make events of older versions searchable. Cancelled, it may have begun."""
        await self.feed.start()
        await self.files.clear_unfinished()
        self._tasks = [
            asyncio.create_task(self._write_files(), name="timeline files"),
            asyncio.create_task(self._index_old(), name="index old events"),
        ]

    async def aclose(self) -> None:
        """Write what waits. Cancelled, pictures may be lost; the events stay."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.files.aclose()

    def post(self, event: EventRecord, picture: bytes = b"") -> EventRecord:
        """Queue the event, and its picture (a JPEG), to be written; nobody waits. The event as it was queued."""
        if picture:
            event = replace(event, picture=self.files.put(event, picture))
        self.events.post(event)
        return event

    async def delete(self, ids: Iterable[str]) -> int:
        """Delete these with their files; how many there were. See `Events.delete`. Raises `StoreError`."""
        count = await self.events.delete(ids)
        await self.files.removed()
        return count

    async def delete_matching(self, wanted: EventFilter) -> int:
        """The same for all that match now. See `Events.delete_matching`. Raises `StoreError`."""
        count = await self.events.delete_matching(wanted)
        await self.files.removed()
        return count

    async def said_around(self, events: list[EventRecord]) -> dict[str, list[str]]:
        """By event id what people said or typed while its clip shows it, oldest first. See `Events.said_around`."""
        return await self.events.said_around(events, self.settings.before_s, self.settings.after_s)

    async def _write_files(self) -> None:
        while True:
            try:
                await self.files.run()
            except Exception:  # a supervisor's edge: events need no files
                log.exception("the files of the timeline are looked after no more; they are tried again")
            await self._clock.sleep(RETRY_S)

    async def _index_old(self) -> None:
        while True:
            try:
                return await self.events.index_old()
            except StoreError as error:
                log.warning("old events cannot be made searchable now", error=str(error))
            await self._clock.sleep(RETRY_S)
