"""Alerts of a server: written with what they tell of, taken to the hooks, shown, acknowledged, snoozed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Sequence, Set
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock
from joyvl_server.notify.base import AlertChanged, CameraFacts, CamerasChanged, Directory, EventsForgotten
from joyvl_server.notify.faults import FaultWatch, Health
from joyvl_server.notify.feed import AlertFeed
from joyvl_server.notify.hooks import HookHouse, HookService
from joyvl_server.notify.occupancy import Occupancy
from joyvl_server.notify.reach import HookReach
from joyvl_server.notify.rules.drafts import ALERTING
from joyvl_server.notify.rules.due import DueTimes
from joyvl_server.notify.rules.planning import AlertRules
from joyvl_server.notify.rules.recorder import AlertRecorder
from joyvl_server.notify.sending import AlertCounter, Enclosures, OutboxParts
from joyvl_server.settings.alerts import AlertSettings
from joyvl_server.store.alerts.alerts import AlertFilter, Alerts, Snooze, forget_alerts
from joyvl_server.store.alerts.deliveries import Deliveries
from joyvl_server.store.alerts.hooks import Hooks
from joyvl_server.store.alerts.records import AlertRecord
from joyvl_server.store.events import EventRecord, Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.timeline.records import RemovedEvent

log = structlog.get_logger(__name__)

LOOK_S = 5.0
"""seconds between two looks at cameras and watches"""
TAKE_BACK_S = 60.0
"""between two tries to take back what hooks have left"""


@dataclass(frozen=True, slots=True)
class ServerParts:
    """What alerts know of the server. `folder`: for files of hooks. `public_url`: under which people reach it."""

    directory: Directory
    enclosures: Enclosures
    health: Health
    counter: AlertCounter
    folder: Path
    public_url: str = ""


class AlertCenter:
    """`start` before use, `aclose` at the end. It is what senders may do (`AlertActions`), too."""

    def __init__(self, settings: AlertSettings, zone: tzinfo, db: Database, clock: Clock, server: ServerParts) -> None:
        """`zone`: of quiet hours."""
        self.alerts = Alerts(db)
        self.deliveries = Deliveries(db)
        self._db = db
        self._clock = clock
        self._directory = server.directory
        self._counter = server.counter
        self._recorder = AlertRecorder(settings, AlertRules(zone, settings.escalate_after_s), clock)
        parts = OutboxParts(settings, clock, self.alerts, self.deliveries, server.enclosures, server.counter)
        self._folder = server.folder
        self._net = HookReach(settings.allow)
        house = HookHouse(server.directory, self, self._net, server.folder, db.secrets, server.public_url)
        self.hooks = HookService(Hooks(db), parts, house)
        self.feed = AlertFeed(self.alerts, clock, self)
        self._due = DueTimes(db, self._recorder, self)
        self._faults = FaultWatch(db, self._recorder, server.health, self.hooks, self)
        self._occupancy = Occupancy(settings.occupied_s)
        self._tasks: list[asyncio.Task[None]] = []
        self._gathered = False
        self._offline = True
        """an alert about a camera that is offline may be open"""

    def attach(self, events: Events) -> None:
        """Alerts are written with the events of this timeline, and forgotten with them."""
        events.on_insert(self._recorder.event)
        events.on_delete(self._forget)
        events.on_written(self._event_written)
        events.on_removed(self._events_removed)

    async def start(self) -> None:
        """Take up what was left: what waits to be sent, who is to be told. Raises `StoreError`.

        Cancelled, `aclose` ends what has begun.
        """
        await self.feed.start()
        await asyncio.to_thread(self._seal_files)
        await self.hooks.start()
        for name, work in (
            ("changes of alerts", self.feed.run),
            ("times of alerts", self._due.run),
            ("alerts about faults", self._faults.run),
            ("cameras for hooks", self._look_at_cameras),
            ("topics of hooks that are gone", self._take_back),
        ):
            self._tasks.append(asyncio.create_task(self._keep(name, work), name=name))

    async def aclose(self) -> None:
        """What waits to be sent is sent after the next start. Cancelled, it leaves something running."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.hooks.aclose()

    def ready(self) -> str | None:
        """What is wrong, None where nothing is."""
        return self.hooks.fault()

    def failing_for(self) -> list[float]:
        """Of each enabled hook: for how many seconds messages to it have failed; 0 where the last one arrived."""
        return self.hooks.failing_for(self._clock.monotonic())

    # --------------------------------------------------------------------------------------------------------- people

    async def acknowledge(self, alert_id: str, by: str) -> AlertRecord:
        """See `AlertActions`."""
        alert = await self._db.write(lambda connection: self._recorder.acknowledge(connection, alert_id, by))
        self.hooks.acknowledged(alert_id)
        self.alerts_written()
        return alert

    async def acknowledge_all(self, by: str, *, camera_id: str | None = None, upto: str | None = None) -> int:
        """All that are open, of this camera and up to the alert with this id where they are given; how many. Raises
        `StoreError`. Cancelled, some of them may be."""
        count = 0
        while found := await self._db.write(lambda c: self._recorder.acknowledge_all(c, by, camera_id, upto)):
            for alert in found:
                self.hooks.acknowledged(alert.id)
            count += len(found)
            self.alerts_written()
        return count

    async def snooze(self, alert_id: str, minutes: float, by: str = "", *, scope: str = "alert") -> AlertRecord:
        """See `AlertActions`. `scope` "camera" or "watch": also about what these do meanwhile. Raises `Conflict` for an
        alert of which nobody is told any more."""
        alert = await self._db.write(lambda connection: self._recorder.snooze(connection, alert_id, minutes, scope))
        self.hooks.acknowledged(alert_id)
        log.info("alert snoozed", alert=alert_id, scope=scope, minutes=minutes, by=by)
        self.alerts_written()
        return alert

    async def snoozed(self) -> list[Snooze]:
        """Cameras and watches that are snoozed. Raises `StoreError`. Cancelling it changes nothing."""
        return await self.alerts.snoozed(self._clock.wall())

    async def end_snooze(self, scope: str, subject_id: str) -> None:
        """A camera or watch is not snoozed any more. Raises `NotFound`, `StoreError`. Cancelled, it may be done all the
        same."""
        await self._db.write(lambda connection: self._recorder.end_scope(connection, scope, subject_id))
        self.alerts_written()

    async def newest(self, camera_id: str | None = None) -> AlertRecord | None:
        """See `AlertActions`."""
        found = await self.alerts.list(AlertFilter(state="open", camera_id=camera_id), limit=1)
        return found[0] if found else None

    def occupied(self, watch_id: str) -> bool:
        """Has this watch fired not long ago?"""
        return watch_id in self._occupancy

    # --------------------------------------------------------------------------------------------------------- within

    def _event_written(self, event: EventRecord) -> None:
        if event.type in ("camera_online", "camera_offline"):
            self.hooks.changed(CamerasChanged())
        if event.type in ALERTING:
            self.alerts_written()

    def _events_removed(self, removed: Sequence[RemovedEvent]) -> None:
        self.hooks.changed(EventsForgotten(frozenset(event.id for event in removed)))

    def alerts_written(self) -> None:
        """See `AlertListener`."""
        self.hooks.wake()
        self.feed.wake()
        self._due.wake()

    def alert_changed(self, alert: AlertRecord) -> None:
        """See `AlertListener`."""
        if alert.revision == alert.first_revision:
            self._counter.alert(alert.kind)
        self._offline = self._offline or alert.kind == "camera_offline"
        self.hooks.changed(AlertChanged(alert))
        for change in self._occupancy.seen(alert, self._clock.monotonic()):
            self.hooks.changed(change)

    def _forget(self, connection: sqlite3.Connection, removed: Sequence[RemovedEvent]) -> None:
        forget_alerts(connection, [event.id for event in removed])

    async def _look_at_cameras(self) -> None:
        """Senders are told when cameras are other ones, and when a watch is not occupied any more. That a camera is
        offline is over when somebody deletes it or switches it off."""
        before: list[tuple[object, ...]] | None = None
        while True:
            await self._clock.sleep(LOOK_S)
            for change in self._occupancy.over(self._clock.monotonic()):
                self.hooks.changed(change)
            listed = await self._directory.cameras()
            cameras = [_without_occupancy(camera) for camera in listed]
            if before is not None and cameras != before:
                self.hooks.changed(CamerasChanged())
            if self._offline or cameras != before:
                self._offline = False
                await self._close_others({f"camera:{camera.id}" for camera in listed if camera.enabled})
            before = cameras

    async def _close_others(self, subjects: Set[str]) -> None:
        """Of cameras other than these, also those that went while the server was off."""
        for subject in await self.alerts.open_subjects(["camera_offline"]) - subjects:
            await self._db.write(lambda c, subject=subject: self._recorder.close(c, subject, "camera_offline"))  # type: ignore[misc]
            self.alerts_written()

    def _seal_files(self) -> None:
        """Logins at brokers that an older version wrote in clear. Blocks."""
        folder = self._folder / "mqtt"
        if self._db.secrets.fault is None and folder.exists():
            from joyvl_server.notify.mqtt.published import seal_files  # MQTT is imported where it is used

            seal_files(folder, self._db.secrets)

    async def _take_back(self) -> None:
        """What hooks that are gone have left at brokers, as soon as these are back."""
        folder = self._folder / "mqtt"
        while True:
            if await asyncio.to_thread(lambda: any(folder.glob("*.json")) or any(folder.glob("left/*.json"))):
                from joyvl_server.notify.mqtt.leftovers import Leftovers  # MQTT is imported where it is used

                leftovers = Leftovers(folder, self._net, self._clock, self._db.secrets)
                if not self._gathered:
                    await asyncio.to_thread(leftovers.gather, {hook.id for hook in self.hooks.hooks})
                await leftovers.sweep()
            self._gathered = True
            await self._clock.sleep(TAKE_BACK_S)

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Whatever happens, it goes on."""
        pauses = Backoff(1.0, 60.0)
        while True:
            try:
                await work()
            except Exception:  # a supervisor's edge
                log.exception("part of the alerts failed and is started again", part=name)
            await self._clock.sleep(pauses.failed())


def _without_occupancy(camera: CameraFacts) -> tuple[object, ...]:
    return (
        camera.id,
        camera.name,
        camera.online,
        camera.enabled,
        tuple((watch.id, watch.name) for watch in camera.watches),
    )
