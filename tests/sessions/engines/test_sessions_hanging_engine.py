"""An engine whose calls never answer: a failure like any other, and the session goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fakes.engines.engine import ScriptedSession
from fakes.media.media import FakeSource, picture
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines import closing

URL = "rtsp://192.168.1.20/1"
LIMIT_S = 0.2


@pytest.fixture
async def house(tmp_path: Path):
    async with open_house(tmp_path, engine_timeout_s=LIMIT_S) as opened:
        yield opened


def failures(house: House) -> float:
    labels = {"engine": "scripted", "code": "engine_timeout"}
    return house.registry.metrics.registry.get_sample_value("joyvl_engine_failures_total", labels) or 0.0


async def seconds(house: House, source: FakeSource, count: float) -> None:
    """The engine's limit is real time: some of it passes in each quarter of a second."""
    for _ in range(int(4 * count)):
        source.show(picture(source.now))
        await house.clock.advance(0.25)
        await asyncio.sleep(0.02)


async def until_failed(house: House, source: FakeSource) -> None:
    while not failures(house):
        await seconds(house, source, 0.25)


@pytest.mark.parametrize("method", ["open", "begin", "append", "score", "settle", "rollback"])
async def test_a_call_that_hangs_is_a_failure_and_the_session_goes_on(house: House, method: str) -> None:
    if method == "rollback":
        house.engine.script = lambda turn: EngineError("It fails.")
    late = method in ("append", "score", "settle")
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    source = house.media.sources[view.record.id]
    if late:  # something has settled before
        await seconds(house, source, 3)
        assert house.engine.called("settle")
    house.engine.hangs.add(method)
    await until_failed(house, source)
    house.engine.hangs.clear()
    house.engine.script = lambda turn: Score(0.1)
    session = house.registry.session(view.record.session_id)
    settled = len(house.engine.called("settle"))
    await seconds(house, source, 8)
    assert len(house.engine.called("settle")) >= settled + 3
    assert session.ticks()[-1]["skipped"] is None
    assert house.engine.open_sessions == 1
    if method == "settle":  # nobody knows whether that turn is in it: another engine session, another chunk
        assert len(house.engine.called("open")) == 1 + failures(house)
        first, *_, last = house.engine.called("begin")
        assert first != last


async def test_preparing_that_hangs_costs_no_tick_for_ever(tmp_path: Path) -> None:
    from joyvl_server.engines.base import Capabilities

    async with open_house(tmp_path, engine_timeout_s=LIMIT_S, context_tokens=2048) as house:
        house.engine.capabilities = Capabilities(prepares=True, writes=True, chooses=True)
        house.engine.hangs.add("prepare")
        view = await house.registry.cameras.add(CameraDraft("door", URL))
        source = house.media.sources[view.record.id]
        while not failures(house):
            await seconds(house, source, 1)
        house.engine.hangs.clear()
        settled = len(house.engine.called("settle"))
        await seconds(house, source, 8)
        assert len(house.engine.called("settle")) >= settled + 3


@pytest.mark.parametrize("method", ["aclose", "settle", "score"])
async def test_the_end_of_a_session_whose_engine_hangs_is_bounded(house: House, monkeypatch, method: str) -> None:
    monkeypatch.setattr(closing, "CLOSE_S", 0.3)
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    source = house.media.sources[view.record.id]
    await seconds(house, source, 2)
    house.engine.hangs |= {method, "aclose"}
    await seconds(house, source, 1)
    await house.registry.cameras.change(view.record.id, {"enabled": False})
    assert house.registry.sessions() == []
    assert source.closed


async def test_an_engine_that_raises_at_the_close_of_a_session_hurts_nobody(house: House, monkeypatch) -> None:
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    source = house.media.sources[view.record.id]
    await seconds(house, source, 2)

    async def odd(self) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("fakes.engines.engine.ScriptedSession.aclose", odd)
    await house.registry.cameras.change(view.record.id, {"enabled": False})
    assert house.registry.sessions() == []
    await house.registry.cameras.change(view.record.id, {"enabled": True})
    assert house.registry.cameras.get(view.record.id).state.status == "connecting"


async def test_nothing_is_asked_about_a_turn_that_never_reached_the_engine(house: House, monkeypatch) -> None:
    async def refused(self, turn) -> None:
        raise EngineError("The picture cannot be taken.", code="engine_cannot")

    real = ScriptedSession.append
    monkeypatch.setattr(ScriptedSession, "append", refused)
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    source = house.media.sources[view.record.id]
    await seconds(house, source, 3)
    session = house.registry.session(view.record.session_id)
    assert house.engine.called("score") == house.engine.called("choose") == house.engine.called("say") == []
    assert {tick["skipped"] for tick in session.ticks()} == {"failed"}
    labels = {"engine": "scripted", "code": "engine_cannot"}
    count = house.registry.metrics.registry.get_sample_value("joyvl_engine_failures_total", labels)
    assert count == len(session.ticks())  # one failure a turn, not one more for the score
    monkeypatch.setattr(ScriptedSession, "append", real)
    await seconds(house, source, 40)
    assert house.engine.called("score")
