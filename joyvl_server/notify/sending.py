"""One sender, as the outbox uses it: one thing at a time, each within a bound, whatever it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.masking import mask_text
from joyvl_server.notify.base import Delivery, DeliveryFailed, Links, Sender, Sent, StateChange
from joyvl_server.settings.alerts import AlertSettings
from joyvl_server.store.alerts.alerts import Alerts
from joyvl_server.store.alerts.deliveries import Deliveries
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord

log = structlog.get_logger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
STATES = 256
"""changes that may wait to be told to one sender; then the oldest are dropped"""
GRACE_S = 5.0
"""what a sender may take beside `send`"""


class Enclosures(Protocol):
    """What goes along with an alert."""

    async def links(self, alert: AlertRecord) -> Links:
        """Raises `StoreError`. Cancelling it changes nothing."""

    async def picture(self, alert: AlertRecord) -> bytes:
        """Its JPEG, empty where there is none. Cancelling it changes nothing."""


class AlertCounter(Protocol):
    """Counts what alerts do."""

    def alert(self, kind: str) -> None:
        """There is a new one."""

    def message(self, kind: str, outcome: str) -> None:
        """What came of a try; `kind`: of the hook."""


@dataclass(frozen=True, slots=True)
class OutboxParts:
    """What every worker uses."""

    settings: AlertSettings
    clock: Clock
    alerts: Alerts
    deliveries: Deliveries
    enclosures: Enclosures
    counter: AlertCounter


@dataclass(slots=True)
class Sending:
    """The message under way. `unwanted`: somebody has acknowledged its alert meanwhile."""

    delivery: DeliveryRecord
    unwanted: bool = False
    task: asyncio.Task[Sent] | None = field(default=None, repr=False)


class Unwanted(Exception):
    """Somebody acknowledged the alert while a next contact was being told of it."""


class SenderRunner:
    """`run` and `tell_changes` work until they are cancelled; `aclose` afterwards."""

    def __init__(self, name: str, sender: Sender, parts: OutboxParts) -> None:
        self._name = name
        self._sender = sender
        self._parts = parts
        self._alone = asyncio.Lock()
        self._changes: asyncio.Queue[StateChange] = asyncio.Queue(STATES)

    @property
    def fault(self) -> str:
        return self._sender.fault

    def changed(self, change: StateChange) -> None:
        if self._changes.full():
            self._changes.get_nowait()
        self._changes.put_nowait(change)

    async def aclose(self, *, removed: bool = False) -> None:
        """`removed`: the hook was deleted. Cancelled, the sender may keep something open."""
        with suppress(Exception):  # somebody else's code, which nobody needs any more
            if removed:
                async with asyncio.timeout(GRACE_S):
                    await self._sender.removed()
        with suppress(Exception):
            async with asyncio.timeout(GRACE_S):
                await self._sender.aclose()

    async def send(self, delivery: DeliveryRecord, alert: AlertRecord, sending: Sending | None = None) -> Sent:
        """Raises `DeliveryFailed`, whatever the sender raised, and `Unwanted`."""
        enclosures = self._parts.enclosures
        links, picture = Links(), b""
        with suppress(StoreError, TimeoutError):  # without them it is sent all the same
            async with asyncio.timeout(GRACE_S):
                links = await enclosures.links(alert)
                picture = await enclosures.picture(alert) if self._sender.wants_picture else b""
        message = Delivery(delivery.id, delivery.reason, delivery.attempts + 1, alert, links, picture)
        async with self._alone:
            task = asyncio.create_task(self._bounded(self._sender.send(message)), name=f"message to {self._name}")
            if sending is not None:
                sending.task = task
                if sending.unwanted:
                    task.cancel()
            try:
                return await task
            except asyncio.CancelledError:
                if sending is not None and sending.unwanted and task.cancelled():
                    raise Unwanted from None
                if task.cancelled() and not _cancelled():
                    raise DeliveryFailed("It ended without an answer.") from None
                task.cancel()
                raise
            except DeliveryFailed:
                raise
            except TimeoutError:
                limit_s = self._parts.settings.timeout_s
                raise DeliveryFailed(f"It took longer than {limit_s:g} s.") from None
            except Exception as error:  # somebody else's code: whatever it raises, the next try may work
                log.exception("a sender failed", hook=self._name)
                raise DeliveryFailed(mask_text(f"{type(error).__name__}: {error}")) from error

    async def _bounded(self, sending: Awaitable[Sent]) -> Sent:
        async with asyncio.timeout(self._parts.settings.timeout_s + GRACE_S):
            return await sending

    async def run(self) -> None:
        pauses = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                await self._sender.run()
                return
            except (Exception, asyncio.CancelledError) as error:  # somebody else's code: it is started again
                if _cancelled():
                    raise
                if not pauses.failures:
                    log.warning("hook fails", hook=self._name, error=mask_text(f"{type(error).__name__}: {error}"))
            await self._parts.clock.sleep(pauses.failed())

    async def tell_changes(self) -> None:
        failing = False
        while True:
            change = await self._changes.get()
            try:
                async with self._alone, asyncio.timeout(self._parts.settings.timeout_s):
                    await self._sender.state_changed(change)
                failing = False
            except (Exception, asyncio.CancelledError) as error:  # somebody else's code: it is told of the next change
                if _cancelled():
                    raise
                if not failing:
                    log.warning("hook is not told of changes", hook=self._name, error=mask_text(str(error)))
                failing = True


def _cancelled() -> bool:
    """Does somebody want the task that runs to end? Else a sender has cancelled itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
