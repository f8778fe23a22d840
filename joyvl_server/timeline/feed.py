"""Events of all sessions as they are written, for readers that resume after any event that is still kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from joyvl_server.core.errors import NotFound
from joyvl_server.store.events import EventFilter, EventRecord, Events, RemovedEvent

BACKLOG = 1024
PAGE = 200
"""Events read from the store at once"""


class ReaderTooSlow(Exception):
    """The reader fell behind what is held in memory; it should connect once more and resume."""


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """An event that was told before, or is older, as it is now."""

    event: EventRecord


class EventFeed:
    """Holds the newest events, and the newest changes of events, in memory; readers are positions in them, so a slow
    one costs nothing and blocks nobody.

    `start` before the first reader.
    """

    def __init__(self, events: Events, backlog: int = BACKLOG) -> None:
        self._events = events
        self._backlog = backlog
        self._newest: deque[EventRecord] = deque()
        self._before = 0
        """`seq`: every event after this one is held, unless it is deleted"""
        self._changes: OrderedDict[str, tuple[int, EventRecord]] = OrderedDict()
        """By id the last change of an event, with its number, the oldest first"""
        self._changed = 0
        """number of the last change"""
        self._changed_before = 0
        """every change after this one is held"""
        self._waiters: set[asyncio.Future[None]] = set()
        events.on_written(self._written)
        events.on_removed(self._removed)
        events.on_changed(self._take_change)

    async def start(self) -> None:
        """Raises `StoreError`. Cancelling it changes nothing."""
        self._before = max(self._before, await self._events.last_seq()) if not self._newest else self._before

    async def since(self, last_id: str | None, wanted: EventFilter) -> EventReader:
        """What is written after that event, and matches; without one, or where it is not kept any more, what comes
        from now on. Raises `StoreError`. Cancelling it changes nothing."""
        if last_id is not None:
            try:
                return EventReader(self, wanted, (await self._events.get(last_id)).seq, unknown=False)
            except NotFound:
                pass
        return EventReader(self, wanted, await self._events.last_seq(), unknown=last_id is not None)

    def _written(self, event: EventRecord) -> None:
        self._newest.append(event)
        if len(self._newest) > self._backlog:
            self._before = self._newest.popleft().seq
        self._wake()

    def _take_change(self, event: EventRecord) -> None:
        if event.seq > self._before:  # who comes later gets it as it is now
            self._newest = deque(event if held.id == event.id else held for held in self._newest)
        self._changed += 1
        self._changes.pop(event.id, None)
        self._changes[event.id] = (self._changed, event)
        if len(self._changes) > self._backlog:
            _, (self._changed_before, _) = self._changes.popitem(last=False)
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _changes_after(self, number: int) -> list[EventRecord]:
        """In the order of the changes."""
        fresh = takewhile(lambda change: change[0] > number, reversed(self._changes.values()))
        return [event for _, event in fresh][::-1]

    def _removed(self, removed: Sequence[RemovedEvent]) -> None:
        gone = {event.id for event in removed}
        self._newest = deque(event for event in self._newest if event.id not in gone)
        for id in gone:
            self._changes.pop(id, None)

    async def _next(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class EventReader:
    """An async iterator of events in the order of writing, and from now on of their changes, each after its event. Of
    several changes of one event the last one may stand for all. `unknown`: the event to resume after is not kept."""

    def __init__(self, feed: EventFeed, wanted: EventFilter, position: int, *, unknown: bool) -> None:
        self.unknown = unknown
        self._feed = feed
        self._wanted = wanted
        self._position = position
        self._page: deque[EventRecord | ChangedEvent] = deque()
        self._seen_change = feed._changed
        self._live = False

    def __aiter__(self) -> EventReader:
        return self

    async def __anext__(self) -> EventRecord | ChangedEvent:
        """Raises `ReaderTooSlow`, `StoreError`. Cancelled, it misses nothing: the next call goes on."""
        while True:
            if self._page:
                return self._page.popleft()
            if self._position < self._feed._before:
                if self._live:
                    raise ReaderTooSlow("events were written faster than they were read")
                await self._read()
                continue
            self._live = True
            fresh = list(takewhile(lambda event: event.seq > self._position, reversed(self._feed._newest)))
            if fresh:
                self._position = fresh[0].seq
                self._page.extend(event for event in reversed(fresh) if self._wanted.matches(event))
            elif self._seen_change < self._feed._changed:
                self._take_changes()
            else:
                await self._feed._next()

    def _take_changes(self) -> None:
        if self._seen_change < self._feed._changed_before:
            raise ReaderTooSlow("events were changed faster than they were read")
        fresh = self._feed._changes_after(self._seen_change)
        self._seen_change = self._feed._changed
        self._page.extend(ChangedEvent(event) for event in fresh if self._wanted.matches(event))

    async def _read(self) -> None:
        found, position = await self._feed._events.after(self._position, self._wanted, PAGE)
        self._page.extend(found)
        # Where nothing follows in the store, what was before it is deleted.
        self._position = position if position > self._position else self._feed._before
