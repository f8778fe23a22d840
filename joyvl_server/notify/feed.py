"""Tells what has changed in alerts, in order. Each change has a number that also holds after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.store.alerts.alerts import Alerts
from joyvl_server.store.alerts.records import AlertRecord

log = structlog.get_logger(__name__)

RECHECK_S = 30.0
RETRY_S = 1.0
BATCH = 200
BACKLOG = 1000
"""changes that may wait for one subscriber"""


class AlertSubscription:
    """Iterate over it. It ends where its reader is too slow: `slow` is true then."""

    def __init__(self) -> None:
        self.slow = False
        self._waiting: asyncio.Queue[AlertRecord | None] = asyncio.Queue()

    def put(self, alert: AlertRecord) -> None:
        if self.slow:
            return
        if self._waiting.qsize() >= BACKLOG:
            self.slow = True
            self._waiting.put_nowait(None)
            return
        self._waiting.put_nowait(alert)

    async def __aiter__(self) -> AsyncIterator[AlertRecord]:
        while (alert := await self._waiting.get()) is not None:
            yield alert


class AlertListener(Protocol):
    """Hears what alerts do, on the event loop."""

    def alert_changed(self, alert: AlertRecord) -> None:
        """It is new or has changed."""

    def alerts_written(self) -> None:
        """Something may be new in the tables."""


class AlertFeed:
    """`run` works until it is cancelled; `wake` it when an alert may have changed."""

    def __init__(self, alerts: Alerts, clock: Clock, listener: AlertListener) -> None:
        """The `listener` hears of each change first."""
        self.seen = 0
        """the number of the newest change that was told"""
        self._alerts = alerts
        self._clock = clock
        self._listener = listener
        self._subscribers: set[AlertSubscription] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def start(self) -> None:
        """Begin with what is there now. Raises `StoreError`. Cancelling it changes nothing."""
        self.seen = await self._alerts.revision()

    async def run(self) -> None:
        """Cancelled, what was not told is known by its number all the same."""
        while True:
            self._wake.clear()
            try:
                changed = await self._alerts.changed(self.seen, BATCH)
                wait_s = RECHECK_S
            except StoreError as error:
                log.debug("changes of alerts cannot be read", error=str(error))
                changed, wait_s = [], RETRY_S
            for alert in changed:
                self.seen = max(self.seen, alert.revision)
                self._listener.alert_changed(alert)
                for subscriber in self._subscribers:
                    subscriber.put(alert)
            if not changed:
                await wait_until(self._clock, self._wake.wait(), self._clock.monotonic() + wait_s)

    @contextmanager
    def subscribed(self) -> Iterator[AlertSubscription]:
        """All changes from now on, until the block ends."""
        subscription = AlertSubscription()
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)

    async def missed(self, since: int) -> list[AlertRecord] | None:
        """What has changed since this number, as it is now; None where the number is not known here, or too much has.

        Raises `StoreError`. Cancelling it changes nothing.
        """
        newest = await self._alerts.revision()
        if not 0 <= since <= newest:
            return None
        changed = await self._alerts.changed(since, BACKLOG + 1)
        return None if len(changed) > BACKLOG else changed
