"""What has its time: next contacts who are told when nobody acknowledges, the end of a snooze, of quiet hours, of a
group.

The record says when, in wall time, so that it survives a restart. In a running server the time that passes counts, so
that a clock that jumps tells nobody too early and leaves nobody waiting.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.notify.feed import AlertListener
from joyvl_server.notify.rules.recorder import AlertRecorder
from joyvl_server.store.alerts.alerts import Alerts
from joyvl_server.store.alerts.deliveries import Deliveries
from joyvl_server.store.sqlite.database import Database

log = structlog.get_logger(__name__)

RECHECK_S = 15.0
RETRY_S = 1.0
AT_ONCE = 1000
"""messages that are looked at; the soonest come first"""
SLACK_S = 1.0
"""by which two clocks may differ that both go right"""


@dataclass(frozen=True, slots=True)
class _Deadline:
    """`at`: monotonic. `until`: the wall time in the record that it stands for."""

    at: float
    until: float


class DueTimes:
    """`run` works until it is cancelled; `wake` it when something with a time was written."""

    def __init__(self, db: Database, recorder: AlertRecorder, listener: AlertListener) -> None:
        """The `listener` is told when something is to be sent, or an alert has changed."""
        self._db = db
        self._recorder = recorder
        self._clock: Clock = recorder.clock
        self._listener = listener
        self._alerts = Alerts(db)
        self._deliveries = Deliveries(db)
        self._deadlines: dict[str, _Deadline] = {}
        self._wake = asyncio.Event()
        self._failing = False

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Cancelled, what was due and is not written is due at the next start."""
        while True:
            self._wake.clear()
            wait_s = await self._look_safely()
            await wait_until(self._clock, self._wake.wait(), self._clock.monotonic() + wait_s)

    async def _look_safely(self) -> float:
        try:
            wait_s = await self._look()
        except StoreError as error:
            if not self._failing:
                log.error("alerts that wait for their time cannot be read", error=str(error))
            self._failing = True
            return RETRY_S
        if self._failing:
            log.info("alerts that wait for their time are read again")
        self._failing = False
        return wait_s

    async def _look(self) -> float:
        """Do what is due. Returns the seconds until the next look."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        found: dict[str, _Deadline] = {}
        held = set()
        for delivery in await self._deliveries.later(AT_ONCE):
            until = delivery.due_wall or delivery.created_wall
            found[delivery.id] = self._deadline(delivery.id, until, delivery.wait_s, now, wall)
            if delivery.reason in ("new", "reminder") and wall >= until:
                held.add(delivery.id)  # quiet hours end by the clock on the wall
        for snooze in await self._alerts.snoozes():
            found[snooze.id] = self._deadline(snooze.id, snooze.until, snooze.snooze_s, now, wall)
        self._deadlines = found
        due = sorted((id for id, deadline in found.items() if deadline.at <= now or id in held), key=_by_time(found))
        if due:
            await self._db.write(lambda connection: self._do(connection, due))
            for id in due:  # what was put off is reckoned from now
                self._deadlines.pop(id)
            self._listener.alerts_written()
            return 0.0
        return min([RECHECK_S, *(deadline.at - now for deadline in found.values())])

    def _deadline(self, id: str, until: float, wait_s: float, now: float, wall: float) -> _Deadline:
        """Never later than after the whole time: a clock that was set back leaves nobody waiting."""
        known = self._deadlines.get(id)
        if known is not None and known.until == until:
            return known
        return _Deadline(now + min(max(0.0, until - wall), wait_s + SLACK_S), until)

    def _do(self, connection: sqlite3.Connection, due: list[str]) -> None:
        for id in due:
            if id.startswith("alr_"):
                self._recorder.end_snooze(connection, id)
            else:
                self._recorder.promote(connection, id)


def _by_time(found: dict[str, _Deadline]) -> Callable[[str], tuple[float, str]]:
    return lambda id: (found[id].at, id)
