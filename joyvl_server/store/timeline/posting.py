"""An event on its way into the store: the work for the writer's thread, and what follows after the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.timeline import writing
from joyvl_server.store.timeline.listeners import EventListeners
from joyvl_server.store.timeline.records import EventRecord, RemovedEvent


class EventTrim:
    """At every `every`th event the oldest are deleted where there are more than `limit`, a batch at a time."""

    def __init__(self, limit: int, every: int, batch: int) -> None:
        self.limit = limit
        self.every = every
        self.batch = batch


class PostedEvent:
    """Give it to `Database.post`, as the work and as its listener. Without an `event` it only deletes the oldest."""

    def __init__(self, db: Database, listeners: EventListeners, trim: EventTrim, event: EventRecord | None) -> None:
        self._db = db
        self._listeners = listeners
        self._trim = trim
        self._event = event
        self._written: EventRecord | None = None
        self._removed: list[RemovedEvent] = []
        self._refused = False
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):  # no loop, nobody to tell
            self._loop = asyncio.get_running_loop()

    def __call__(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread; once more where the commit failed."""
        self._written, self._removed, self._refused = None, [], False
        if self._event is not None:
            seq = writing.insert(connection, self._event)
            if seq is None:
                self._refused = writing.read(connection, self._event.id) is None
                return
            self._written = replace(self._event, seq=seq)
            self._listeners.inserting(connection, self._written)
            if seq % self._trim.every:
                return
        self._removed = writing.delete_oldest(connection, self._trim.limit, self._trim.batch)
        self._listeners.deleting(connection, self._removed)

    def settled(self, *, kept: bool) -> None:
        """The writer's answer, in its thread."""
        if self._event is not None and (self._refused or not kept):
            self._tell(None, [RemovedEvent.of(self._event)])
        if not kept:
            return
        if len(self._removed) == self._trim.batch:  # there may be more
            more = PostedEvent(self._db, self._listeners, self._trim, None)
            more._loop = self._loop
            self._db.post(more, listener=more)
        if self._written is not None or self._removed:
            self._tell(self._written, self._removed)

    def _tell(self, written: EventRecord | None, removed: Sequence[RemovedEvent]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._listeners.tell, written, removed)


class PostedChange:
    """A change of some events that nobody awaits. Give it to `Database.post`, as the work and as its listener."""

    def __init__(self, listeners: EventListeners, query: str, changes: Sequence[tuple[str, ...]]) -> None:
        """`query` is run with each of `changes`, which end with the id of an event."""
        self._listeners = listeners
        self._query = query
        self._changes = changes
        self._changed: list[EventRecord] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):  # no loop, nobody to tell
            self._loop = asyncio.get_running_loop()

    def __call__(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread; once more where the commit failed."""
        self._changed = []
        for change in self._changes:
            if connection.execute(self._query, change).rowcount:
                event = writing.read(connection, change[-1])
                self._changed += [] if event is None else [event]

    def settled(self, *, kept: bool) -> None:
        """The writer's answer, in its thread."""
        if kept and self._changed and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._listeners.tell_changed, self._changed)
