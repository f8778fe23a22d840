"""Takes what waits in the outbox to one hook: in order, at least once, again after a failure."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from joyvl_server.core.errors import NotFound, StoreError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import wait_until
from joyvl_server.notify.base import DeliveryFailed, Sender, StateChange
from joyvl_server.notify.sending import FIRST_RETRY_S, LONGEST_RETRY_S, OutboxParts, SenderRunner, Sending, Unwanted
from joyvl_server.store.alerts.deliveries import Attempt
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, DeliveryState, HookRecord

log = structlog.get_logger(__name__)

PAUSE_S = 1 / 19
"""between two messages to one hook: at most 20 in a second, also after an outage"""
LEAST_ATTEMPTS = 8
"""before a message is given up for its age: it may be old because the server did not run"""
RECHECK_S = 30.0
"""the outbox is looked at this often, should a word that something is in it be lost"""
BATCH = 20
WRITE_S = 2.0
"""that the disk may take to write down what was sent, when the worker is ended"""


@dataclass(slots=True)
class HookHealth:
    """How a hook is doing. `since`: monotonic time of the first failure in a row; `waiting`: is not counted here."""

    last_error: str | None = None
    since: float | None = None
    retry_in_s: float | None = None
    worked: bool = False
    """something was sent since the start"""

    @property
    def ok(self) -> bool:
        return self.last_error is None

    def failing_for(self, now: float) -> float:
        """Seconds up to the monotonic time `now`; 0 where the last message arrived."""
        return 0.0 if self.since is None else max(0.001, now - self.since)


@dataclass(slots=True)
class UrgentMessage:
    """One that is not in the outbox, as the disk refuses to write. `outcome`: what came of it, once that is settled."""

    delivery: DeliveryRecord
    alert: AlertRecord
    outcome: tuple[DeliveryState, Attempt] | None = None
    withdrawn: bool = False


class HookWorker:
    """One for each enabled hook. `run` works until it is cancelled."""

    def __init__(self, hook: HookRecord, sender: Sender, parts: OutboxParts) -> None:
        self.hook = hook
        self.health = HookHealth()
        self._sender = SenderRunner(hook.name, sender, parts)
        self._parts = parts
        self._clock = parts.clock
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._wake = asyncio.Event()
        self._again = asyncio.Event()
        """try again now"""
        self._sending: Sending | None = None
        self._urgent: deque[UrgentMessage] = deque(maxlen=BATCH)
        self._unwritten: dict[str, tuple[DeliveryState, Attempt]] = {}
        """what came of messages, while the disk refuses to write it down"""

    async def run(self) -> None:
        """Cancelled, the message under way may have arrived; it is sent once more at the next start."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sender.run())
            tasks.create_task(self._sender.tell_changes())
            tasks.create_task(self._send_all())

    @property
    def fault(self) -> str:
        """What the sender says of itself, where no message has failed yet."""
        return self._sender.fault

    @property
    def trouble(self) -> str:
        """What is wrong with the hook, under its name."""
        return f"{self.hook.name}: {self.health.last_error}"

    async def run_sender(self) -> None:
        """Only what the sender does of its own accord. Ends by cancelling."""
        await self._sender.run()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def hurry(self, message: UrgentMessage) -> None:
        """Send this first."""
        self._urgent.append(message)
        self._again.set()
        self._wake.set()

    def acknowledged(self, alert_id: str) -> None:
        """A next contact who is just being told of it need not be."""
        sending = self._sending
        if sending is not None and sending.delivery.alert_id == alert_id and sending.delivery.reason == "escalation":
            sending.unwanted = True
            if sending.task is not None:
                sending.task.cancel()

    def changed(self, change: StateChange) -> None:
        """Something that senders are told of."""
        self._sender.changed(change)

    async def test(self, delivery: DeliveryRecord, alert: AlertRecord) -> Attempt:
        """Send this now, ahead of all that waits; raises nothing of the sender's. Cancelled, it may have been sent."""
        began = self._clock.monotonic()
        try:
            sent = await self._sender.send(delivery, alert)
        except DeliveryFailed as error:
            return Attempt(self._clock.wall(), self._clock.monotonic() - began, error.status, str(error))
        self._worked()
        self._again.set()
        self._wake.set()
        return Attempt(self._clock.wall(), self._clock.monotonic() - began, sent.status, None)

    async def aclose(self, *, removed: bool = False) -> None:
        """See `SenderRunner.aclose`."""
        await self._sender.aclose(removed=removed)

    # ------------------------------------------------------------------------------------------------------ the outbox

    async def _send_all(self) -> None:
        while True:
            self._wake.clear()
            try:
                batch = await self._next()
            except StoreError as error:
                log.debug("the outbox cannot be used", hook=self.hook.name, error=str(error))
                await wait_until(self._clock, self._wake.wait(), self._clock.monotonic() + FIRST_RETRY_S)
                continue
            if not batch:
                await wait_until(self._clock, self._wake.wait(), self._clock.monotonic() + RECHECK_S)
            for delivery, urgent in batch:
                self._again.clear()  # what is set from here on ends the pause before it begins
                pause_s = await self._deliver(delivery, urgent)
                await self._clock.sleep(PAUSE_S)
                if pause_s is not None:
                    await self._pause(pause_s)
                if pause_s is not None or self._urgent:
                    break

    async def _next(self) -> list[tuple[DeliveryRecord, UrgentMessage | None]]:
        """Raises `StoreError`. While the disk refuses to write down what was sent, nothing else is."""
        while self._urgent and self._urgent[0].withdrawn:
            self._urgent.popleft()
        if self._urgent:
            return [(self._urgent[0].delivery, self._urgent[0])]
        for delivery_id, (state, attempt) in list(self._unwritten.items()):
            await self._parts.deliveries.tried(delivery_id, state, attempt)
            del self._unwritten[delivery_id]
        return [(delivery, None) for delivery in await self._parts.deliveries.waiting(self.hook.id, BATCH)]

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try; a test that works ends it, also one that came while this one was tried."""
        self.health.retry_in_s = seconds
        await wait_until(self._clock, self._again.wait(), self._clock.monotonic() + seconds)
        self.health.retry_in_s = None

    async def _deliver(self, delivery: DeliveryRecord, urgent: UrgentMessage | None) -> float | None:
        """Try once. Returns how long to wait before it is tried again, None where it is settled."""
        self._sending = sending = Sending(delivery)
        began = self._clock.monotonic()
        try:
            alert = urgent.alert if urgent is not None else await self._parts.alerts.get(delivery.alert_id or "")
            if sending.unwanted or (delivery.reason == "escalation" and alert.state != "open"):
                raise Unwanted
            sent = await self._sender.send(delivery, alert, sending)
        except NotFound:
            return None  # it was forgotten
        except StoreError:
            return FIRST_RETRY_S
        except Unwanted:
            with suppress(StoreError):
                await self._parts.deliveries.settle(delivery.id, "cancelled", "Acknowledged.")
            return None
        except DeliveryFailed as error:
            attempt = Attempt(self._clock.wall(), self._clock.monotonic() - began, error.status, str(error))
            return await self._failed(delivery, urgent, attempt, error)
        finally:
            self._sending = None
        self._worked()
        attempt = Attempt(self._clock.wall(), self._clock.monotonic() - began, sent.status, None)
        await self._settle(delivery, urgent, "sent", attempt)
        return None

    async def _failed(
        self, delivery: DeliveryRecord, urgent: UrgentMessage | None, attempt: Attempt, error: DeliveryFailed
    ) -> float | None:
        settings, attempts = self._parts.settings, delivery.attempts + 1
        if self.health.ok:
            log.warning("hook fails", hook=self.hook.name, error=str(error))
            self.health.since = self._clock.monotonic()
        self.health.last_error = str(error)
        too_old = attempt.wall - settings.give_up_h * 3600
        spent = settings.max_attempts is not None and attempts >= settings.max_attempts
        old = attempts >= LEAST_ATTEMPTS and delivery.created_wall < too_old
        if not error.retry or spent or old:
            await self._settle(delivery, urgent, "dead" if error.retry else "refused", attempt)
            if old and error.retry:
                with suppress(StoreError):
                    count = await self._parts.deliveries.give_up(self.hook.id, too_old, str(error))
                    log.error("messages are given up", hook=self.hook.name, count=count + 1)
            return None
        if urgent is not None:
            urgent.delivery = replace(delivery, attempts=attempts)
        else:
            await self._settle(delivery, None, "waiting", attempt)
        pause_s = self._backoff.failed()
        return pause_s if error.retry_after_s is None else max(pause_s, error.retry_after_s)

    async def _settle(
        self, delivery: DeliveryRecord, urgent: UrgentMessage | None, state: DeliveryState, attempt: Attempt
    ) -> None:
        self._parts.counter.message(self.hook.kind, "failed" if state == "waiting" else state)
        if urgent is not None:
            urgent.outcome = (state, attempt)
            urgent.withdrawn = True
            return
        writing = asyncio.ensure_future(self._parts.deliveries.tried(delivery.id, state, attempt))
        try:
            await asyncio.shield(writing)
        except StoreError:
            if state != "waiting":  # it must not be sent again
                self._unwritten[delivery.id] = (state, attempt)
        except asyncio.CancelledError:  # the hook is changed, or the server stops: it arrived all the same
            await asyncio.wait({writing}, timeout=WRITE_S)
            raise

    def _worked(self) -> None:
        if not self.health.ok:
            log.info("hook works again", hook=self.hook.name)
        self.health = HookHealth(worked=True)
        self._backoff.worked()
