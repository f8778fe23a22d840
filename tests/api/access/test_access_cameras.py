"""A key for certain cameras gets at others neither by words nor by calls; an operator deletes nothing by words."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.patience import until
from fakes.server.house import KEY, House, house
from fakes.server.realtime_client import Client


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as opened:
        opened.client.headers["Authorization"] = f"Bearer {KEY}"
        yield opened


async def key_of(h: House, role: str, *cameras: dict[str, Any]) -> dict[str, str]:
    body = {
        "name": f"{role} {len(cameras)} {cameras and cameras[0]['name']}",
        "role": role,
        "cameras": [camera["id"] for camera in cameras],
    }
    answer = await h.client.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['key']}"}


async def told(h: House, text: str, **fields: Any) -> None:
    answer = await h.client.post("/v1/memories", json={"text": text, **fields})
    assert answer.status_code == 201, answer.text


async def answered(h: House, camera: dict[str, Any], text: str, headers: dict[str, str] | None = None) -> Any:
    path = f"/v1/sessions/{camera['session_id']}/queries"
    asked = await h.client.post(path, json={"text": text}, headers=headers)
    assert asked.status_code == 201, asked.text
    queries = h.session(camera).queries
    await until(lambda: queries.get(asked.json()["id"]).status != "open")
    return queries.get(asked.json()["id"])


async def test_a_question_of_such_a_key_brings_up_nothing_of_others(h: House):
    mine, other = await h.camera("mine"), await h.camera("other")
    await told(h, "the spare key lies under the zqstone", camera_id=other["id"])
    asked = "Where is the spare key? I told you."
    assert "zqstone" in ((await answered(h, mine, asked)).answer or "")
    limited = await answered(h, mine, asked, await key_of(h, "operator", mine))
    assert "zqstone" not in (limited.answer or "")
    assert limited.rests_on == ()
    assert "zqstone" in ((await answered(h, other, asked, await key_of(h, "operator"))).answer or "")


async def test_what_others_ask_at_its_camera_tells_it_nothing_of_other_cameras(h: House):
    mine, other = await h.camera("mine"), await h.camera("other")
    await told(h, "the spare key lies under the zqstone", camera_id=other["id"])
    asked = "Where is the spare key? I told you."
    assert "zqstone" in ((await answered(h, mine, asked)).answer or "")
    limited = await key_of(h, "viewer", mine)
    again = await answered(h, mine, asked)
    assert "zqstone" not in (again.answer or "")
    assert again.rests_on == ()
    assert "zqstone" in ((await answered(h, other, asked)).answer or "")
    # An agent that a question of this camera is handed to gets nothing of others either.
    assert await h.session(mine).past.recaller.for_task(asked) == ()
    assert "zqstone" in str(await h.session(other).past.recaller.for_task(asked))
    keys = (await h.client.get("/v1/keys", headers={"Authorization": f"Bearer {KEY}"})).json()["data"]
    await h.client.delete(f"/v1/keys/{keys[0]['id']}")
    assert (await h.client.get("/v1/cameras", headers=limited)).status_code == 401
    assert "zqstone" in ((await answered(h, mine, asked)).answer or "")


async def test_what_a_prompt_quotes_of_others_is_gone_once_there_is_such_a_key(h: House):
    from joyvl_server.core.past.questions import past_question

    mine, other = await h.camera("mine"), await h.camera("other")
    await told(h, "the spare key lies under the zqstone", camera_id=other["id"])
    session = h.session(mine)
    asked = "Where is the spare key? I told you."
    question = past_question(asked, h.clock.wall(), session.past.calendar)
    lines = await session.past.recaller.for_question(asked, question, h.clock.wall())
    assert "zqstone" in str(lines.lines)
    assert session.past.recaller.told_of_others != []
    inputs: list[Any] = []
    session.machine.take = inputs.append
    await key_of(h, "viewer", other)
    assert inputs == []
    await key_of(h, "viewer", mine)
    assert [type(one).__name__ for one in inputs] == ["PastForgotten"]
    assert session.past.recaller.told_of_others == []


async def test_such_a_key_has_nothing_forgotten_that_all_share(h: House):
    mine = await h.camera("mine")
    await told(h, "the box is mine")
    limited = await key_of(h, "operator", mine)
    assert "nothing like that" in ((await answered(h, mine, "Forget that the box is mine", limited)).answer or "")
    assert len((await h.client.get("/v1/memories")).json()["data"]) == 1


async def test_an_operator_has_not_everything_forgotten(h: House):
    mine = await h.camera("mine")
    operator = await key_of(h, "operator")
    await told(h, "the box is mine", camera_id=mine["id"])
    assert "Only an admin" in ((await answered(h, mine, "Forget everything", operator)).answer or "")
    assert "everything" in ((await answered(h, mine, "Forget everything")).answer or "")
    assert "Only an admin" in ((await answered(h, mine, "yes", operator)).answer or "")
    assert len((await h.client.get("/v1/memories")).json()["data"]) == 1
    await answered(h, mine, "Forget everything")
    await answered(h, mine, "yes")
    assert (await h.client.get("/v1/memories")).json()["data"] == []


async def test_such_a_key_calls_nobody_and_touches_no_call_of_others(h: House):
    mine = await h.camera("mine")
    call = await h.client.post("/v1/realtime/calls", json={"sdp": "v=0"})
    path = call.headers["location"]
    limited = await key_of(h, "operator", mine)
    for method, at in (("GET", path), ("DELETE", path), ("POST", f"{path}/hangup"), ("POST", "/v1/realtime/calls")):
        answer = await h.client.request(method, at, headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (403, "other_camera"), (method, at)
    assert len(h.registry.calls()) == 1


@pytest.mark.parametrize(("role", "refused"), [("operator", True), ("admin", False)])
async def test_nor_over_realtime(h: House, role: str, refused: bool):
    headers = {key.lower(): value for key, value in (await key_of(h, role)).items()}
    wire = Wire(h.app, "/v1/realtime", kind="websocket", headers=headers)
    await wire.open()
    client = Client(h, wire)
    await told(h, "the box is mine", collection="user:anna")
    client.ask("session.update", session={"type": "realtime"})
    await client.get("session.updated")
    (session,) = h.registry.sessions()
    session.past.wishes._collection = "user:anna"  # as one that was opened with memory_of
    client.ask("response.create", response={"instructions": "Forget everything"})
    await until(lambda: session.queries.all() and session.queries.all()[0].status != "open")
    assert ("Only an admin" in (session.queries.all()[0].answer or "")) is refused
    await client.leave()
