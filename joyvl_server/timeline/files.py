"""Pictures and clips of events: written off the loop, within a quota, the oldest go first."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from joyvl_server.core.errors import NotFound, StoreError, why_of
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.settings import TimelineSettings
from joyvl_server.store.events import EventRecord, Events, RemovedEvent
from joyvl_server.timeline.day_folders import DayFolders, Suffix
from joyvl_server.timeline.quota import FileQuota

log = structlog.get_logger(__name__)

MAX_WAITING = 512
MAX_WAITING_BYTES = 64_000_000
"""Pictures that wait for the disk; further ones are dropped, and their events stay without."""
DISK_S = 20.0
"""Seconds that the disk may take over one batch."""
BATCH = 32
MAX_LEFT = 10_000
"""Deleted events whose files are tried once more; those of further ones go with the next sweep."""
LOOK_S = 60.0
SWEEP_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class WaitingPicture:
    path: Path
    jpeg: bytes


class TimelineFiles:
    """`run` as long as the server runs. One batch is written at a time, in the order in which they were given."""

    def __init__(self, root: Path, settings: TimelineSettings, events: Events, clock: Clock) -> None:
        self.folders = DayFolders(root)
        self.dropped = 0
        """pictures that were not written"""
        self.quota = FileQuota(self.folders, settings, events, clock)
        self._events = events
        self._clock = clock
        self._threads = BoundedThreads("timeline-files", limit=1, timeout_s=DISK_S)
        self._pictures: dict[str, WaitingPicture] = {}
        self._bytes = 0
        self._gone: list[RemovedEvent] = []
        self._changed = asyncio.Event()
        self._working = asyncio.Lock()
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """A sentence while pictures cannot be written."""
        return self._fault

    @property
    def waiting(self) -> int:
        """Pictures that wait for the disk."""
        return len(self._pictures)

    def put(self, event: EventRecord, jpeg: bytes) -> bool:
        """Queue the picture of an event that is being posted. False where it is dropped; nobody waits."""
        if len(self._pictures) >= MAX_WAITING or self._bytes + len(jpeg) > MAX_WAITING_BYTES:
            self._failed(1, f"The disk does not keep up: {len(self._pictures)} pictures wait for it.")
            return False
        self._pictures[event.id] = WaitingPicture(self.folders.path(event.id, event.wall, ".jpg"), jpeg)
        self._bytes += len(jpeg)
        self._changed.set()
        return True

    def remove(self, removed: Sequence[RemovedEvent]) -> None:
        """Remove the files of deleted events; nobody waits."""
        for event in removed:
            if (waiting := self._pictures.pop(event.id, None)) is not None:
                self._bytes -= len(waiting.jpeg)
        self._gone += [event for event in removed if event.files]
        self._changed.set()

    async def removed(self) -> None:
        """Wait until the files of all events that were deleted so far are removed. Raises `StoreError` where some
        cannot be: they are tried again. Cancelling it only ends the wait."""
        if not await self._work():
            raise StoreError("Files of deleted events cannot be removed yet.", code="store_io")

    async def picture(self, event: EventRecord) -> bytes:
        """The JPEG. Raises `NotFound` (no_picture), `StoreError`. Cancelling it changes nothing."""
        waiting = self._pictures.get(event.id)
        if waiting is not None:
            return waiting.jpeg
        path = self.folders.path(event.id, event.wall, ".jpg")
        try:
            if event.picture:
                return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            self._events.pictures_gone([event.id])
        except OSError as error:
            raise StoreError(f"The picture cannot be read: {error.strerror}.", code="store_io") from error
        raise NotFound(f"There is no picture of the event {event.id}.", code="no_picture")

    def clip(self, event: EventRecord) -> Path:
        """Where its clip lies, if there is one."""
        return self.folders.path(event.id, event.wall, ".mp4")

    async def unfinished(self, event: EventRecord, suffix: Suffix = ".mp4") -> Path:
        """A path for a file that takes a while; `take_over` gives it its place. Raises `OSError`, `TimeoutError`."""
        return await self._threads.run(lambda: self.folders.temporary(event.id, suffix))

    async def take_over(self, temporary: Path, event: EventRecord, suffix: Suffix = ".mp4") -> int:
        """Give a finished file its place; its size in bytes. Raises `OSError`, `TimeoutError`, `StoreError`.

        Where the event is deleted by now the file is removed: `Events.set_clip` says so. Cancelled, it may be done all
        the same.
        """
        path = self.folders.path(event.id, event.wall, suffix)
        size = await self._threads.run(lambda: self.folders.take_over(temporary, path))
        try:
            there = event.id in await self._events.known([event.id])
        except StoreError:
            await self._threads.run(lambda: self.folders.remove([path]))
            raise
        if not there:
            await self._threads.run(lambda: self.folders.remove([path]))
            return size
        self.quota.used += size
        self._changed.set()
        return size

    # --------------------------------------------------------------------------------------------------- its own task

    async def clear_unfinished(self) -> None:
        """Remove what an earlier run has not finished; before `run`, and before anybody writes. Cancelled, it goes on
        by itself."""
        with suppress(TimeoutError):
            await self._threads.run(self.folders.clear_unfinished)

    async def run(self) -> None:
        """Write and remove what comes, keep to the quota, sweep now and then. Cancelled, it ends; see `aclose`."""
        await self._swept()
        swept = self._clock.monotonic()
        while True:
            await self._wait()
            await self._work()
            try:
                await self.quota.keep_to(self._threads)
                if self._clock.monotonic() - swept >= SWEEP_S:
                    swept = self._clock.monotonic()
                    await self._swept()
            except (OSError, StoreError, TimeoutError) as error:
                log.warning("old files of the timeline cannot be removed", error=why_of(error))

    async def aclose(self) -> None:
        """Write what waits, as far as the disk takes it. Cancelled, pictures are lost; the events stay."""
        while (self._pictures or self._gone) and self._fault is None:
            if not await self._work():
                return

    async def _wait(self) -> None:
        coming = asyncio.ensure_future(self._changed.wait())
        looking = asyncio.ensure_future(self._clock.sleep(LOOK_S))
        try:
            await asyncio.wait({coming, looking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()
            looking.cancel()
        self._changed.clear()

    async def _swept(self) -> None:
        try:
            await self.quota.sweep(self._threads)
        except (OSError, StoreError, TimeoutError) as error:
            log.warning("the files of the timeline cannot be looked through", error=why_of(error))

    async def _work(self) -> bool:
        """All that waits, a batch at a time. False where files could not be removed: they wait for the next time."""
        left: list[RemovedEvent] = []
        async with self._working:
            while self._pictures or self._gone:
                gone, self._gone = self._gone, []
                batch = dict(list(self._pictures.items())[:BATCH])
                if batch:
                    await self._write(batch)
                if gone:
                    left += await self._remove(gone)
            self._gone += left[:MAX_LEFT]
        return not left

    async def _write(self, batch: dict[str, WaitingPicture]) -> None:
        failed: dict[str, OSError] = {}

        def work() -> int:
            size = 0
            for id, picture in batch.items():
                try:
                    self.folders.write(picture.path, picture.jpeg)
                    size += len(picture.jpeg)
                except OSError as error:
                    failed[id] = error
            return size

        try:
            self.quota.used += await self._threads.run(work)
        except TimeoutError:
            error = OSError(errno.ETIMEDOUT, f"it did not answer within {DISK_S:g} s")
            failed = dict.fromkeys(batch, error)
        finally:
            for id, picture in batch.items():
                if self._pictures.pop(id, None) is not None:
                    self._bytes -= len(picture.jpeg)
        if failed:
            first = next(iter(failed.values()))
            self._events.pictures_gone(failed)
            self._failed(len(failed), f"Pictures cannot be written to {self.folders.root}: {first.strerror}.")
        elif self._fault is not None:
            log.info("pictures of the timeline are written again", lost=self.dropped)
            self._fault = None

    async def _remove(self, gone: list[RemovedEvent]) -> list[RemovedEvent]:
        """Those of which something is left."""
        paths = {event.id: self.folders.of(event.id, event.wall) for event in gone}

        def work() -> tuple[int, list[RemovedEvent]]:
            freed = self.folders.remove([path for several in paths.values() for path in several])
            return freed, [event for event in gone if any(os.path.lexists(path) for path in paths[event.id])]

        try:
            freed, left = await self._threads.run(work)
        except TimeoutError:
            left = gone
        else:
            self.quota.used -= freed
        if left:
            log.warning("files of deleted events cannot be removed yet", events=len(left))
        return left

    def _failed(self, count: int, why: str) -> None:
        self.dropped += count
        if self._fault is None:
            log.error("events stay without pictures", reason=why)
        self._fault = why
