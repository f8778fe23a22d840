"""A question that is handed over: to the queue with what was seen and said, and its answer back to the scene."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import until
from fakes.server.sessions import House, open_house
from fakes.told_agent import ToldAgent
from joyvl_server.agents.base import AgentError
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.decisions import Score
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory.requests import Asker
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.messages import HeardDone, PlaybackStopped

AGENTS = {"entries": {"told": {"type": "told"}}, "frames": 3, "permission_timeout_s": 30.0}
ASKS = (Score(1.0), ["Let me look into that. </delegation> Who built this house?"])


class Scene:
    def __init__(self, house: House, session: Session, source: FakeSource, agent: ToldAgent) -> None:
        self.house, self.session, self.source, self.agent = house, session, source, agent
        self.turns: list[UserTurn] = []
        self.asks_at: set[int] = {2}
        self.reply = ""
        """what the model says to the news of a result"""
        house.engine.script = self._answer

    def _answer(self, turn: UserTurn) -> Any:
        self.turns.append(turn)
        if turn.step in self.asks_at:
            return ASKS
        return (Score(1.0), [self.reply]) if self.reply and turn.news else Score(0.0)

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            for _ in range(4):
                self.source.show(picture(self.source.now))
                await self.house.clock.advance(0.25)
            await until(self._caught_up)

    def _caught_up(self) -> bool:
        """What was handed over is in the queue, and no agent is at work that may go on: disk and agents need real time,
        whatever the clock says."""
        asked = any(turn.step in self.asks_at for turn in self.turns)
        if not asked or not self.agent.goes_on.is_set():
            return True
        return bool(self.tasks()) and self.tasks()[-1]["status"] not in ("queued", "running")

    async def pass_until(self, condition) -> None:
        for _ in range(60):
            await self.seconds(1)
            if condition():
                return
        raise AssertionError("it did not happen")

    def tasks(self) -> list[dict[str, Any]]:
        return [update.data["task"] for update in self.session.updates._ring if update.type == "task.updated"]

    def said(self) -> list[str]:
        return [update.data["text"] for update in self.session.updates._ring if update.type.endswith("text.done")]

    def told(self, text: str) -> list[str]:
        return [line for turn in self.turns for line in turn.news if text in line]


@asynccontextmanager
async def scene_in(folder: Path, agent: ToldAgent) -> AsyncIterator[Scene]:
    async with open_house(folder, agents=AGENTS, cooldown_s=0.0) as house:
        house.registry.tasks.agents._agents["told"] = agent
        cameras = house.registry.cameras.all()
        if cameras:
            view = cameras[0]
        else:
            view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
        session = house.registry.session(view.record.session_id)
        yield Scene(house, session, house.media.sources[view.record.id], agent)


@pytest.fixture
def agent() -> ToldAgent:
    return ToldAgent()


@pytest.fixture
async def scene(tmp_path: Path, agent: ToldAgent) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path, agent) as scene:
        yield scene


async def test_the_answer_is_in_the_very_next_request_at_its_tail(scene: Scene) -> None:
    await scene.pass_until(lambda: scene.told("1907"))
    turn = next(turn for turn in scene.turns if turn.news)
    assert turn.news == ("[Result of the question handed over] Who built this house?: The house was built in 1907.",)
    assert [task["status"] for task in scene.tasks()][-1] == "completed"
    assert scene.tasks()[-1]["answer"] == "The house was built in 1907."
    (bundle,) = scene.agent.bundles
    assert bundle.question == "Who built this house?"
    assert bundle.note == "Let me look into that."
    assert bundle.source == "door"
    times = [frame.t for frame in bundle.frames]
    assert 1 <= len(times) <= 3
    assert times == sorted(times)


async def test_what_the_model_keeps_to_itself_is_said_by_the_server_once(scene: Scene) -> None:
    await scene.pass_until(lambda: "The house was built in 1907." in scene.said())
    await scene.seconds(30)
    assert scene.said().count("The house was built in 1907.") == 1
    assert scene.tasks()[-1]["delivered"] is None, "nobody has heard it or seen it"


async def test_the_same_question_each_second_is_one_task(scene: Scene, agent: ToldAgent) -> None:
    agent.goes_on.clear()
    scene.asks_at = set(range(2, 12))
    await scene.seconds(12)
    await until(scene.tasks)
    assert len({task["id"] for task in scene.tasks()}) == 1
    agent.goes_on.set()
    await scene.pass_until(lambda: scene.told("1907"))
    assert len(agent.bundles) == 1
    assert len(scene.told("1907")) == 1


async def test_a_failure_is_told_in_its_words(scene: Scene, agent: ToldAgent) -> None:
    agent.error = AgentError("It wants a login: joyvl agents login told.", code="login")
    await scene.pass_until(lambda: scene.told("No result of"))
    assert scene.tasks()[-1]["code"] == "login"
    await scene.pass_until(lambda: "It wants a login: joyvl agents login told." in scene.said())


async def test_a_permission_is_asked_aloud_and_answered_by_voice(scene: Scene, agent: ToldAgent) -> None:
    agent.asks = True
    await scene.pass_until(lambda: scene.tasks() and scene.tasks()[-1]["status"] == "waiting")
    assert "told asks: run a command. Allow it once, yes or no?" in scene.said()
    scene.session.bus.publish(HeardDone("s1", "Well, look at that.", True))
    scene.session.bus.publish(HeardDone("s2", "Yes, please.", True))
    await until(lambda: agent.permissions)
    await scene.pass_until(lambda: scene.tasks()[-1]["status"] == "completed")
    assert agent.permissions == ["allow"]


async def test_a_typed_no_is_no_question_to_the_model(scene: Scene, agent: ToldAgent) -> None:
    agent.asks = True
    await scene.pass_until(lambda: scene.tasks() and scene.tasks()[-1]["status"] == "waiting")
    query = scene.session.ask("No")
    await until(lambda: agent.permissions)
    assert agent.permissions == ["deny"]
    assert scene.session.queries.get(query.id).status == "withdrawn"


async def test_a_typed_yes_of_who_may_not_allow_it_allows_nothing(scene: Scene, agent: ToldAgent) -> None:
    agent.asks = True
    await scene.pass_until(lambda: scene.tasks() and scene.tasks()[-1]["status"] == "waiting")
    scene.session.ask("Yes", Asker(allows=False))
    await scene.pass_until(lambda: agent.permissions)
    assert agent.permissions == [None]


async def test_nobody_who_answers_is_a_denial(scene: Scene, agent: ToldAgent) -> None:
    agent.asks = True
    await scene.pass_until(lambda: scene.tasks() and scene.tasks()[-1]["status"] == "waiting")
    await scene.pass_until(lambda: agent.permissions)
    assert agent.permissions == [None]


async def test_it_is_delivered_when_it_was_heard_to_its_end(scene: Scene) -> None:
    scene.reply = "It was built in 1907, this house."
    await scene.pass_until(lambda: any("1907" in text for text in scene.said()))
    done = [update.data for update in scene.session.updates._ring if update.type.endswith("text.done")][-1]
    scene.session.bus.publish(PlaybackStopped(done["epoch"], 5))
    await scene.seconds(1)
    assert scene.tasks()[-1]["delivered"] is None, "it was cut off"
    scene.session.bus.publish(PlaybackStopped(done["epoch"], len(done["text"])))
    await scene.pass_until(lambda: scene.tasks()[-1]["delivered"] == "spoken")


async def test_the_next_session_of_the_camera_gets_what_nobody_was_told_of(tmp_path: Path, agent: ToldAgent) -> None:
    async with scene_in(tmp_path, agent) as scene:
        scene.asks_at = {2, 3}
        await scene.pass_until(lambda: scene.tasks() and scene.tasks()[-1]["status"] == "completed")
        task_id = scene.tasks()[-1]["id"]
    async with scene_in(tmp_path, agent) as later:
        later.asks_at = set()
        await later.pass_until(lambda: later.told("1907"))
        assert later.told("Who built this house?")
        await later.house.registry.tasks.deliver(task_id, "shown")
    async with scene_in(tmp_path, agent) as last:
        last.asks_at = set()
        await last.seconds(4)
        assert not last.told("1907")


async def test_people_delegate_by_hand_with_the_scene(scene: Scene, agent: ToldAgent) -> None:
    scene.asks_at = set()
    await scene.seconds(1)
    task = await scene.session.delegation.hand_over(TaskDraft("Which bird is this?"))
    await scene.pass_until(lambda: scene.tasks()[-1]["status"] == "completed")
    assert (task.origin, task.camera_id) == ("user", scene.session.record.camera_id)
    assert agent.bundles[0].frames
    follow = await scene.house.registry.tasks.submit(TaskDraft("And its name?", follows=task.id))
    await scene.pass_until(lambda: len(agent.bundles) == 2)
    assert agent.bundles[1].earlier == (("Which bird is this?", "The house was built in 1907."),)
    assert agent.bundles[1].agent_session == "session-1"
    assert follow.session_id == scene.session.id
