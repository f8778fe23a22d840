"""Tasks when much happens at once, or in an order that nobody meant: limits hold, one end counts, one answer counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fakes.agents.steered_agent import RUN_IT, STEERED, SteeredAgent, offer
from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from joyvl_server.agents.base import AgentError

OVER = ("completed", "failed", "cancelled")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, SteeredAgent]:
    return offer(monkeypatch)


@pytest.fixture
async def h(tmp_path: Path, made: dict[str, SteeredAgent]) -> AsyncIterator[House]:
    async with house(tmp_path, agents={**STEERED, "session_at_once": 2, "session_queued": 3}) as opened:
        yield opened


@pytest.fixture
def agent(h: House) -> SteeredAgent:
    return agent_of(h)


def agent_of(h: House) -> SteeredAgent:
    found = h.registry.tasks.agents.get("steered")
    assert isinstance(found, SteeredAgent)
    return found


async def post(h: House, path: str = "/v1/tasks", **body: Any) -> Any:
    return await h.client.post(path, json=body)


async def asked(h: House, question: str, **more: Any) -> str:
    answer = await post(h, question=question, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def reaches(h: House, task_id: str, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (task := (await h.client.get(f"/v1/tasks/{task_id}")).json())["status"] not in statuses:
            await asyncio.sleep(0.01)
    return dict(task)


async def test_five_hundred_questions_at_once_are_answered_or_refused(tmp_path: Path, made: dict[str, SteeredAgent]):
    async with house(tmp_path, agents={**STEERED, "at_once": 4, "max_queued": 50}) as h:
        agent = agent_of(h)
        agent.holds = True
        answers = await asyncio.gather(*(post(h, question=f"number {n}") for n in range(500)))
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {201, 409}
        assert 50 <= codes[201] <= 54, "those that wait, and those that run"
        assert {a.json()["code"] for a in answers if a.status_code == 409} == {"too_many_tasks"}
        await until(lambda: len(agent.bundles) == 4)
        agent.release()
        ids = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        assert {(await reaches(h, task_id, *OVER))["status"] for task_id in ids} == {"completed"}
        assert len({bundle.task_id for bundle in agent.bundles}) == len(agent.bundles) == len(ids)


async def test_cancelled_in_every_state_one_end_counts(h: House, agent: SteeredAgent):
    """At the moment of its start, while it works, and as it finishes; twice at once."""
    ends: Counter[str] = Counter()
    for round_ in range(24):
        task_id = await asked(h, f"round {round_}")
        for _ in range(round_):
            await asyncio.sleep(0.0005)
        first, second, deleted = await asyncio.gather(
            post(h, f"/v1/tasks/{task_id}/cancel"),
            post(h, f"/v1/tasks/{task_id}/cancel"),
            h.client.delete(f"/v1/tasks/{task_id}"),
        )
        assert deleted.status_code in (204, 409)
        if deleted.status_code == 204:
            assert {first.status_code, second.status_code} <= {200, 404}
            continue
        assert (first.status_code, second.status_code) == (200, 200)
        ends[first.json()["status"]] += 1
        assert first.json() == second.json() == (await h.client.get(f"/v1/tasks/{task_id}")).json()
    assert set(ends) <= {"cancelled", "completed"}
    assert ends["cancelled"] > 0
    assert agent.ended == len(agent.bundles), "nothing runs on"
    assert not any(folder.exists() for folder in agent.folders)


async def test_two_clients_answer_a_permission_and_one_of_them_counts(h: House, agent: SteeredAgent):
    agent.asks = [RUN_IT]
    task = await reaches(h, await asked(h, "Clean up."), "waiting")
    path = f"/v1/tasks/{task['id']}/permissions/{task['permission']['id']}"
    answers = await asyncio.gather(*(post(h, path, option_id=option) for option in ("yes", "no", None, "yes")))
    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409]
    counted = ("yes", "no", None, "yes")[[answer.status_code for answer in answers].index(204)]
    await reaches(h, task["id"], "completed")
    assert agent.answers == [counted]
    assert (await post(h, path, option_id="yes")).status_code == 409, "after its end"


async def test_a_permission_answered_as_its_task_is_cancelled(h: House, agent: SteeredAgent):
    agent.asks = [RUN_IT]
    task = await reaches(h, await asked(h, "Clean up."), "waiting")
    path = f"/v1/tasks/{task['id']}/permissions/{task['permission']['id']}"
    cancelled, answered = await asyncio.gather(
        post(h, f"/v1/tasks/{task['id']}/cancel"), post(h, path, option_id="yes")
    )
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert answered.status_code in (204, 409)
    assert (await post(h, path, option_id="yes")).status_code == 409
    assert (await reaches(h, task["id"], *OVER))["permission"] is None


async def test_a_follow_up_of_what_failed_runs_and_of_what_runs_or_is_gone_is_refused(h: House, agent: SteeredAgent):
    agent.error = AgentError("It broke.", code="died")
    failed = await reaches(h, await asked(h, "What?"), "failed")
    agent.error = None
    follow = await post(h, f"/v1/tasks/{failed['id']}/follow-up", question="Again?")
    assert follow.status_code == 201
    await reaches(h, follow.json()["id"], "completed")
    assert agent.bundles[-1].earlier == (("What?", "It broke."),)
    agent.holds = True
    running = await asked(h, "Slowly?")
    await reaches(h, running, "running")
    assert (await post(h, f"/v1/tasks/{running}/follow-up", question="And?")).status_code == 409
    assert (await h.client.delete(f"/v1/tasks/{failed['id']}")).status_code == 204
    for gone in (
        post(h, f"/v1/tasks/{failed['id']}/follow-up", question="And?"),
        post(h, question="x", follows="tsk_"),
    ):
        assert (await gone).status_code == 404
    again = await post(h, f"/v1/tasks/{follow.json()['id']}/follow-up", question="What it followed is gone")
    assert again.status_code == 201
    agent.release()
    await reaches(h, again.json()["id"], "completed")
    assert len(agent.bundles[-1].earlier) == 1


async def test_an_idempotency_key_with_another_body_is_refused(h: House, agent: SteeredAgent):
    headers = {"Idempotency-Key": "once"}
    first = await h.client.post("/v1/tasks", json={"question": "One?"}, headers=headers)
    other = await h.client.post("/v1/tasks", json={"question": "Two?"}, headers=headers)
    assert (first.status_code, other.status_code, other.json()["code"]) == (201, 422, "idempotency_mismatch")
    await reaches(h, first.json()["id"], "completed")
    at_once = await asyncio.gather(
        *(h.client.post("/v1/tasks", json={"question": "Three?"}, headers={"Idempotency-Key": "k"}) for _ in range(8))
    )
    assert len({answer.json()["id"] for answer in at_once}) == 1
    assert len(agent.bundles) <= 2


async def test_limits_of_a_session_and_the_most_urgent_first(h: House, agent: SteeredAgent):
    camera = await h.camera()
    agent.holds = True
    own = {"session_id": camera["session_id"]}
    running = [await asked(h, f"runs {n}", **own) for n in range(2)]
    for task_id in running:
        await reaches(h, task_id, "running")
    urgency = {"usual": 0, "urgent": 5, "idle": -5}
    waiting = {name: await asked(h, f"waits {name}", priority=n, **own) for name, n in urgency.items()}
    refused = await post(h, question="one more", **own)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_tasks")
    assert "session_queued" in refused.json()["detail"]
    await asked(h, "of nobody's session")
    agent.release()
    for task_id in waiting.values():
        await reaches(h, task_id, "completed")
    order = [bundle.question for bundle in agent.bundles if bundle.question.startswith("waits")]
    assert order.index("waits urgent") < order.index("waits idle")


async def test_a_camera_deleted_while_its_task_runs_costs_the_task_nothing(h: House, agent: SteeredAgent):
    camera = await h.camera()
    agent.holds = True
    by_session = await asked(h, "Whose car?", session_id=camera["session_id"])
    by_camera = await asked(h, "Whose dog?", camera_id=camera["id"])
    await reaches(h, by_session, "running")
    assert (await h.client.delete(f"/v1/cameras/{camera['id']}")).status_code == 204
    agent.release()
    for task_id in (by_session, by_camera):
        done = await reaches(h, task_id, *OVER)
        assert (done["status"], done["delivered"]) == ("completed", None)
        follow = await post(h, f"/v1/tasks/{task_id}/follow-up", question="And now?")
        assert follow.status_code == 201
        assert (await reaches(h, follow.json()["id"], *OVER))["status"] == "completed"
    assert (await post(h, question="What?", camera_id=camera["id"])).status_code == 404
    assert (await post(h, question="What?", session_id=camera["session_id"])).status_code == 404


async def test_a_server_that_stops_ends_what_runs_and_keeps_what_waits(tmp_path: Path, made: dict[str, SteeredAgent]):
    agents = {**STEERED, "at_once": 2}
    async with asyncio.timeout(PATIENCE_S), house(tmp_path, agents=agents) as h:
        agent = agent_of(h)
        agent.holds, agent.asks = True, [RUN_IT]
        first = await asked(h, "asks")
        await reaches(h, first, "waiting")
        agent.asks = []
        second = await asked(h, "runs")
        await reaches(h, second, "running")
        third = await asked(h, "waits")
        await until(lambda: len(agent.bundles) == 2)
    assert (agent.ended, agent.closed) == (2, True)
    made.clear()
    async with house(tmp_path, agents=agents) as again:
        for task_id in (first, second):
            task = await reaches(again, task_id, *OVER)
            assert (task["status"], task["code"], task["permission"]) == ("failed", "interrupted", None)
        assert (await reaches(again, third, *OVER))["status"] == "completed"
