"""The bus of a session: what one sink does wrong costs no other a message, and no tick its second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.clock import ManualClock
from fakes.media.media import picture
from fakes.patience import PATIENCE_S
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.effects import AddWatch
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks import bus as bus_module
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.bus import WELL_S, Bus, SinkHealth
from joyvl_server.sessions.sinks.messages import Failure, Message, QueryOpened, SessionEnded, SessionUpdated, Ticked
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.watches import WatchRecord


def note(number: int) -> Failure:
    return Failure("note", str(number))


class Direct:
    wants = (Failure, SessionEnded)

    def __init__(self, raises: Callable[[Message], bool] = lambda message: False) -> None:
        self.got: list[Message] = []
        self._raises = raises

    def take(self, message: Message) -> None:
        self.got.append(message)
        if self._raises(message):
            raise ValueError("It does not like this one.")


class Queued(QueuedSink):
    wants = (Failure,)
    capacity = 4

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.lost: list[Message] = []
        self.works = asyncio.Event()
        self.works.set()
        self.closed = False

    async def handle(self, message: Message) -> None:
        await self.works.wait()
        self.got.append(message)

    def dropped(self, message: Message) -> None:
        self.lost.append(message)

    async def aclose(self) -> None:
        self.closed = True


class Bench:
    def __init__(self) -> None:
        self.clock, self.metrics = ManualClock(), Metrics()
        self.bus = Bus("ses_1")

    def attach(self, name: str, sink: Direct | Queued) -> SinkHealth:
        health = SinkHealth(name, self.clock, self.metrics)
        self.bus.attach(sink, health)
        return health

    def count(self, metric: str, sink: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"joyvl_{metric}", {"sink": sink})


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)


def test_a_sink_gets_what_it_wants_in_the_order_in_which_it_was_published(bench: Bench):
    class Answers(Direct):
        wants = (SessionUpdated,)

        def take(self, message: Message) -> None:
            bench.bus.publish(note(1))

    last = Direct()
    bench.attach("answers", Answers())
    bench.attach("last", last)
    bench.bus.publish(SessionUpdated())
    bench.bus.publish(note(2))
    assert last.got == [note(1), note(2)]


def test_a_sink_that_raises_on_every_message_is_told_once_and_hurts_no_other(bench: Bench):
    last = Direct()
    bench.attach("bad", Direct(lambda message: True))
    bench.attach("last", last)
    with capture_logs() as logged:
        for number in range(20):
            bench.bus.publish(note(number))
    assert last.got == [note(number) for number in range(20)]
    assert [(line["event"], line["sink"]) for line in logged] == [("sink fails", "bad")]
    assert bench.count("sink_failures_total", "bad") == 20
    assert (bench.count("sink_failing", "bad"), bench.count("sink_failing", "last")) == (1, 0)


async def test_a_sink_that_raises_once_is_over_it_when_it_has_worked_for_a_while(bench: Bench):
    sink = Direct(lambda message: message == note(0))
    bench.attach("shaky", sink)
    with capture_logs() as logged:
        for number in range(3):
            bench.bus.publish(note(number))
        assert bench.count("sink_failing", "shaky") == 1
        await bench.clock.advance(WELL_S)
        for number in range(3, 6):
            bench.bus.publish(note(number))
    assert len(sink.got) == 6
    assert [line["event"] for line in logged] == ["sink fails", "sink works again"]
    assert bench.count("sink_failing", "shaky") == 0


def test_another_fault_of_a_sink_that_fails_already_is_told_too(bench: Bench):
    health = bench.attach("bad", Direct(lambda message: True))
    with capture_logs() as logged:
        for session in ("ses_1", "ses_2"):
            health.failed(session, ValueError("It cannot be built."), "build")
        for number in range(3):
            bench.bus.publish(note(number))
        health.failed("ses_3", KeyError("another"))
    assert [(line["doing"], line["error"].partition(":")[0]) for line in logged] == [
        ("build", "ValueError"),
        ("message", "ValueError"),
        ("message", "KeyError"),
    ]


async def test_a_sink_that_waits_raises_and_hears_of_the_next_message(bench: Bench):
    class Raises(Queued):
        async def handle(self, message: Message) -> None:
            await super().handle(message)
            if message == note(0):
                raise KeyError("gone")

    sink = Raises()
    health = bench.attach("queued", sink)
    bench.bus.start()
    for number in range(3):
        bench.bus.publish(note(number))
    await until(lambda: len(sink.got) == 3)
    assert health.failing
    await bench.bus.aclose()
    assert sink.closed


async def test_a_sink_whose_own_work_was_cancelled_hears_of_the_next_message(bench: Bench):
    class Cancels(Queued):
        async def handle(self, message: Message) -> None:
            if message == note(0):
                work = asyncio.ensure_future(asyncio.Event().wait())
                work.cancel()
                await work
            await super().handle(message)

    sink = Cancels()
    health = bench.attach("cancels", sink)
    bench.bus.start()
    for number in range(3):
        bench.bus.publish(note(number))
    await until(lambda: len(sink.got) == 2)
    assert sink.got == [note(1), note(2)]
    assert health.failing
    await bench.bus.aclose()


def test_nothing_follows_the_last_message(bench: Bench):
    class Answers(Direct):
        def take(self, message: Message) -> None:
            super().take(message)
            bench.bus.publish(note(1))

    sink, ended = Answers(), SessionEnded("It is over.", "ended")
    bench.attach("answers", sink)
    bench.bus.publish(ended)
    bench.bus.publish(note(2))
    assert sink.got == [ended]


async def test_a_slow_sink_drops_what_does_not_fit_and_finishes_the_rest_at_the_end(bench: Bench):
    sink, other = Queued(), Direct()
    bench.attach("slow", sink)
    bench.attach("other", other)
    sink.works.clear()
    bench.bus.start()
    with capture_logs() as logged:
        for number in range(12):
            bench.bus.publish(note(number))
            await asyncio.sleep(0)
    assert len(other.got) == 12
    assert [line["event"] for line in logged] == ["sink fails"]
    assert "dropped" in logged[0]["error"]
    assert bench.count("sink_dropped_total", "slow") == len(sink.lost) == 7  # one is handled, four wait
    sink.works.set()
    await bench.bus.aclose()
    assert sink.got == [note(number) for number in range(5)]


async def test_a_sink_that_hangs_is_given_up_message_by_message_and_at_the_end(bench: Bench, monkeypatch):
    monkeypatch.setattr(bus_module, "HANDLE_S", 0.05)
    monkeypatch.setattr(bus_module, "CLOSE_S", 0.2)
    sink, other = Queued(), Direct()
    health = bench.attach("hangs", sink)
    bench.attach("other", other)
    sink.works.clear()
    bench.bus.start()
    bench.bus.publish(note(0))
    await until(lambda: health.failing)
    for number in range(1, 5):
        bench.bus.publish(note(number))
    monkeypatch.setattr(bus_module, "HANDLE_S", 3600.0)  # longer than a test may last
    with capture_logs():
        await bench.bus.aclose()
    assert len(other.got) == 5
    assert sink.got == []
    assert sink.lost == [note(number) for number in (2, 3, 4)]  # it was at 1
    assert sink.closed
    bench.bus.publish(note(5))  # too late: counted, and nobody waits
    assert sink.lost[-1] == note(5)


# ------------------------------------------------------------------------------------------------------- in a session


async def add(house: House) -> Session:
    watches = (WatchDraft("Tell me when someone comes in"),)
    view = await house.registry.cameras.add(CameraDraft("door", "rtsp://192.168.1.20/1", watches=watches))
    return house.registry.session(view.record.session_id)


async def seconds(house: House, count: int) -> None:
    for _ in range(4 * count):
        for source in house.media.sources.values():
            source.show(picture(source.now))
        await house.clock.advance(0.25)


class Broken(QueuedSink):
    wants = (Ticked, QueryOpened)

    def __init__(self, context: SinkContext) -> None:
        raise RuntimeError("It cannot be built.")


class Hangs(QueuedSink):
    wants = (Ticked,)
    capacity = 2

    def __init__(self, context: SinkContext) -> None: ...

    async def handle(self, message: Message) -> None:
        await asyncio.Event().wait()


class RaisesAlways(Hangs):
    async def handle(self, message: Message) -> None:
        raise ZeroDivisionError


class Collects(QueuedSink):
    wants = (Ticked,)
    fired: list[str] = []

    def __init__(self, context: SinkContext) -> None: ...

    async def handle(self, message: Message) -> None:
        if isinstance(message, Ticked) and message.spoken:
            self.fired.extend(message.record.watches)


async def test_bad_sinks_lose_no_alert_of_another_and_delay_no_tick(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Collects, "fired", [])
    monkeypatch.setattr(bus_module, "CLOSE_S", 0.2)
    async with open_house(tmp_path) as house:
        for sink in (Broken, Hangs, RaisesAlways, Collects):
            house.registry._sinks.add(sink.__name__, sink)
        house.engine.script = lambda turn: (Score(1.0), [f"Person {turn.step} comes in."])
        with capture_logs() as logged:
            session = await add(house)
            await seconds(house, 20)
        ticks = session.ticks()
        assert {tick["skipped"] for tick in ticks} == {None}
        assert len(ticks) >= 20
        fired = [watch for tick in ticks if tick["decision"] == "speak" for watch in tick["watches"]]
        assert len(fired) >= 3
        assert Collects.fired == fired
        updates = [update.type for update in session.updates._ring]
        assert updates.count("watch.fired") == len(fired)
        told = [line["sink"] for line in logged if line["event"] == "sink fails"]
        assert sorted(told) == ["Broken", "Hangs", "RaisesAlways"]
        value = house.registry.metrics.registry.get_sample_value
        assert value("joyvl_sink_failing", {"sink": "Hangs"}) == 1
        assert value("joyvl_sink_failing", {"sink": "updates"}) == 0


async def test_a_watch_that_is_kept_while_the_session_ends_is_told_to_nobody(tmp_path: Path, monkeypatch):
    async with open_house(tmp_path) as house:
        session = await add(house)
        store, ends = session.watches._store.add, asyncio.Event()
        kept: list[WatchRecord] = []

        async def slow(record: WatchRecord) -> None:
            await ends.wait()
            await store(record)
            kept.append(record)

        await seconds(house, 1)
        monkeypatch.setattr(session.watches._store, "add", slow)
        session.bus.publish(AddWatch("qry_1", "Tell me when the cat comes in."))
        changing = asyncio.ensure_future(house.registry.cameras.change(session.record.camera_id, {"enabled": False}))
        await until(lambda: session.updates._ring[-1].type == "session.ended")
        ends.set()
        await changing
        assert [record.text for record in kept] == ["Tell me when the cat comes in."]
        assert session.updates._ring[-1].type == "session.ended"
