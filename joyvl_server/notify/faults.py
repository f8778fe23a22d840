"""Alerts that no event of a session tells of: an engine or the disk is away, or works again."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.masking import mask_text
from joyvl_server.notify.feed import AlertListener
from joyvl_server.notify.outbox import UrgentMessage
from joyvl_server.notify.rules.recorder import AlertRecorder
from joyvl_server.store.alerts.alerts import Alerts, insert_alert
from joyvl_server.store.alerts.deliveries import insert_delivery
from joyvl_server.store.alerts.records import AlertKind, AlertRecord, DeliveryRecord, HookRecord
from joyvl_server.store.sqlite.database import Database

log = structlog.get_logger(__name__)

LOOK_S = 5.0
DISK = "disk"


class Health(Protocol):
    """How the parts are that an alert may be about. Neither waits for anything."""

    def disk(self) -> str | None:
        """What keeps the record from being written; None where nothing does."""

    def engines(self) -> Mapping[str, str | None]:
        """Engines that sessions use, by name: None where it decides, else a sentence. Left out while unknown."""


class UrgentMail(Protocol):
    """Takes messages past the outbox."""

    @property
    def hooks(self) -> list[HookRecord]:
        """As they were last read."""

    def hurry(self, message: UrgentMessage) -> None: ...


@dataclass(slots=True)
class _DiskFault:
    """While it lasts. `later`: (monotonic time, message) of next contacts."""

    alert: AlertRecord
    messages: list[UrgentMessage]
    later: list[tuple[float, DeliveryRecord]]


class FaultWatch:
    """`run` works until it is cancelled. Each fault is told once when it begins and once when it ends."""

    def __init__(
        self, db: Database, recorder: AlertRecorder, health: Health, mail: UrgentMail, listener: AlertListener
    ) -> None:
        """The `listener` is told when an alert was written."""
        self._db = db
        self._recorder = recorder
        self._clock: Clock = recorder.clock
        self._health = health
        self._mail = mail
        self._listener = listener
        self._away: set[str] | None = None
        """subjects of engines that somebody was told are away; None until that was read"""
        self._disk: _DiskFault | None = None
        self._disk_open = True
        """an alert of an earlier run may still be open"""

    async def run(self) -> None:
        while True:
            try:
                await self._look()
            except StoreError as error:
                log.debug("an alert about a fault waits for the disk", error=str(error))
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        fault = self._health.disk()
        if fault is not None:
            self._disk_fails(fault)
            return
        if self._disk is not None:
            await self._disk_works(self._disk)
        elif self._disk_open:
            await self._db.write(lambda connection: self._recorder.close(connection, DISK, "disk"))
        self._disk_open = False
        await self._look_at_engines()

    # --------------------------------------------------------------------------------------------------------- engines

    async def _look_at_engines(self) -> None:
        if self._away is None:
            self._away = await Alerts(self._db).open_subjects(("engine_offline",))
        for name, reason in self._health.engines().items():
            subject = f"engine:{name}"
            if reason is not None and subject not in self._away:
                alert = self._alert("engine_offline", f"The engine {name} is away", reason, subject)
                await self._db.write(lambda connection, alert=alert: self._recorder.add(connection, alert))  # type: ignore[misc]
                self._away.add(subject)
                self._listener.alerts_written()
            elif reason is None and subject in self._away:
                alert = self._alert("engine_online", f"The engine {name} is back", "", subject)
                await self._db.write(lambda connection, alert=alert: self._back(connection, alert))  # type: ignore[misc]
                self._away.discard(subject)
                self._listener.alerts_written()

    def _back(self, connection: sqlite3.Connection, alert: AlertRecord) -> None:
        self._recorder.close(connection, alert.subject, "engine_offline")
        self._recorder.add(connection, replace(alert, state="closed"))

    # ------------------------------------------------------------------------------------------------------------ disk

    def _disk_fails(self, fault: str) -> None:
        """Messages go out of memory, as nothing can be written. Nobody can acknowledge: next contacts follow."""
        now = self._clock.monotonic()
        if self._disk is None:
            alert = self._alert("disk", "The disk fails", fault, DISK)
            hooks, rules = self._mail.hooks, self._recorder.rules
            first = rules.first_messages(alert, hooks, alert.created_wall, "new", lambda hook: None)
            later = [(now + next_.wait_s, next_) for next_ in rules.escalations(alert, hooks, alert.created_wall)]
            later += [(now + held.wait_s, held) for held in first if held.state == "later"]
            self._disk = _DiskFault(alert, [], later)
            for delivery in first:
                if delivery.state == "waiting":
                    self._hurry(self._disk, delivery)
        for at, delivery in list(self._disk.later):
            if at <= now:
                self._disk.later.remove((at, delivery))
                self._hurry(self._disk, replace(delivery, state="waiting", due_wall=None))

    def _hurry(self, disk: _DiskFault, delivery: DeliveryRecord) -> None:
        message = UrgentMessage(delivery, disk.alert)
        disk.messages.append(message)
        self._mail.hurry(message)

    async def _disk_works(self, disk: _DiskFault) -> None:
        """What was sent is written down, and what was not is sent from the outbox."""
        alert = self._alert("disk", "The disk works again", "", DISK)

        def work(connection: sqlite3.Connection) -> None:
            insert_alert(connection, replace(disk.alert, state="closed"))
            for message in disk.messages:
                state, attempt = message.outcome or ("waiting", None)
                written = replace(message.delivery, state=state)
                if attempt is not None:
                    written = replace(
                        written, attempts=written.attempts + 1, last_wall=attempt.wall, status=attempt.status,
                        error=attempt.error, took_s=attempt.took_s,
                    )  # fmt: skip
                insert_delivery(connection, written)
            self._recorder.add(connection, replace(alert, state="closed"))

        for message in disk.messages:
            message.withdrawn = True
        await self._db.write(work)
        self._disk = None
        self._listener.alerts_written()

    def _alert(self, kind: AlertKind, title: str, text: str, subject: str) -> AlertRecord:
        wall = self._clock.wall()
        return AlertRecord(
            new_id("alr"), kind, wall, title, mask_text(text), subject=subject, last_wall=wall, created_wall=wall
        )
