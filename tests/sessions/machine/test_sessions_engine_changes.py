"""An engine that can do other things in mid-session: one machine goes on, and nothing of it begins again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import PATIENCE_S, until
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.session import Session

INSTRUCT = Capabilities(mode="instruct")
SCORED = Capabilities(mode="scored", scores=True, chooses=True, prefills=True)
STANDING = (0.0, 1.0, 0.0)
ASKED = "Tell me when the cat comes in."


async def add(house: House) -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft("door", "rtsp://192.168.1.20/1"))
    return house.registry.session(view.record.session_id), house.media.sources[view.record.id]


async def seconds(house: House, source: FakeSource, count: float) -> None:
    for _ in range(round(4 * count)):
        source.show(picture(source.now))
        await house.clock.advance(0.25)


def become(house: House, can: Capabilities) -> None:
    """The engine is another one from now on, and its monitor tells."""
    house.engine.capabilities = can
    house.registry.engines.monitor("scripted").capabilities_changed()


def updates(session: Session, type: str) -> list[dict[str, Any]]:
    return [update.data for update in session.updates._ring if update.type == type]


def epochs(session: Session) -> list[int]:
    return [update["epoch"] for update in updates(session, "response.created")]


def speaks(turn: UserTurn) -> tuple[Score, list[str]]:
    return Score(1.0), [f"Something new is there, number {turn.step}. </delegation> What is number {turn.step}?"]


async def test_epochs_and_task_ids_never_repeat_and_history_survives(house: House):
    house.engine.capabilities = INSTRUCT
    house.engine.script = speaks
    session, source = await add(house)
    machine = session.machine._observer
    await seconds(house, source, 8)
    for can in (SCORED, INSTRUCT):
        become(house, can)
        await seconds(house, source, 12)
        assert session.machine._observer is machine
        assert house.engine.open_sessions == 1  # it was opened anew, and the one before was closed
    await until(lambda: len(updates(session, "task.updated")) >= len(epochs(session)))
    assert len(epochs(session)) >= 6
    assert sorted(set(epochs(session))) == epochs(session)
    tasks = [update["task"]["id"] for update in updates(session, "task.updated")]
    assert len(set(tasks)) == len(tasks) >= 6
    assert len(house.engine.called("open")) == 3
    chunks = house.engine.called("begin")
    assert sorted(set(chunks)) == chunks
    assert not [tick for tick in session.ticks() if tick["skipped"] == "failed"]


async def test_one_standing_sentence_stays_one_watch_and_an_open_query_gets_one_answer(house: House):
    house.engine.capabilities = SCORED
    house.engine.choose = lambda question, options: (
        STANDING if ASKED in question else (1.0, *[0.0] * (len(options) - 1))
    )
    session, source = await add(house)
    await seconds(house, source, 2)
    session.ask(ASKED)
    async with asyncio.timeout(PATIENCE_S):
        while not session.watches.all():
            await seconds(house, source, 0.5)
            await asyncio.sleep(0.005)  # it is kept on the disk
    open_query = session.ask("How many cups are on the table?")
    for can in (INSTRUCT, SCORED, INSTRUCT):
        become(house, can)
        await seconds(house, source, 3)
    house.engine.script = lambda turn: (Score(1.0), ["Two cups."]) if turn.step == last else Score(0.0)
    last = session.machine._observer._steps + 1
    await seconds(house, source, 4)
    assert [watch.text for watch in session.watches.all()] == [ASKED]
    closed = [update["query"] for update in updates(session, "query.closed")]
    assert [(query["id"], query["status"]) for query in closed][-1:] == [(open_query.id, "answered")]
    assert len({query["id"] for query in closed}) == len(closed) == 2
    assert len(updates(session, "watch.created")) == 1


async def test_ten_changes_in_ten_seconds_cost_no_decision(house: House):
    house.engine.capabilities = INSTRUCT
    session, source = await add(house)
    await seconds(house, source, 2)
    for number in range(10):
        become(house, (SCORED, INSTRUCT)[number % 2])
        await seconds(house, source, 1)
    assert {tick["skipped"] for tick in session.ticks()} == {None}
    assert house.engine.open_sessions == 1
    assert session.describe()["capabilities"]["mode"] == "instruct"


async def test_a_change_while_it_speaks_lets_it_finish(house: House):
    house.engine.capabilities = INSTRUCT
    session, source = await add(house)
    await seconds(house, source, 2)
    house.engine.script = lambda turn: (Score(1.0), ["A cat ", "comes in."])
    house.engine.hold.clear()
    await seconds(house, source, 1)
    become(house, SCORED)
    become(house, INSTRUCT)
    become(house, SCORED)
    opened = len(house.engine.called("open"))
    house.engine.hold.set()
    await house.clock.settle()
    (said,) = updates(session, "response.output_text.done")
    assert (said["text"], said["interrupted"]) == ("A cat comes in.", False)
    assert len(house.engine.called("open")) == opened  # not in the middle of a step
    house.engine.script = lambda turn: Score(0.0)
    await seconds(house, source, 2)
    assert len(house.engine.called("open")) == opened + 1
    assert session.ticks()[-1]["skipped"] is None


async def test_the_engine_session_is_a_new_one_where_somebody_changes_a_setting_first(house: House):
    house.engine.capabilities = INSTRUCT
    session, source = await add(house)
    await seconds(house, source, 2)
    house.engine.capabilities = SCORED  # found, and not told yet
    await house.registry.cameras.change(session.record.camera_id, {"threshold": 0.4})
    become(house, SCORED)
    await seconds(house, source, 2)
    assert len(house.engine.called("open")) == 2
    assert house.engine.open_sessions == 1
    assert session.machine._observer.config.engine.chooses


async def test_a_change_while_the_engine_is_away(house: House):
    house.engine.capabilities = INSTRUCT
    session, source = await add(house)
    await seconds(house, source, 2)
    gone = EngineUnavailable("No server answers there.")
    house.engine.script = lambda turn: gone
    house.engine.refuse_open = gone
    await seconds(house, source, 15)
    assert session.ticks()[-1]["skipped"] == "away"
    house.engine.capabilities = SCORED
    house.engine.script = lambda turn: Score(0.1)
    house.engine.refuse_open = None
    await seconds(house, source, 40)
    assert session.ticks()[-1]["skipped"] is None
    assert session.describe()["capabilities"]["mode"] == "scored"
    assert session.machine._observer.config.engine.chooses
    assert house.engine.open_sessions == 1


@pytest.mark.parametrize("how", ["disabled and enabled", "the server restarts"])
async def test_epochs_go_on_where_a_session_begins_again(tmp_path, how: str):
    async with open_house(tmp_path) as house:
        house.engine.script = speaks
        session, source = await add(house)
        await seconds(house, source, 6)
        before, camera = epochs(session), session.record.camera_id
        assert before
        if how == "disabled and enabled":
            await house.registry.cameras.change(camera, {"enabled": False})
            await house.registry.cameras.change(camera, {"enabled": True})
            after = await spoken_again(house, camera)
            assert min(after) > max(before)
            return
    async with open_house(tmp_path) as house:
        house.engine.script = speaks
        after = await spoken_again(house, camera)
        assert min(after) > max(before)  # though the clock of this process begins where the other one began


async def spoken_again(house: House, camera: str) -> list[int]:
    session = house.registry.session(house.registry.cameras.get(camera).record.session_id)
    await seconds(house, house.media.sources[camera], 6)
    return epochs(session)
