"""Alerts over a real database, with a clock that stands still and senders that the test steers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S
from joyvl_server.kit import plugins
from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import CameraFacts, Delivery, Links, Sender, Sent, StateChange
from joyvl_server.notify.center import AlertCenter, ServerParts
from joyvl_server.notify.hooks import HookView
from joyvl_server.settings import AlertSettings
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, HookRecord
from joyvl_server.store.events import EventRecord, Events
from joyvl_server.store.sqlite.database import Database

ZONE = ZoneInfo("Europe/Zurich")


@dataclass
class Receiver:
    """Where steered senders send to. `answer` may raise; `got` are messages that were taken."""

    got: list[Delivery] = field(default_factory=list)
    tried: list[Delivery] = field(default_factory=list)
    changes: list[StateChange] = field(default_factory=list)
    answer: Callable[[Delivery], Any] = lambda delivery: None
    hang: asyncio.Event | None = None

    def texts(self) -> list[str]:
        return [delivery.alert.text for delivery in self.got]


class SteeredSender(Sender):
    receivers: dict[str, Receiver] = {}

    def __init__(self, context: Any) -> None:
        self.receiver = SteeredSender.receivers.setdefault(context.name, Receiver())

    @classmethod
    def checked(cls, given, stored=None):
        return dict(given), ""

    @classmethod
    def masked(cls, options):
        return dict(options)

    async def send(self, delivery: Delivery) -> Sent:
        self.receiver.tried.append(delivery)
        if self.receiver.hang is not None:
            await self.receiver.hang.wait()
        self.receiver.answer(delivery)
        self.receiver.got.append(delivery)
        return Sent(200)

    async def state_changed(self, change: StateChange) -> None:
        self.receiver.changes.append(change)


class FakeServer:
    """A directory, enclosures and health, as the test sets them."""

    def __init__(self) -> None:
        self.facts: list[CameraFacts] = []
        self.counts: Counter[str] = Counter()
        self.disk_fault: str | None = None
        self.engine_states: dict[str, str | None] = {}

    async def cameras(self) -> list[CameraFacts]:
        return self.facts

    async def picture(self, subject: object) -> bytes:
        return b"jpeg"

    async def links(self, alert: AlertRecord) -> Links:
        return Links(page="http://here/#/alerts")

    def alert(self, kind: str) -> None:
        self.counts[kind] += 1

    def message(self, kind: str, outcome: str) -> None:
        self.counts[outcome] += 1

    def disk(self) -> str | None:
        return self.disk_fault

    def engines(self) -> dict[str, str | None]:
        return dict(self.engine_states)


class Alerting:
    def __init__(self, folder: Path, db: Database, clock: ManualClock, settings: AlertSettings) -> None:
        self.folder = folder
        self.db = db
        self.clock = clock
        self.settings = settings
        self.around = FakeServer()
        self.events = Events(db)
        self.center = self._center()
        self.receivers: dict[str, Receiver] = {}

    def _center(self) -> AlertCenter:
        center = AlertCenter(
            self.settings,
            ZONE,
            self.db,
            self.clock,
            ServerParts(self.around, self.around, self.around, self.around, self.folder),
        )
        center.attach(self.events)
        return center

    async def restart(self, *, wall_jump: float = 0.0) -> None:
        """As after a kill: nothing in memory is left. `wall_jump`: how the wall clock has moved meanwhile."""
        await self.center.aclose()
        self.clock = ManualClock(monotonic=50.0, wall=self.clock.wall() + wall_jump)
        self.events = Events(self.db)
        self.center = self._center()
        await self.center.start()

    async def hook(self, name: str = "phone", **fields: Any) -> HookView:
        self.receivers[name] = SteeredSender.receivers.setdefault(name, Receiver())
        view, _ = await self.center.hooks.add(HookRecord("", name, "steered", {}, **fields))
        return view

    def got(self, name: str = "phone") -> list[Delivery]:
        return self.receivers[name].got

    async def fire(self, text: str = "Someone is at the door.", watch: str = "wat_1", **fields: Any) -> None:
        """A watch fires; returns once its alert is written."""
        event = EventRecord(
            new_id("evt"), "ses_1", "cam_1", "watch_fired", 1.0, self.clock.wall(), text,
            {"watches": [watch], "watch_names": ["Door"]},
        )  # fmt: skip
        await self.post(replace(event, **fields))

    async def post(self, event: EventRecord) -> None:
        self.events.post(event)
        await self.db.write(lambda connection: None)  # what was posted before is written by then
        await asyncio.sleep(0)

    async def newest(self) -> AlertRecord:
        return (await self.center.alerts.list(AlertFilter(), limit=1))[0]

    async def settled(self, hook_id: str, count: int) -> list[DeliveryRecord]:
        """All messages to this hook, the newest first, once as many are there and none waits: what came of the last one
        is written a moment after its receiver has it."""
        found: list[DeliveryRecord] = []
        end = time.monotonic() + PATIENCE_S
        while len(found) < count or any(delivery.state in ("waiting", "later") for delivery in found):
            assert time.monotonic() < end, found
            await self.quiet(1)
            found = await self.center.deliveries.list(hook_id)
        return found

    async def quiet(self, rounds: int = 8) -> None:
        """Give everything that could happen now the time to happen."""
        for _ in range(rounds):
            await self.clock.advance(0.06)
            await asyncio.sleep(0.005)
            with suppress(Exception):
                await self.db.read(lambda connection: None)

    async def pass_time(self, seconds: float, step: float = 10.0) -> None:
        """As long as this, with time for threads and tasks on the way and at its end."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            await self.clock.advance(min(step, left))
            for _ in range(4):
                await asyncio.sleep(0.002)
                await self.clock.settle()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let time pass, little by little, until the condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "it never happened"
            await self.clock.advance(0.06)
            await asyncio.sleep(0.005)


@asynccontextmanager
async def alerting(folder: Path, **settings: Any) -> AsyncIterator[Alerting]:
    SteeredSender.receivers = {}
    before_names, before_load = plugins.names, plugins.load
    plugins.names = lambda group: (*before_names(group), "steered") if group == "joyvl.hooks" else before_names(group)
    plugins.load = lambda group, name: SteeredSender if name == "steered" else before_load(group, name)
    db = await Database.open(folder / "joyvl.db")
    opened = Alerting(folder, db, ManualClock(), AlertSettings(**settings))
    try:
        await opened.center.start()
        yield opened
    finally:
        plugins.names, plugins.load = before_names, before_load
        await opened.center.aclose()
        await db.aclose()
