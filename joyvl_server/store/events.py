"""The timeline: what was said, which watch fired, which camera went away; and how it is found again."""

from __future__ import annotations

import asyncio
import builtins
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from joyvl_server.core.errors import NotFound, StoreError
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.timeline import reading, writing
from joyvl_server.store.timeline.listeners import (
    ChangedCallback,
    DeleteListener,
    EventListeners,
    InsertListener,
    RemovedCallback,
    WrittenCallback,
)
from joyvl_server.store.timeline.posting import EventTrim, PostedChange, PostedEvent
from joyvl_server.store.timeline.records import (
    REMARKS,
    TYPES,
    ClipState,
    EventCursor,
    EventFilter,
    EventRecord,
    EventType,
    RemovedEvent,
)

__all__ = [
    "REMARKS",
    "TYPES",
    "ClipState",
    "EventCursor",
    "EventFilter",
    "EventRecord",
    "EventType",
    "Events",
    "RemovedEvent",
]

log = structlog.get_logger(__name__)

KEPT = 1_000_000
"""Events that are kept (`store.max_events`)."""
TRIM_EVERY = 64
TRIM_BATCH = 1000
DELETE_BATCH = 200
MAX_PAGE = 1000
PAUSE_S = 0.05
"""between two batches of old events: others write too"""


class Events:
    """`kept`: events beyond this many are deleted by the writer, oldest first, a batch at a time; those that somebody
    keeps are left out."""

    def __init__(self, db: Database, *, kept: int = KEPT) -> None:
        self._db = db
        self._listeners = EventListeners()
        self._trim = EventTrim(kept, TRIM_EVERY, TRIM_BATCH)

    def on_insert(self, listener: InsertListener) -> None:
        """Hear of every event inside the transaction that writes it."""
        self._listeners.insert.append(listener)

    def on_delete(self, listener: DeleteListener) -> None:
        """Hear of every deleted event inside the transaction that deletes it."""
        self._listeners.delete.append(listener)

    def on_written(self, callback: WrittenCallback) -> None:
        """Hear of every event once it is written."""
        self._listeners.written.append(callback)

    def on_removed(self, callback: RemovedCallback) -> None:
        """Hear of deleted events once they are gone, and of posted ones that are not taken."""
        self._listeners.removed.append(callback)

    def on_changed(self, callback: ChangedCallback) -> None:
        """Hear of events whose picture or clip came or went, and of those that somebody keeps or lets go."""
        self._listeners.changed.append(callback)

    # ---------------------------------------------------------------------------------------------------- to write

    def post(self, event: EventRecord) -> None:
        """Queue it to be written; nobody waits. The same id twice is one event."""
        posted = PostedEvent(self._db, self._listeners, self._trim, event)
        if not self._db.post(posted, listener=posted):
            self._listeners.tell(None, [RemovedEvent.of(event)])

    async def keep(self, id: str, kept: bool) -> EventRecord:
        """The event as it is then. Raises `NotFound`. Cancelled, it may be written all the same."""
        return self._changed(_found(await self._db.write(lambda c: writing.keep(c, id, kept)), id))

    async def delete(self, ids: Iterable[str]) -> int:
        """Delete those that are there, kept ones too; how many. Cancelled, they may be deleted all the same."""
        wanted = tuple(ids)
        count = 0
        for start in range(0, len(wanted), DELETE_BATCH):
            count += await self._delete(wanted[start : start + DELETE_BATCH])
        return count

    async def delete_matching(self, wanted: EventFilter) -> int:
        """Delete all that match now, kept ones too (unless `wanted.kept` is False); how many.

        A batch at a time, newest first: cancelled, those that are deleted stay so.
        """
        now = replace(wanted, upto=await self.last_seq())
        count = 0
        while found := await self.list(now, limit=DELETE_BATCH):
            count += await self._delete([event.id for event in found])
        return count

    async def set_clip(
        self, id: str, state: ClipState, reason: str = "", bytes: int = 0, *, before_s: float | None = None
    ) -> EventRecord:
        """What became of its clip; `reason` is a sentence for people. Raises `NotFound` where the event is deleted.

        Cancelled, it may be written all the same.
        """
        query = "UPDATE events SET clip = ?, clip_reason = ?, clip_bytes = ?, clip_before_s = ? WHERE id = ?"

        def work(connection: sqlite3.Connection) -> EventRecord | None:
            connection.execute(query, (state, reason, bytes, before_s, id))
            return writing.read(connection, id)

        return self._changed(_found(await self._db.write(work), id))

    def pictures_gone(self, ids: Iterable[str]) -> None:
        """There is no picture of these. Nobody waits."""
        self._change("picture = 0 WHERE id = ? AND picture = 1", [(id,) for id in ids])

    def clips_gone(self, ids: Iterable[str], reason: str) -> None:
        """The clips of these are no more; `reason` is a sentence for people. Nobody waits."""
        values = "clip = 'deleted', clip_reason = ?, clip_bytes = 0, clip_before_s = NULL"
        self._change(f"{values} WHERE id = ? AND clip = 'ready'", [(reason, id) for id in ids])

    async def fail_clips(self, reason: str) -> None:
        """Clips that are being recorded come no more: at a start. Cancelled, it may be written all the same."""
        query = "UPDATE events SET clip = 'failed', clip_reason = ? WHERE clip = 'recording'"
        await self._db.write(lambda c: c.execute(query, (reason,)).rowcount)

    async def index_old(self) -> None:
        """Make events of an older version searchable, a batch at a time. Cancelled, it goes on with the next start."""
        begun = False
        while await self._db.write(writing.index_old) is not None:
            if not begun:
                log.info("events of an older version become searchable")
            begun = True
            await asyncio.sleep(PAUSE_S)
        if begun:
            log.info("events of an older version are searchable now")

    async def posted(self, wait_s: float) -> None:
        """Wait until what was posted by now is written, so long at most, and not where the disk refuses.

        Cancelling it only ends the wait.
        """
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(wait_s):
                await self._db.write(lambda c: None)

    # ----------------------------------------------------------------------------------------------------- to read

    async def get(self, id: str) -> EventRecord:
        """Raises `NotFound`. Cancelling it changes nothing."""
        return _found(await self._db.read(lambda c: writing.read(c, id)), id)

    async def list(
        self, wanted: EventFilter | None = None, *, limit: int = 100, before: str | None = None
    ) -> builtins.list[EventRecord]:
        """Newest first, at most `limit` (1 to 1000), all that match. `before`: the cursor of the last one of the page
        before, or its id. Raises `ValueError` where it is neither.

        "Newest" are those with the greatest id; with words those written last; with nothing but a time those whose
        time is the latest. Words without a letter or digit find nothing. Cancelling it changes nothing.
        """
        most = min(max(limit, 1), MAX_PAGE)
        cursor = None if before is None else EventCursor.read(before)
        return await self._db.read(lambda c: reading.newest(c, wanted or EventFilter(), most, cursor))

    async def last_seq(self) -> int:
        """`seq` of the event that was written last, 0 where there is none. Cancelling it changes nothing."""
        return await self._db.read(reading.last_seq)

    async def after(self, seq: int, wanted: EventFilter, limit: int) -> tuple[builtins.list[EventRecord], int]:
        """Those of the next `limit` events after that one that match, in the order of writing; and the `seq` of the
        last one that was looked at. Cancelling it changes nothing."""
        return await self._db.read(lambda c: reading.after(c, seq, wanted, limit))

    async def said_around(
        self, events: Iterable[EventRecord], before_s: float, after_s: float
    ) -> dict[str, builtins.list[str]]:
        """By event id what people said or typed from `before_s` before it to `after_s` after it, oldest first.

        Cancelling it changes nothing.
        """
        wanted = tuple(events)
        return await self._db.read(lambda c: reading.said_around(c, wanted, before_s, after_s)) if wanted else {}

    async def session_names(self, events: Iterable[EventRecord]) -> dict[str, str]:
        """By session id what these events' sessions are called: as their cameras, also once these are deleted.

        Cancelling it changes nothing.
        """
        wanted = tuple({event.session_id for event in events})
        query = f"SELECT id, name FROM sessions WHERE id IN ({','.join('?' * len(wanted))})"
        rows = await self._db.read(lambda c: c.execute(query, wanted).fetchall()) if wanted else []
        return {row["id"]: row["name"] for row in rows}

    async def known(self, ids: Iterable[str]) -> dict[str, bool]:
        """Those of the ids that there are, each with whether somebody keeps it. Cancelling it changes nothing."""
        wanted = tuple(ids)

        def work(connection: sqlite3.Connection) -> dict[str, bool]:
            found = (connection.execute("SELECT id, kept FROM events WHERE id = ?", (id,)).fetchone() for id in wanted)
            return {row["id"]: bool(row["kept"]) for row in found if row is not None}

        return await self._db.read(work)

    async def left_open(self) -> builtins.list[EventRecord]:
        """The newest event of each session that has started and not ended. Cancelling it changes nothing."""
        return await self._db.read(reading.left_open)

    # ---------------------------------------------------------------------------------------------------- inside

    def _change(self, change: str, values: Sequence[tuple[str, ...]]) -> None:
        if values:
            posted = PostedChange(self._listeners, f"UPDATE events SET {change}", values)
            self._db.post(posted, listener=posted)

    def _changed(self, event: EventRecord) -> EventRecord:
        self._listeners.tell_changed([event])
        return event

    async def _delete(self, ids: Sequence[str]) -> int:
        def work(connection: sqlite3.Connection) -> builtins.list[RemovedEvent]:
            removed = writing.delete(connection, ids)
            self._listeners.deleting(connection, removed)
            return removed

        removed = await self._db.write(work) if ids else []
        self._listeners.tell(None, removed)
        return len(removed)


def _found(event: EventRecord | None, id: str) -> EventRecord:
    if event is None:
        raise NotFound(f"There is no event {id[:80]}.")
    return event
