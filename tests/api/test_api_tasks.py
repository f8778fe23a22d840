"""Tasks and agents over REST, with the real queue and an agent that the test steers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fakes.agents.steered_agent import RUN_IT, STEERED, SteeredAgent, offer
from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from joyvl_server.agents.base import AgentError, AgentReport
from joyvl_server.api.schemas.tasks import AgentOut, CheckedAgentOut, TaskOut, TaskOutlineOut


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, SteeredAgent]:
    return offer(monkeypatch)


@pytest.fixture
async def h(tmp_path: Path, made: dict[str, SteeredAgent]) -> AsyncIterator[House]:
    async with house(tmp_path, agents=STEERED) as opened:
        yield opened


@pytest.fixture
def agent(h: House) -> SteeredAgent:
    found = h.registry.tasks.agents.get("steered")
    assert isinstance(found, SteeredAgent)
    return found


async def post(h: House, path: str = "/v1/tasks", status: int = 201, **body: Any) -> dict[str, Any]:
    answer = await h.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read(h: House, task_id: str) -> dict[str, Any]:
    answer = await h.client.get(f"/v1/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def reaches(h: House, task_id: str, *statuses: str) -> dict[str, Any]:
    """The task, once its status is one of these."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.update(await read(h, task_id))
        return found["status"] in statuses

    async with asyncio.timeout(PATIENCE_S):
        while not await there():
            await asyncio.sleep(0.01)
    return found


async def ended(h: House, task_id: str) -> dict[str, Any]:
    return await reaches(h, task_id, "completed", "failed", "cancelled")


async def test_a_question_becomes_a_task_with_an_answer(h: House, agent: SteeredAgent):
    answer = await h.client.post("/v1/tasks", json={"question": "  What is it?  ", "priority": 3, "timeout_s": 60})
    assert answer.status_code == 201
    task = answer.json()
    assert set(task) == set(TaskOut.model_fields)
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert (task["question"], task["agent"], task["origin"], task["session_id"]) == (
        "What is it?",
        "steered",
        "user",
        None,
    )
    done = await ended(h, task["id"])
    assert (done["status"], done["answer"], done["digest"]) == ("completed", "**42**. That is all.", "42. That is all.")
    assert done["ended_at"] is not None
    assert agent.bundles[0].question == "What is it?"
    record = await h.registry.tasks.records.get(task["id"])
    assert (record.priority, record.timeout_s) == (3, 60)


async def test_what_the_session_sees_goes_along(h: House, agent: SteeredAgent):
    camera = await h.camera()
    for second in range(3):
        h.media.sources[camera["id"]].show(picture(float(second)))
        await h.clock.advance(1.0)
    by_session = await post(h, question="Whose car is it?", session_id=camera["session_id"])
    assert (by_session["session_id"], by_session["camera_id"]) == (camera["session_id"], camera["id"])
    assert by_session["t"] == h.session(camera).source.now
    await ended(h, by_session["id"])
    by_camera = await post(h, question="And whose dog?", camera_id=camera["id"])
    assert by_camera["session_id"] == camera["session_id"]
    await ended(h, by_camera["id"])
    for bundle in agent.bundles:
        assert bundle.source == "door"
        assert len(bundle.frames) >= 2


async def test_a_camera_that_is_off_has_tasks_too(h: House, agent: SteeredAgent):
    camera = await h.camera()
    await h.client.post(f"/v1/cameras/{camera['id']}/disable")
    task = await post(h, question="Whose car was it?", camera_id=camera["id"])
    assert (task["session_id"], task["camera_id"]) == (None, camera["id"])
    assert (await ended(h, task["id"]))["status"] == "completed"


async def test_an_idempotency_key_makes_one_task(h: House, agent: SteeredAgent):
    headers = {"Idempotency-Key": "once"}
    body = {"question": "What is it?"}
    first = await h.client.post("/v1/tasks", json=body, headers=headers)
    await ended(h, first.json()["id"])
    second = await h.client.post("/v1/tasks", json=body, headers=headers)
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"
    assert len(agent.bundles) == 1
    follow = f"/v1/tasks/{first.json()['id']}/follow-up"
    once, twice = [await h.client.post(follow, json={"question": "Why?"}, headers=headers) for _ in range(2)]
    assert once.json()["id"] == twice.json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": " "}, "question"),
        ({"question": "x" * 8001}, "question"),
        ({"question": "a\x00b"}, "question"),
        ({"question": "x", "priority": "3"}, "priority"),
        ({"question": "x", "priority": 101}, "priority"),
        ({"question": "x", "timeout_s": 0}, "timeout_s"),
        ({"question": "x", "origin": "model"}, "origin"),
        ({"question": "x", "session_id": "s", "camera_id": "c"}, ""),
    ],
)
async def test_wrong_tasks_name_the_field(h: House, body: dict[str, Any], field: str):
    answer = await h.client.post("/v1/tasks", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert (await h.client.get("/v1/tasks")).json() == {"data": [], "next": None}


@pytest.mark.parametrize(
    "body", [{"session_id": "ses_1"}, {"camera_id": "cam_1"}, {"agent": "nobody"}, {"follows": "tsk_1"}]
)
async def test_what_is_not_there_is_said(h: House, body: dict[str, Any]):
    problem = await post(h, status=404, question="What?", **body)
    assert problem["code"] == "not_found"
    assert next(iter(body.values())) in problem["detail"]


async def test_without_agents_it_says_so(tmp_path: Path):
    async with house(tmp_path) as h:
        camera = await h.camera()
        for more in ({}, {"session_id": camera["session_id"]}, {"camera_id": camera["id"]}):
            problem = await post(h, status=409, question="What?", **more)
            assert problem["code"] == "no_agent"
            assert "docs/agents.md" in problem["detail"]
        assert (await h.client.get("/v1/agents")).json() == {"data": [], "next": None}


async def test_too_many_that_wait_are_refused(tmp_path: Path, made: dict[str, SteeredAgent]):
    async with house(tmp_path, agents={**STEERED, "at_once": 1, "max_queued": 1}) as h:
        agent = h.registry.tasks.agents.get("steered")
        agent.holds = True
        first = await post(h, question="one")
        await reaches(h, first["id"], "running")
        await post(h, question="two")
        problem = await post(h, status=409, question="three")
        assert problem["code"] == "too_many_tasks"
        agent.release()


async def test_lists_are_filtered_and_in_pages(h: House, agent: SteeredAgent):
    camera = await h.camera()
    ids = [(await post(h, question=f"number {n}"))["id"] for n in range(5)]
    own = (await post(h, question="of the door", session_id=camera["session_id"]))["id"]
    for task_id in (*ids, own):
        await ended(h, task_id)
    got, after = [], None
    for size in (2, 2, 2):
        page = (await h.client.get("/v1/tasks", params={"limit": 2} | ({"after": after} if after else {}))).json()
        assert len(page["data"]) == size
        got += [task["id"] for task in page["data"]]
        after = page["next"]
    assert after is None
    assert got == [own, *ids[::-1]]
    for query in ({"session_id": camera["session_id"]}, {"camera_id": camera["id"]}):
        assert [task["id"] for task in (await h.client.get("/v1/tasks", params=query)).json()["data"]] == [own]
    assert (await h.client.get("/v1/tasks", params={"status": "failed"})).json()["data"] == []
    assert len((await h.client.get("/v1/tasks", params={"status": "completed"})).json()["data"]) == 6
    assert (await h.client.get("/v1/tasks", params={"agent": "other"})).json()["data"] == []
    assert len((await h.client.get("/v1/tasks", params={"agent": "steered"})).json()["data"]) == 6
    for wrong in ({"status": "lost"}, {"limit": 0}, {"after": "x"}):
        assert (await h.client.get("/v1/tasks", params=wrong)).status_code == 422


async def test_a_list_has_outlines_and_one_task_all_of_it(h: House, agent: SteeredAgent):
    agent.answer, agent.files = f"**Red**. {'x' * 150_000}", {"one.txt": b"1", "two.txt": b"22"}
    agent.asks = [RUN_IT]
    task = await reaches(h, (await post(h, question="Which one?"))["id"], "waiting")
    [asking] = (await h.client.get("/v1/tasks")).json()["data"]
    assert asking["permission"] == task["permission"], "it can be answered from the list"
    await h.registry.tasks.answer_permission(task["id"], task["permission"]["id"], "yes")
    done = await ended(h, task["id"])
    assert (done["answer"], len(done["files"])) == (agent.answer, 2)
    listed = await h.client.get("/v1/tasks")
    [outline] = listed.json()["data"]
    assert set(outline) == set(TaskOutlineOut.model_fields)
    assert (outline["answer_chars"], outline["files_count"], outline["files_bytes"]) == (150_009, 2, 3)
    assert outline["digest"].startswith("Red.")
    assert len(listed.content) < 2000
    same = set(TaskOut.model_fields) & set(outline)
    assert {name: done[name] for name in same} == {name: outline[name] for name in same}


@pytest.mark.parametrize("option", ["yes", "no", None])
async def test_a_permission_is_asked_for_and_answered(h: House, agent: SteeredAgent, option: str | None):
    agent.asks = [RUN_IT]
    task = await reaches(h, (await post(h, question="Clean up."))["id"], "waiting")
    asked = task["permission"]
    assert (asked["title"], asked["detail"]) == ("Run a command", "rm -r build")
    assert [o["id"] for o in asked["options"]] == ["yes", "ever", "no"]
    path = f"/v1/tasks/{task['id']}/permissions/{asked['id']}"
    assert (await h.client.post(path, json={})).status_code == 422
    assert (await h.client.post(path, json={"option_id": "perhaps"})).status_code == 404
    assert (await h.client.post(path + "x", json={"option_id": None})).status_code == 409
    assert agent.answers == []
    answer = await h.client.post(path, json={"option_id": option})
    assert (answer.status_code, answer.content) == (204, b"")
    done = await ended(h, task["id"])
    assert (done["status"], done["permission"]) == ("completed", None)
    assert agent.answers == [option]
    assert (await h.client.post(path, json={"option_id": "yes"})).status_code == 409
    missing = await h.client.post("/v1/tasks/tsk_1/permissions/prm_1", json={"option_id": None})
    assert missing.status_code == 404


async def test_cancelled_its_agent_has_ended_when_that_is_answered(h: House, agent: SteeredAgent):
    agent.holds = True
    task = await post(h, question="Wait.")
    await reaches(h, task["id"], "running")
    await until(lambda: agent.bundles)
    assert (await h.client.delete(f"/v1/tasks/{task['id']}")).status_code == 409
    assert agent.ended == 0
    cancelled = await post(h, f"/v1/tasks/{task['id']}/cancel", 200)
    assert (cancelled["status"], cancelled["code"]) == ("cancelled", "cancelled")
    assert agent.ended == 1
    assert not agent.folders[0].exists()
    assert (await post(h, f"/v1/tasks/{task['id']}/cancel", 200)) == cancelled
    await post(h, "/v1/tasks/tsk_1/cancel", 404)


async def test_a_follow_up_knows_what_came_before(h: House, agent: SteeredAgent):
    agent.holds = True
    task = await post(h, question="What is it?")
    await post(h, f"/v1/tasks/{task['id']}/follow-up", 409, question="And now?")
    agent.release()
    await ended(h, task["id"])
    follow = await post(h, f"/v1/tasks/{task['id']}/follow-up", question="And why?")
    assert (follow["follows"], follow["question"]) == (task["id"], "And why?")
    await ended(h, follow["id"])
    assert agent.bundles[1].earlier == (("What is it?", "**42**. That is all."),)
    assert agent.bundles[1].agent_session == "goes-on"
    await post(h, "/v1/tasks/tsk_1/follow-up", 404, question="And why?")


async def test_a_follow_up_is_of_the_cameras_session_now(h: House, agent: SteeredAgent):
    camera = await h.camera()
    await h.client.post(f"/v1/cameras/{camera['id']}/disable")
    task = await post(h, question="What was it?", camera_id=camera["id"])
    assert (await ended(h, task["id"]))["session_id"] is None
    assert (await h.client.post(f"/v1/cameras/{camera['id']}/enable")).status_code == 200
    follow = await post(h, f"/v1/tasks/{task['id']}/follow-up", question="And now?")
    assert (follow["session_id"], follow["camera_id"]) == (camera["session_id"], camera["id"])


async def test_what_was_shown_is_delivered_once(h: House, agent: SteeredAgent):
    agent.holds = True
    task = await post(h, question="What is it?")
    path = f"/v1/tasks/{task['id']}/acknowledge"
    await post(h, path, 409)
    agent.release()
    assert (await ended(h, task["id"]))["delivered"] is None
    assert [(await post(h, path, 200))["delivered"] for _ in range(2)] == ["shown", "shown"]
    await post(h, "/v1/tasks/tsk_1/acknowledge", 404)


async def test_a_failure_says_why(h: House, agent: SteeredAgent):
    agent.error = AgentError("It wants a login.", code="login")
    done = await ended(h, (await post(h, question="What is it?"))["id"])
    assert (done["status"], done["error"], done["code"]) == ("failed", "It wants a login.", "login")
    assert await post(h, f"/v1/tasks/{done['id']}/acknowledge", 200)


FILES = {
    "chart.png": (b"\x89PNG", "image/png"),
    "notes/résumé.md": (b"# hello", "text/plain; charset=utf-8"),
    "page.html": (b"<script>alert(1)</script>", "application/octet-stream"),
    "drawing.SVG": (b"<svg onload='x'/>", "application/octet-stream"),
    "no-ending": (b"\x00\x01", "application/octet-stream"),
}


async def test_files_are_downloads_without_active_content(h: House, agent: SteeredAgent):
    agent.files = {name: content for name, (content, _) in FILES.items()}
    done = await ended(h, (await post(h, question="Draw it."))["id"])
    assert {file["name"]: file["bytes"] for file in done["files"]} == {k: len(v) for k, v in agent.files.items()}
    for name, (content, kind) in FILES.items():
        answer = await h.client.get(f"/v1/tasks/{done['id']}/files/{quote(name)}")
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]


@pytest.mark.parametrize(
    "name", ["other.txt", "../../../joyvl.db", "%2e%2e/%2e%2e/x", "%00", "x" * 300, "/etc/passwd", "notes", ""]
)
async def test_no_other_file_can_be_had(h: House, agent: SteeredAgent, name: str):
    agent.files = {"notes/one.txt": b"1"}
    done = await ended(h, (await post(h, question="Draw it."))["id"])
    wire = Wire(h.app, f"/v1/tasks/{done['id']}/files/{name}")
    assert (await wire.open())["status"] == 404
    wire.leave()
    await wire.done()


async def test_deleted_its_files_are_gone_too(h: House, agent: SteeredAgent):
    agent.files = {"one.txt": b"1"}
    done = await ended(h, (await post(h, question="Write it."))["id"])
    kept = await h.registry.tasks.records.file(done["id"], "one.txt")
    assert kept.read_bytes() == b"1"
    path = f"/v1/tasks/{done['id']}"
    assert (await h.client.delete(path)).status_code == 204
    assert not kept.parent.exists()
    for gone in (path, path + "/files/one.txt"):
        assert (await h.client.get(gone)).status_code == 404
    assert (await h.client.delete(path)).status_code == 404


async def test_agents_are_listed_and_checked(tmp_path: Path, made: dict[str, SteeredAgent]):
    entries = {name: {"type": "steered", "about": name} for name in ("first", "second")}
    entries["odd"] = {"type": "not-installed"}
    async with house(tmp_path, agents={"entries": entries, "default": "second"}) as h:
        listed = (await h.client.get("/v1/agents")).json()
        assert [set(agent) for agent in listed["data"]] == [set(AgentOut.model_fields)] * 3
        assert [(a["name"], a["default"]) for a in listed["data"]] == [
            ("first", False),
            ("second", True),
            ("odd", False),
        ]
        assert made == {}, "a list starts nothing"
        found = (await h.client.get("/v1/agents/first")).json()
        assert set(found) == set(CheckedAgentOut.model_fields)
        assert found["check"] == {
            "ready": True, "message": "It is there.", "version": "1.2", "sandbox": "None: it is a test.",
        }  # fmt: skip
        made["first"].report = AgentReport(ready=False, message="http://u:s3cret@host wants a login.")
        found = (await h.client.get("/v1/agents/first")).json()
        assert (found["check"]["ready"], found["check"]["message"]) == (False, "http://u:***@host wants a login.")
        odd = (await h.client.get("/v1/agents/odd")).json()["check"]
        assert odd["ready"] is False
        assert "not-installed" in odd["message"]
        assert (await h.client.get("/v1/agents/nobody")).status_code == 404


async def test_a_check_that_hangs_is_given_up(h: House, agent: SteeredAgent, monkeypatch: pytest.MonkeyPatch):
    import joyvl_server.agents.pool as module

    async def hangs() -> AgentReport:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "CHECK_S", 0.05)
    monkeypatch.setattr(module, "START_S", 0.0)
    monkeypatch.setattr(agent, "check", hangs)
    check = (await h.client.get("/v1/agents/steered")).json()["check"]
    assert check["ready"] is False
    assert "did not say" in check["message"]
