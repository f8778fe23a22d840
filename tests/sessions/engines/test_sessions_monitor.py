"""The one owner of an engine's state: when it probes, and what everybody sees when an engine is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fakes.engines.openai_server import refuses
from fakes.engines.openai_vllm import FakeVllm
from fakes.media.media import picture
from fakes.server.sessions import House
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineLoading, EngineUnavailable
from joyvl_server.engines.base import Capabilities, EngineEvents
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines.monitor import PROBE_PAUSE_S, EngineMonitor
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.spec import SessionSpec


async def add(house: House, engine: str) -> Session:
    draft = CameraDraft("door", "rtsp://192.168.1.20/1", spec=SessionSpec(engine=engine))
    return house.registry.session((await house.registry.cameras.add(draft)).record.session_id)


async def second(house: House) -> None:
    """One second of the house's clock; requests to a real server are waited for, however long they take."""
    for source in house.media.sources.values():
        source.show(picture(source.now))
    await house.clock.advance(1.0)
    while any(session.machine.busy for session in house.registry.sessions()):
        await asyncio.sleep(0.002)


async def until(house: House, true: Callable[[], bool]) -> None:
    """Let seconds of the house's clock pass until it is true."""
    while not true():
        await second(house)
        await asyncio.sleep(0.01)  # a probe goes on beside the ticks


def monitor_of(house: House, engine: str = "openai") -> EngineMonitor:
    return house.registry.engines.monitor(engine)


def states(session: Session) -> list[tuple[str, str]]:
    """Status and mode in each `session.updated`, repeats left out."""
    seen: list[tuple[str, str]] = []
    for update in session.updates._ring:
        if update.type == "session.updated":
            shown = update.data["session"]
            now = shown["engine_state"]["status"], shown["capabilities"]["mode"]
            seen += [now] if seen[-1:] != [now] else []
    return seen


async def test_an_engine_that_goes_away_and_comes_back_as_another_one(house: House):
    async with FakeVllm() as server:
        house.registry.engines.add(OpenAIEngine({"base_url": server.base_url, "timeout_s": 120}))
        session = await add(house, "openai")
        await until(house, lambda: session.capabilities.mode == "scored")
        await second(house)
        await server.stop()
        await until(house, lambda: session.engine_state.status == "away")
        reason = (await house.registry.ready())["engine openai"]
        assert reason is not None
        assert "Is it running" in reason
        await until(house, lambda: house.registry.schedulers()[0]["breaker"] != "closed")
        server.models, server.has = ["other"], server.has - {"markers", "ids", "allowed", "top"}
        server.pictures.clear()
        await server.start()
        await until(house, lambda: session.capabilities.mode == "instruct")
        await until(house, lambda: session.engine_state.decides)
        assert (await house.registry.ready())["engine openai"] is None
        assert states(session)[-3:] == [("away", "scored"), ("away", "instruct"), ("ready", "instruct")]
        await until(house, lambda: session.ticks()[-1]["skipped"] is None)
        assert "JSON" in server.completions[-1].messages[0]["content"]


async def test_what_a_probe_finds_reaches_scheduler_session_and_page(house: House):
    async with FakeVllm(lacks={"markers"}, context=16_000) as server:
        house.registry.engines.add(OpenAIEngine({"base_url": server.base_url, "protocol": "markers"}))
        session = await add(house, "openai")
        await until(house, lambda: session.capabilities.context_tokens == 16_000)
        server.context = 4096
        server.script(refuses(400, "not like this"))  # one refused request: it may be another one
        await until(house, lambda: session.capabilities.context_tokens == 4096)
        await second(house)
        assert session.machine._observer.context.budget.tokens <= 4096
        updated = [u for u in session.updates._ring if u.type == "session.updated"]
        assert updated[-1].data["session"]["capabilities"]["context_tokens"] == 4096
        assert monitor_of(house).scheduler._can.context_tokens == 4096


async def test_an_engine_in_doubt_is_probed_when_it_answers_and_a_probe_that_fails_changes_nothing(house: House):
    probes: list[float] = []

    async def probe() -> Capabilities:
        probes.append(house.clock.monotonic())
        if len(probes) in (2, 3):
            raise EngineUnavailable("Not now.")
        return house.engine.capabilities

    house.engine.probe = probe
    session = await add(house, "scripted")
    await until(house, lambda: bool(session.ticks()))
    events: EngineEvents = monitor_of(house, "scripted")
    events.doubted()
    await until(house, lambda: len(probes) == 4)
    assert [b - a for a, b in zip(probes, probes[1:], strict=False)] == [pytest.approx(PROBE_PAUSE_S, abs=2)] * 3
    for _ in range(100):
        await second(house)
    assert len(probes) == 4  # no doubt is left
    assert session.engine_state.decides
    assert [event.type for event in await house.registry.events.list()].count("engine_offline") == 0


async def test_a_probe_of_one_in_doubt_that_hangs_keeps_nobody_away_for_ever(house: House):
    probes: list[float] = []

    async def probe() -> Capabilities:
        probes.append(house.clock.monotonic())
        if len(probes) == 2:
            await asyncio.Event().wait()
        return house.engine.capabilities

    house.engine.probe = probe
    session = await add(house, "scripted")
    await until(house, lambda: bool(session.ticks()))
    monitor_of(house, "scripted").doubted()
    await until(house, lambda: len(probes) == 2)
    house.engine.script = lambda turn: EngineUnavailable("No server answers there.")
    await until(house, lambda: house.registry.schedulers()[0]["breaker"] != "closed")
    house.engine.script = lambda turn: Score(0.1)
    await until(house, lambda: session.engine_state.decides)
    await until(house, lambda: session.ticks()[-1]["skipped"] is None)
    await until(house, lambda: len(probes) == 3)


async def test_pauses_between_probes_grow_and_begin_short_with_another_kind_of_failure(house: House):
    probes: list[float] = []
    error: Exception = EngineUnavailable("No server answers there.")

    async def probe() -> Capabilities:
        probes.append(house.clock.monotonic())
        raise error

    house.engine.probe = probe
    await add(house, "scripted")
    await until(house, lambda: len(probes) == 6)
    assert [round(b - a) for a, b in zip(probes, probes[1:], strict=False)] == [2, 4, 5, 5, 5]
    error = EngineLoading("It loads its model.")
    await until(house, lambda: len(probes) == 10)
    assert [round(b - a) for a, b in zip(probes[6:], probes[7:], strict=False)] == [2, 2, 2]


async def test_capabilities_that_an_engine_says_have_changed_are_told(house: House):
    session = await add(house, "scripted")
    await until(house, lambda: bool(session.ticks()))
    house.engine.capabilities = Capabilities(context_tokens=9_000)
    monitor_of(house, "scripted").capabilities_changed()
    assert session.capabilities.context_tokens == 9_000
    updated = [u for u in session.updates._ring if u.type == "session.updated"]
    assert updated[-1].data["session"]["capabilities"]["context_tokens"] == 9_000


async def test_what_an_engine_falls_back_to_while_it_is_in_doubt_is_shown(house: House):
    async with FakeVllm() as server:
        engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 120})
        house.registry.engines.add(engine)
        session = await add(house, "openai")
        await until(house, lambda: session.capabilities.mode == "scored")
        engine._server.doubt("No log-probabilities came.")
        assert engine.capabilities.mode == "markers"
        assert session.describe()["capabilities"]["mode"] == "markers"
        updated = [u for u in session.updates._ring if u.type == "session.updated"]
        assert updated[-1].data["session"]["capabilities"]["mode"] == "markers"
