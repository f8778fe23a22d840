"""Delegated tasks by GPT-Live's names: what a client is told of them, and one that runs an agent of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.live import ClientEvent
from pydantic import TypeAdapter

from fakes.agents.steered_agent import SteeredAgent, offer
from fakes.patience import until
from fakes.server.house import house
from fakes.server.realtime_client import Client, connect
from joyvl_server.agents.base import AgentContext, AgentError, AgentReport, TaskBundle
from joyvl_server.agents.client_agent import open_agent
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.errors import ConfigError, Conflict

AGENTS = {
    "same_s": 0,
    "session_at_once": 4,
    "at_once": 4,
    "entries": {"mine": {"type": "client", "options": {"silence_s": 30}}, "steered": {"type": "steered"}},
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, SteeredAgent]:
    return offer(monkeypatch, client=open_agent)


@pytest.fixture
async def client(tmp_path: Path, made: dict[str, SteeredAgent]) -> AsyncIterator[Client]:
    async with house(tmp_path, agents=AGENTS) as h:
        client = await connect(h)
        await client.get("session.created")
        yield client
        await client.leave()


async def never(request: object) -> None:
    raise AssertionError("it asks for nothing")


def append(client: Client, what: str, task_id: str | None, content: str, **more: Any) -> None:
    event = {"type": f"session.{what}.append", "delegation_id": task_id, "content": content, **more}
    TypeAdapter(ClientEvent).validate_python(event)
    client.say(event)


async def delegate(client: Client, question: str, agent: str | None = None) -> str:
    """As the engine does it."""
    task = await client.session.delegation.hand_over(TaskDraft(question, origin="model", agent=agent))
    return task.id


async def status(client: Client, task_id: str) -> str:
    return (await client.h.registry.tasks.records.get(task_id)).status


async def test_a_client_works_on_what_is_delegated(client: Client):
    task_id = await delegate(client, "Whose car is it?")
    created = await client.get("session.delegation.created")
    assert created["delegation"] == {
        "id": task_id, "type": "delegation", "target": "client", "question": "Whose car is it?",
    }  # fmt: skip
    assert created["offset_ms"] >= 0
    append(client, "thinking", task_id, "Looking at the plate.", event_id="mine-1")
    thought = await client.get("session.thinking.appended")
    assert thought["client_event_id"] == "mine-1"
    append(client, "commentary", task_id, "It is **Anna's** car.")
    await client.get("session.commentary.appended")
    await client.seconds(lambda: client.session.updates.closed or _last(client)["status"] == "completed")
    task = _last(client)
    assert (task["answer"], task["digest"], task["agent"]) == ("It is **Anna's** car.", "It is Anna's car.", "mine")
    assert len(client.of("session.delegation.created")) == 1


def _last(client: Client) -> dict[str, Any]:
    """The newest state of a task that was told."""
    return [update.data["task"] for update in client.session.updates._ring if update.type == "task.updated"][-1]


async def test_of_two_answers_only_the_first_counts(client: Client):
    task_id = await delegate(client, "Whose car is it?")
    await client.get("session.delegation.created")
    append(client, "commentary", task_id, "Anna's.")
    append(client, "commentary", task_id, "Bert's.", event_id="late")
    append(client, "thinking", task_id, "Hm.")
    assert (await client.error())["event_id"] == "late"
    assert (await client.error(2))["code"] == "conflict"
    await until(lambda: _last(client)["status"] == "completed")
    assert _last(client)["answer"] == "Anna's."


async def test_what_an_agent_of_the_server_does_is_told_and_left_alone(client: Client, made: dict[str, SteeredAgent]):
    client.h.registry.tasks.agents.get("steered").holds = True  # type: ignore[attr-defined]
    task_id = await delegate(client, "Whose car is it?", "steered")
    created = await client.get("session.delegation.created")
    assert (created["delegation"]["id"], created["delegation"]["target"]) == (task_id, "responses")
    append(client, "commentary", task_id, "Anna's.")
    assert (await client.error())["code"] == "not_of_a_client"
    made["steered"].release()
    await until(lambda: _last(client)["status"] == "completed")
    assert _last(client)["answer"] == made["steered"].answer


async def test_only_tasks_of_its_own_session_are_a_clients(client: Client):
    other = await client.h.registry.tasks.submit(TaskDraft("Whose dog is it?", agent="mine"))
    append(client, "commentary", other.id, "Anna's.")
    assert (await client.error())["code"] == "not_found"
    append(client, "commentary", "tsk_1", "Anna's.")
    assert (await client.error(2))["code"] == "not_found"
    append(client, "commentary", None, "The door is green.")
    third = await client.error(3)
    assert (third["code"], third["param"]) == ("invalid_value", "delegation_id")
    client.say({"type": "session.thinking.append", "content": "x"})
    assert (await client.error(4))["param"] == "delegation_id"
    append(client, "thinking", "tsk_1", " ")
    assert (await client.error(5))["param"] == "content"
    assert client.of("session.delegation.created") == []
    assert await status(client, other.id) in ("queued", "running")


async def test_cancelled_it_takes_no_answer(client: Client):
    task_id = await delegate(client, "Whose car is it?")
    await client.get("session.delegation.created")
    cancelled = await client.h.client.post(f"/v1/tasks/{task_id}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    append(client, "commentary", task_id, "Anna's.")
    assert (await client.error())["code"] == "conflict"
    assert await status(client, task_id) == "cancelled"


async def test_a_client_that_says_nothing_for_long_has_failed(client: Client):
    task_id = await delegate(client, "Whose car is it?")
    await client.get("session.delegation.created")
    await client.h.clock.advance(25)
    append(client, "thinking", task_id, "Still looking.")
    await client.get("session.thinking.appended")
    await client.h.clock.advance(25)
    assert await status(client, task_id) == "running", "it said something in between"
    await client.seconds(lambda: _last(client)["status"] == "failed")
    assert _last(client)["code"] == "silent"
    append(client, "commentary", task_id, "Anna's.")
    assert (await client.error())["code"] == "conflict"


async def test_a_client_that_hung_up_leaves_no_task_behind(tmp_path: Path, made: dict[str, SteeredAgent]):
    async with house(tmp_path, agents=AGENTS) as h:
        client = await connect(h)
        await client.get("session.created")
        task_id = await delegate(client, "Whose car is it?")
        await client.get("session.delegation.created")
        await client.leave()
        await h.clock.advance(9)
        assert await status(client, task_id) == "running", "a client may come back"
        await client.seconds(lambda: h.registry.tasks._running == {})
        task = await h.registry.tasks.records.get(task_id)
        assert (task.status, task.code) == ("failed", "unavailable")
        assert task.error == "mine is run by a client, and none of this session was connected for 10 s."


async def test_a_task_that_no_client_can_hear_of_fails_soon(client: Client):
    other = await client.h.registry.tasks.submit(TaskDraft("Whose dog is it?", agent="mine"))
    own = await delegate(client, "Whose car is it?")
    await client.get("session.delegation.created")
    await client.seconds(lambda: other.id not in client.h.registry.tasks._running)
    assert await status(client, other.id) == "failed"
    assert await status(client, own) == "running"


async def test_one_that_comes_back_in_time_goes_on(client: Client, tmp_path: Path):
    clock = client.h.clock
    agent = open_agent(AgentContext("mine", {"silence_s": 600}, tmp_path, clock, client.h.settings.net_policy()))
    events = agent.run(TaskBundle("tsk_1", "What?", session_id="ses_1"), tmp_path, never)
    with agent.connected("ses_1"), agent.connected("ses_2"):
        await anext(events)
        reading = asyncio.ensure_future(anext(events))
        with agent.connected("ses_1"):
            await clock.advance(20)
        await clock.advance(20)
        assert not reading.done(), "one of the two is still there"
    await clock.advance(9)
    with agent.connected("ses_1"):
        await clock.advance(9)
        assert not reading.done()
    await clock.advance(9)
    assert not reading.done(), "it counts from the last time that one was there; silence is another limit"
    await clock.advance(1)
    with pytest.raises(AgentError, match="run by a client") as gone:
        await reading
    assert gone.value.code == "unavailable"


# ----------------------------------------------------------------------------------------------------------- the agent


async def test_it_says_what_it_is_and_takes_no_odd_options(client: Client, tmp_path: Path):
    clock, policy = client.h.clock, client.h.settings.net_policy()
    agent = open_agent(AgentContext("mine", {}, tmp_path, clock, policy))
    report = await agent.check()
    assert isinstance(report, AgentReport)
    assert report.ready
    with pytest.raises(ConfigError, match=r"agents\.entries\.mine\.options"):
        open_agent(AgentContext("mine", {"silence": 3}, tmp_path, clock, policy))


async def test_closed_early_it_knows_the_task_no_more(client: Client, tmp_path: Path):
    agent = open_agent(AgentContext("mine", {}, tmp_path, client.h.clock, client.h.settings.net_policy()))

    events = agent.run(TaskBundle("tsk_1", "What?"), tmp_path, never)
    await anext(events)
    for number in range(100):
        agent.progress("tsk_1", f"line {number}")
    reading = asyncio.ensure_future(anext(events))
    assert (await reading).text == "line 0"  # type: ignore[union-attr]
    await events.aclose()
    with pytest.raises(Conflict):
        agent.finish("tsk_1", "late")
