"""Sessions and the health of their engine: away and back, found out late, restarted, full."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import until
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Pressure, Score
from joyvl_server.core.effects import AddWatch, EndWatch
from joyvl_server.core.errors import EngineUnavailable, NotAllowed
from joyvl_server.core.inputs import EngineRestarted
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.scheduling.leases import EngineLimits
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.watch_list import WatchDraft

URL = "rtsp://192.168.1.20/1"
AWAY = EngineUnavailable("No server answers there.")


async def add(house: House, name: str = "door") -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft(name=name, url=URL))
    return house.registry.session(view.record.session_id), house.media.sources[view.record.id]


async def seconds(house: House, count: int) -> None:
    for _ in range(2 * count):
        for source in house.media.sources.values():
            source.show(picture(source.now))
        await house.clock.advance(0.5)


def inputs(session: Session) -> list[object]:
    """Everything its machine is told from now on."""
    heard: list[object] = []
    take = session.machine.take

    def listening(input: object) -> None:
        heard.append(input)
        take(input)

    session.machine.take = listening
    return heard


def kinds(session: Session) -> list[str]:
    return [update.type for update in session.updates._ring]


def go_away(house: House) -> None:
    house.engine.script = lambda turn: AWAY
    house.engine.refuse_open = AWAY


def come_back(house: House) -> None:
    house.engine.script = lambda turn: Score(0.1)
    house.engine.refuse_open = None


async def test_an_engine_that_is_away_is_not_asked_again_and_again(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    before = len(session.ticks())
    heard = inputs(session)
    go_away(house)
    await seconds(house, 20)
    skipped = [t["skipped"] for t in session.ticks()[before:]]
    assert skipped[:5] == ["failed"] * 5
    assert set(skipped[6:]) == {"away"}
    asked = len(house.engine.called("score"))
    await seconds(house, 10)
    assert len(house.engine.called("score")) == asked
    (state,) = house.registry.schedulers()
    assert state["breaker"] in ("open", "half_open")
    come_back(house)
    await seconds(house, 20)
    assert session.ticks()[-1]["skipped"] is None
    assert house.registry.schedulers()[0]["breaker"] == "closed"
    # It was away for so long that it counts as started anew.
    assert len([i for i in heard if isinstance(i, EngineRestarted)]) == 1


async def test_a_short_absence_is_no_restart_unless_the_engine_says_so(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    heard = inputs(session)
    for restarts, told in ((0, 0), (1, 1)):
        go_away(house)
        await seconds(house, 5)
        come_back(house)
        house.engine.restarts = restarts
        await seconds(house, 4)
        assert session.ticks()[-1]["skipped"] is None
        assert len([i for i in heard if isinstance(i, EngineRestarted)]) == told


async def test_a_restart_so_quick_that_the_breaker_never_opened(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    heard = inputs(session)
    house.engine.script = lambda turn: AWAY
    await seconds(house, 2)
    house.engine.restarts = 1
    come_back(house)
    await seconds(house, 3)
    assert [t["skipped"] for t in session.ticks()].count("away") == 0
    assert len([i for i in heard if isinstance(i, EngineRestarted)]) == 1
    assert session.ticks()[-1]["skipped"] is None


async def test_all_sessions_of_an_engine_share_its_breaker(house: House):
    sessions = [(await add(house, str(n)))[0] for n in range(5)]
    await seconds(house, 2)
    go_away(house)
    await seconds(house, 1)
    await seconds(house, 1)
    assert {s.ticks()[-1]["skipped"] for s in sessions} == {"away"}


async def test_what_is_found_out_later_reaches_sessions_that_run(house: House):
    probed = asyncio.Event()
    able = Capabilities(scores=True, chooses=True, prepares=True, writes=True)

    async def probe() -> Capabilities:
        if not probed.is_set():
            raise AWAY
        house.engine.capabilities = able
        return able

    house.engine.probe = probe
    session, _ = await add(house)
    await seconds(house, 3)
    assert not session.machine._observer.config.engine.chooses
    assert session.ticks()[-1]["skipped"] is None  # it did not wait
    asked = session.ask("What colour is it?")
    await session.watches.add(WatchDraft("Tell me about cats"))
    probed.set()
    await seconds(house, 8)
    config = session.machine._observer.config.engine
    assert (config.chooses, config.prepares, config.writes) == (True, True, True)
    assert session.capabilities == able
    assert "session.updated" in kinds(session)
    assert session.ticks()[-1]["skipped"] is None
    assert next(q for q in session.queries.all() if q.id == asked.id).status == "open"  # the new machine knows it too
    assert session.machine._observer._composer.queries.is_open(asked.id)
    assert house.engine.open_sessions == 1


async def test_a_probe_that_hangs_keeps_nobody_waiting_for_ever(tmp_path):
    async with open_house(tmp_path, engine_timeout_s=5.0) as house:
        forever = asyncio.Event()
        house.engine.probe = forever.wait
        session, _ = await add(house)
        await seconds(house, 4)
        assert session.ticks() == []
        await seconds(house, 4)
        assert session.ticks()[-1]["skipped"] is None


async def test_pressure_is_told_and_asks_for_small_pictures(house: House):
    session, source = await add(house)
    await seconds(house, 2)
    assert not any(glance for _, glance in source.looks)
    client = session.machine.client
    client.limits = EngineLimits(Pressure.GLANCES, 4000)
    client.listener.limits_changed(client.limits)
    assert client.pressure is Pressure.GLANCES
    updated = [u for u in session.updates._ring if u.type == "session.updated"][-1]
    assert updated.data["session"]["pressure"]["step"] == 1
    await seconds(house, 1)
    assert source.looks[-1][1]


async def test_a_full_engine_takes_no_further_session(house: House):
    await add(house)
    scheduler = house.registry.engines.monitor("scripted").scheduler
    scheduler._meter._policy.step = Pressure.FULL
    with pytest.raises(NotAllowed) as refused:
        await add(house, "one more")
    assert refused.value.code == "engine_full"
    with pytest.raises(NotAllowed):
        await house.registry.open_call("v=0\r\n")
    assert len(house.registry.sessions()) == 1
    assert scheduler.snapshot()["sessions"] == 1


async def test_places_are_given_back_when_sessions_end(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    assert house.registry.schedulers()[0]["sessions"] == 1
    await house.registry.cameras.remove(session.record.camera_id)
    assert house.registry.schedulers()[0]["sessions"] == 0


async def test_calls_go_before_cameras(house: House):
    camera, _ = await add(house)
    call = await house.registry.open_call("v=0\r\n", spec=SessionSpec(fidelity="eco", frames_per_tick=2))
    session = house.registry.session(call.session_id)
    assert session.machine.priority < camera.machine.priority
    assert (session.settings.fidelity, session.settings.frames_per_tick, session.machine.pictures) == ("eco", 2, 2)
    assert (camera.settings.fidelity, camera.settings.frames_per_tick) == ("faithful", 1)


async def test_a_sentence_becomes_a_watch_and_ends_one(house: House):
    session, _ = await add(house)
    await seconds(house, 1)
    asked = session.queries.ask("From now on tell me when a dog comes in.", house.clock.wall())  # not to the machine
    session.bus.publish(AddWatch(asked.id, asked.text))
    await until(lambda: len(session.watches.all()) == 1)
    (watch,) = session.watches.all()
    assert (watch.text, watch.query_id) == (asked.text, asked.id)
    created = next(u for u in session.updates._ring if u.type == "watch.created")
    assert created.data["query_id"] == asked.id
    await until(lambda: session.queries.all()[0].watch_id == watch.id)
    session.bus.publish(EndWatch("qry_2", watch.id))
    await until(lambda: session.watches.all()[0].paused)
    updated = next(u for u in session.updates._ring if u.type == "watch.updated")
    assert updated.data["query_id"] == "qry_2"
    session.bus.publish(EndWatch("qry_3", "wch_gone"))  # deleted meanwhile: nothing breaks
    await seconds(house, 2)
    assert session.ticks()[-1]["skipped"] is None


async def test_a_sentence_withdrawn_at_once_leaves_no_watch_and_ends_none(house: House):
    """It was classified, and is withdrawn before its turn has settled."""
    session, _ = await add(house)
    await seconds(house, 1)
    standing = session.ask("From now on tell me when a dog comes in.")
    session.bus.publish(AddWatch(standing.id, standing.text))
    session.withdraw(standing.id)
    await until(lambda: "watch.deleted" in [u.type for u in session.updates._ring])
    assert session.watches.all() == []
    kept = await session.watches.add(WatchDraft("Tell me when a cat comes in."))
    ending = session.ask("No more about cats.")
    session.bus.publish(EndWatch(ending.id, kept.id))
    await until(lambda: session.watches.all()[0].paused)
    session.withdraw(ending.id)
    await until(lambda: not session.watches.all()[0].paused)
    plain = session.ask("How many?")
    session.withdraw(plain.id)
    await seconds(house, 1)
    assert [watch.id for watch in session.watches.all()] == [kept.id]
    assert not [u for u in session.updates._ring if u.type == "error"]


async def test_every_tick_is_kept(house: House):
    session, source = await add(house)
    await seconds(house, 3)
    source.fail()
    await house.clock.advance(2.0)
    await house.registry.store.ticks.write(lambda connection: None)
    kept = await house.registry.ticks.list(session.id)
    assert [t.skipped for t in kept[::-1]] == [t["skipped"] for t in session.ticks()]
    assert len(kept) >= 4


async def test_summaries_of_another_engine(tmp_path):
    async with open_house(tmp_path, summary_engine="scripted-2") as house:
        from fakes.engines.engine import ScriptedEngine

        writer = ScriptedEngine(lambda turn: Score(0.0), replace(Capabilities(), writes=True))
        writer.name = "scripted-2"
        house.registry.engines.add(writer)
        session, _ = await add(house)
        await seconds(house, 2)
        assert session.machine._observer.config.engine.writes
        states = {s["engine"]: s["sessions"] for s in house.registry.schedulers()}
        assert states == {"scripted": 1, "scripted-2": 0}  # it writes there, and takes nobody's place
