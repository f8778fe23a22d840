"""An engine that decides nothing is said: by its sessions, in the timeline and by what `/readyz` shows; once each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes.clock import ManualClock
from fakes.media.media import FakeSource, picture
from fakes.patience import PATIENCE_S
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError, EngineLoading, EngineTimeout, EngineUnavailable
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines import monitor
from joyvl_server.sessions.engines.health import EngineHealth
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.spec import SessionSpec

AWAY = EngineUnavailable("No server answers there.")
LOADING = EngineLoading("It loads its model.")
INSIDE = EngineError("It does not accept these pictures.", code="engine_pictures")


async def add(house: House, name: str = "door") -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft(name=name, url="rtsp://192.168.1.20/1"))
    return house.registry.session(view.record.session_id), house.media.sources[view.record.id]


async def seconds(house: House, count: int) -> None:
    for _ in range(count):
        for source in house.media.sources.values():
            source.show(picture(source.now))
        await house.clock.advance(1.0)


def fails(house: House, error: EngineError, *, asked_too: bool = False) -> None:
    """Every decision fails; `asked_too`: who asks after it gets no answer either."""
    house.engine.script = lambda turn: error
    house.engine.refuse_open = error if asked_too else None


def works(house: House) -> None:
    house.engine.script = lambda turn: Score(0.1)
    house.engine.refuse_open = None


def told(session: Session) -> list[tuple[str, str | None]]:
    """Status and code in each `session.updated` and at the start, repeats left out."""
    states = [u.data["session"]["engine_state"] for u in session.updates._ring if u.type == "session.updated"]
    seen: list[tuple[str, str | None]] = []
    for state in states:
        if not seen or seen[-1] != (state["status"], state["code"]):
            seen.append((state["status"], state["code"]))
    return seen


async def events(house: House, *types: str) -> list[Any]:
    await house.registry.store.main.write(lambda connection: None)
    return [e for e in (await house.registry.events.list())[::-1] if e.type in types]


async def ready(house: House) -> str | None:
    return (await house.registry.ready())["engine scripted"]


@pytest.mark.parametrize(
    ("error", "status", "asked_too"),
    [
        (AWAY, "away", True),
        (EngineTimeout("It took too long."), "away", False),
        (EngineUnavailable("It had an internal error (500)."), "away", False),
        (INSIDE, "cannot", False),
        (LOADING, "loading", True),
        (LOADING, "loading", False),
    ],
)
async def test_said_within_five_seconds_once_and_taken_back_once(
    house: House, error: EngineError, status: str, asked_too: bool
):
    session, _ = await add(house)
    await seconds(house, 3)
    assert session.describe()["engine_state"]["status"] == "ready"
    assert await ready(house) is None
    before = len(session.updates._ring)
    fails(house, error, asked_too=asked_too)
    await seconds(house, 5)
    state = session.describe()["engine_state"]
    assert (state["status"], state["code"], state["reason"]) == (status, error.code, str(error))
    assert await ready(house) == str(error)
    await seconds(house, 40)
    assert session.describe()["engine_state"]["since"] == state["since"]
    works(house)
    await seconds(house, 35)
    assert session.describe()["engine_state"]["status"] == "ready"
    assert await ready(house) is None
    assert [s for s, _ in told(session)][-2:] == [status, "ready"]
    updates = [u for u in list(session.updates._ring)[before:] if u.type == "session.updated"]
    assert len(updates) == 2
    offline, online = await events(house, "engine_offline", "engine_online")
    assert (offline.type, offline.text) == ("engine_offline", str(error))
    assert offline.data["engine_state"]["status"] == status
    assert (online.type, online.data["engine_state"]["status"]) == ("engine_online", "ready")


async def test_a_new_session_says_no_more_of_its_engine_than_is_known(house: House):
    asked = asyncio.Event()

    async def probe() -> Capabilities:
        await asked.wait()
        return house.engine.capabilities

    house.engine.probe = probe
    session, _ = await add(house)
    state = session.describe()["engine_state"]
    assert (state["status"], state["code"], state["reason"]) == ("loading", None, None)
    await house.clock.settle()
    assert await ready(house) == "The engine scripted is being tried."
    asked.set()
    await house.clock.settle()
    assert session.describe()["engine_state"]["status"] == "ready"
    assert await ready(house) is None
    assert told(session) == [("ready", None)]
    assert await events(house, "engine_offline", "engine_online") == []


async def test_a_first_try_that_is_not_answered_in_time_is_away(house: House):
    async def probe() -> Capabilities:
        raise TimeoutError

    house.engine.probe = probe
    fails(house, AWAY)
    session, _ = await add(house)
    await house.clock.settle()
    assert session.describe()["engine_state"]["code"] == "engine_timeout"


async def test_one_failure_now_and_then_is_no_state(house: House):
    session, _ = await add(house)
    answers = iter(range(1_000))
    house.engine.script = lambda turn: AWAY if next(answers) % 2 else Score(0.1)
    await seconds(house, 20)
    assert session.engine_state.decides
    assert await events(house, "engine_offline") == []


async def test_answers_outside_the_protocol_in_a_row_are_a_state_logged_once(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    with capture_logs() as logged:
        await _garbage_for_a_while(house, session)
    lasting = [line for line in logged if line["log_level"] in ("info", "warning") and "engine" in line]
    assert [line["event"] for line in lasting] == ["engine does not decide", "engine decides again"]


async def _garbage_for_a_while(house: House, session: Session) -> None:
    house.engine.script = lambda turn: Score(0.0, garbage="<think>The user wants")
    await seconds(house, 1)
    assert session.engine_state.decides
    await seconds(house, 4)
    assert (session.engine_state.status.value, session.engine_state.code) == ("cannot", "engine_garbage")
    assert "<think>The user wants" in str(await ready(house))
    await seconds(house, 20)
    assert len(await events(house, "engine_offline")) == 1
    works(house)
    await seconds(house, 2)
    assert session.engine_state.decides


async def test_a_session_without_any_decision_is_blind(tmp_path):
    async with open_house(tmp_path, engine_timeout_s=60.0) as house:
        session, _ = await add(house)
        await seconds(house, 3)
        house.engine.hold.clear()  # it neither answers nor fails
        await seconds(house, 8)
        assert session.engine_state.decides
        await seconds(house, 5)
        assert (session.engine_state.status.value, session.engine_state.code) == ("away", "engine_blind")
        assert "decided nothing" in str(await ready(house))
        assert len(await events(house, "engine_offline")) == 1
        house.engine.hold.set()
        await seconds(house, 2)
        assert session.engine_state.decides
        assert len(await events(house, "engine_online")) == 1


async def test_a_camera_without_pictures_is_not_blind(house: House):
    session, source = await add(house)
    await seconds(house, 2)
    source.fail()
    await house.clock.advance(60)
    assert session.engine_state.decides
    assert await ready(house) is None


async def test_of_two_sessions_the_one_that_gets_nothing_is_named(house: House):
    opened, refused = house.engine.open, set()

    async def open(spec):
        inner = await opened(spec)
        usual = inner.score

        async def score():
            if spec.session_id in refused:
                raise INSIDE
            return await usual()

        inner.score = score
        return inner

    house.engine.open = open
    bad, _ = await add(house, "bad")
    good, _ = await add(house, "good")
    await seconds(house, 2)
    refused.add(bad.id)
    await seconds(house, 5)
    assert good.engine_state.decides
    assert bad.engine_state.status.value == "cannot"
    assert await ready(house) == f"Session {bad.id}: {INSIDE}"
    await house.registry.cameras.remove(bad.record.camera_id)
    assert await ready(house) is None


async def test_one_that_loads_is_waited_for_with_a_bound(tmp_path):
    async with open_house(tmp_path, engine_loading_s=30.0) as house:

        async def probe():
            raise LOADING

        house.engine.probe = probe
        fails(house, LOADING, asked_too=True)
        session, _ = await add(house)
        await seconds(house, 4)
        assert (session.engine_state.status.value, session.engine_state.code) == ("loading", "engine_loading")
        await seconds(house, 20)
        assert session.engine_state.status.value == "loading"
        await seconds(house, 20)
        assert session.engine_state.status.value == "away"
        assert "still loads its model after 30 s" in str(await ready(house))
        assert len(await events(house, "engine_offline")) == 1


async def test_a_loading_engine_is_back_soon_after_it_has_loaded(house: House):
    session, _ = await add(house)
    fails(house, LOADING, asked_too=True)
    await seconds(house, 60)
    works(house)
    await seconds(house, 4)
    assert session.engine_state.decides
    assert session.ticks()[-1]["skipped"] is None


async def test_a_slow_engine_decides_and_is_ready_with_what_it_manages(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    manages = "The engine scripted manages one decision every 3.0 s, always about the newest picture."
    session.machine.engine.health.slow(3.0)
    state = session.describe()["engine_state"]
    assert (state["status"], state["code"], state["reason"]) == ("slow", "engine_slow", manages)
    assert await ready(house) is None
    assert house.registry.engines.slow() == {"scripted": manages}
    session.machine.engine.health.slow(None)
    assert session.engine_state.status.value == "ready"
    assert await events(house, "engine_offline", "engine_online") == []


async def test_readiness_asks_nothing_of_an_engine_in_use(house: House):
    await add(house)
    await seconds(house, 2)

    async def check() -> str:
        raise AssertionError("asked")

    house.engine.check = check
    assert await ready(house) is None


async def test_a_session_begun_while_the_engine_is_away_says_so(house: House):
    first, _ = await add(house)
    await seconds(house, 2)
    fails(house, AWAY, asked_too=True)
    await seconds(house, 8)
    second, _ = await add(house, "second")
    await seconds(house, 1)
    assert second.engine_state.status.value == "away"
    assert {e.session_id for e in await events(house, "engine_offline")} == {first.id, second.id}


async def test_a_fault_is_not_over_because_the_session_that_had_it_ends(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    fails(house, INSIDE)
    await seconds(house, 5)
    with capture_logs() as logged:
        await house.registry.cameras.remove(session.record.camera_id)
    assert [line for line in logged if line["event"] == "engine decides again"] == []


async def test_an_engine_whose_check_breaks_is_told_like_any_other(tmp_path):
    """Somebody else's engine may raise anything: neither `/readyz` nor the look once a second ends by it."""
    async with open_house(tmp_path) as house:

        async def broken() -> str:
            raise OSError("no such device")

        house.engine.check = broken
        reason = await ready(house)
        assert reason is not None
        assert "no such device" in reason


async def test_who_looks_after_an_engine_goes_on_after_a_fault_of_its_check(tmp_path):
    async with open_house(tmp_path) as house:

        async def broken() -> str:
            raise OSError("no such device")

        house.engine.check = broken
        house.engine.hangs.add("probe")
        house.engine.hangs.add("score")

        async def probe() -> Any:
            await house.engine.hang("probe")

        house.engine.probe = probe
        session, _ = await add(house)
        await seconds(house, 8)
        assert session.engine_state.status == "loading"


async def test_the_timeline_shows_no_secret_that_an_engine_quotes(house: House):
    await add(house)
    fails(house, EngineUnavailable("No server answers at http://me:hunter2@192.168.1.9/v1."))
    await seconds(house, 6)
    (event,) = await events(house, "engine_offline")
    assert "hunter2" not in event.text
    assert "192.168.1.9" in event.text


async def test_what_people_change_live_makes_no_new_machine_later(house: House):
    session, _ = await add(house)
    await seconds(house, 2)
    runner = session.machine
    session.change(SessionSpec(fidelity="eco"))
    session.machine.engine_changed()
    await seconds(house, 2)
    assert session.machine is runner


async def test_an_engine_whose_probe_breaks_is_told_once_and_nobody_waits_for_it(tmp_path):
    async with open_house(tmp_path) as house:

        async def broken() -> Any:
            raise OSError("no such device")

        good, house.engine.probe = house.engine.probe, broken
        told: list[str] = []
        with capture_logs() as lines:
            waiting = asyncio.create_task(house.registry.engine_there(lambda state: told.append(state.status.value)))
            await seconds(house, 100)
        assert waiting.done()
        assert (waiting.result().status, waiting.result().code) == ("cannot", "engine_fault")
        assert "no such device" in (await ready(house) or "")
        assert len([line for line in lines if line["event"] == "engine monitor failed"]) == 1
        house.engine.probe = good
        await seconds(house, 32)
        assert await ready(house) is None


async def test_an_engine_that_does_not_let_go_of_its_probe_holds_up_no_end(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "CLOSE_S", 0.05)
    may_end = asyncio.Event()

    async def deaf() -> Any:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    async with open_house(tmp_path) as house:
        house.engine.probe = deaf
        await add(house)
        await seconds(house, 1)
        async with asyncio.timeout(PATIENCE_S):
            await house.registry.engines.aclose()
        may_end.set()


class Nobody:
    def opened(self) -> None: ...
    def recovered(self, *, closed: bool) -> None: ...


def test_an_engine_that_is_shut_off_by_background_work_alone_has_a_reason():
    health = EngineHealth("scripted", ManualClock(), 600.0, Nobody())
    health.shut_off()
    assert (health.state.status, health.state.reason) == ("away", "The engine scripted does not answer.")
