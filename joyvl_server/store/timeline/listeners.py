"""Who hears of events: inside the transaction that writes or deletes them, and on the event loop after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from joyvl_server.store.sqlite.errors import is_storage_fault
from joyvl_server.store.timeline.records import EventRecord, RemovedEvent

log = structlog.get_logger(__name__)


class InsertListener(Protocol):
    """Runs in the writer's thread, inside the transaction that writes the event; it may write, too.

    The event has its `seq`. What it raises undoes what it wrote, is logged, and does not touch the event. It runs again
    where a commit fails.
    """

    def __call__(self, connection: sqlite3.Connection, event: EventRecord, /) -> None: ...


class DeleteListener(Protocol):
    """The same for events that are deleted."""

    def __call__(self, connection: sqlite3.Connection, removed: Sequence[RemovedEvent], /) -> None: ...


WrittenCallback = Callable[[EventRecord], None]
"""On the event loop, after the commit, in the order of writing."""
RemovedCallback = Callable[[Sequence[RemovedEvent]], None]
"""On the event loop, after the commit. Also of events that were posted and are not taken."""
ChangedCallback = Callable[[EventRecord], None]
"""On the event loop, after the commit: an event as it is now."""


class EventListeners:
    """All of them, each with a failure edge of its own."""

    def __init__(self) -> None:
        self.insert: list[InsertListener] = []
        self.delete: list[DeleteListener] = []
        self.written: list[WrittenCallback] = []
        self.removed: list[RemovedCallback] = []
        self.changed: list[ChangedCallback] = []

    def inserting(self, connection: sqlite3.Connection, event: EventRecord) -> None:
        """For the writer's thread. Raises `sqlite3.Error` where the disk fails."""
        for listener in self.insert:
            _guarded(connection, lambda listener=listener: listener(connection, event))  # type: ignore[misc]

    def deleting(self, connection: sqlite3.Connection, removed: Sequence[RemovedEvent]) -> None:
        """For the writer's thread. Raises `sqlite3.Error` where the disk fails."""
        for listener in self.delete if removed else ():
            _guarded(connection, lambda listener=listener: listener(connection, removed))  # type: ignore[misc]

    def tell(self, written: EventRecord | None, removed: Sequence[RemovedEvent]) -> None:
        """For the event loop."""
        for callback in self.written if written is not None else ():
            _told(lambda callback=callback: callback(written))  # type: ignore[misc]
        for dropped in self.removed if removed else ():
            _told(lambda dropped=dropped: dropped(removed))  # type: ignore[misc]

    def tell_changed(self, events: Sequence[EventRecord]) -> None:
        """For the event loop."""
        for event in events:
            for callback in self.changed:
                _told(lambda callback=callback, event=event: callback(event))  # type: ignore[misc]


def _guarded(connection: sqlite3.Connection, work: Callable[[], None]) -> None:
    """What others do inside our transaction: where it fails, it alone is undone."""
    connection.execute("SAVEPOINT listener")
    try:
        work()
    except Exception as error:  # a listener's failure is its own
        if is_storage_fault(error):
            raise
        connection.execute("ROLLBACK TO listener")
        log.exception("a listener of the timeline failed")
    connection.execute("RELEASE listener")


def _told(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:  # a listener's failure is its own
        log.exception("a listener of the timeline failed")
