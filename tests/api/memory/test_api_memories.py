"""/v1/memories over the real app: look up, tell, change, forget, export."""

from __future__ import annotations

import json

import pytest

from fakes.server.house import House, house
from joyvl_server.memory.base import MemoryDraft

WALL = 1_800_000_000.0


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


class Unseen:
    def progress(self, done: int, total: int) -> None: ...


async def told(h: House, text: str, **more):
    draft = {"collection": "cam_a", "kind": "said", "wall": WALL, "camera_id": "cam_a", **more}
    return await h.registry.memory.add(MemoryDraft(text=text, **draft))


async def listed(h: House, query: str = "") -> list[str]:
    answer = await h.client.get(f"/v1/memories{query}")
    assert answer.status_code == 200, answer.text
    return [memory["text"] for memory in answer.json()["data"]]


async def test_a_fact_is_told_and_has_the_shape_of_a_memory(h: House):
    answer = await h.client.post("/v1/memories", json={"text": " The blue box is mine. "})
    assert answer.status_code == 201
    fact = answer.json()
    assert answer.headers["Location"] == f"/v1/memories/{fact['id']}"
    assert fact == {
        "id": fact["id"],
        "collection": "shared",
        "camera_id": None,
        "session_id": None,
        "kind": "fact",
        "text": "The blue box is mine.",
        "at": "2027-01-15T08:00:00.000Z",
        "wall": WALL,
        "until": "2027-01-15T08:00:00.000Z",
        "kept": True,
        "event_id": None,
        "picture_url": None,
        "source": "user",
        "score": None,
    }
    assert (await h.client.get(answer.headers["Location"])).json() == fact


async def test_a_fact_of_a_camera_lies_with_the_camera(h: House):
    camera = await h.camera()
    fact = (await h.client.post("/v1/memories", json={"text": "x", "camera_id": camera["id"]})).json()
    assert (fact["collection"], fact["camera_id"]) == (camera["id"], camera["id"])
    body = {"text": "x", "camera_id": camera["id"], "collection": "user:anna"}
    answer = await h.client.post("/v1/memories", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_of_this_camera")
    answer = await h.client.post("/v1/memories", json={"text": "x", "camera_id": "cam_0"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await h.client.post("/v1/memories", json={"text": "x", "collection": "user:anna"})).status_code == 201


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "x" * 2001, None, 5])
async def test_what_is_no_fact(h: House, text: object):
    assert (await h.client.post("/v1/memories", json={"text": text})).status_code == 422


async def test_the_same_key_tells_it_once(h: House):
    headers = {"Idempotency-Key": "k"}
    one = await h.client.post("/v1/memories", json={"text": "x"}, headers=headers)
    two = await h.client.post("/v1/memories", json={"text": "x"}, headers=headers)
    assert one.json() == two.json()
    assert await listed(h) == ["x"]


async def test_filters_all_hold(h: House):
    await told(h, "at the door", kind="heard")
    await told(h, "a summary", kind="summary", until_wall=WALL + 600)
    await told(h, "elsewhere", camera_id="cam_b", collection="cam_b")
    await told(h, "a caller", camera_id=None, collection="user:anna", session_id="ses_1", kept=True)
    assert await listed(h) == ["a caller", "elsewhere", "a summary", "at the door"]
    assert await listed(h, "?camera_id=cam_a") == ["a summary", "at the door"]
    assert await listed(h, "?collection=user:anna") == ["a caller"]
    assert await listed(h, "?camera_id=cam_a&collection=user:anna") == []
    assert await listed(h, "?kind=heard&kind=summary") == ["a summary", "at the door"]
    assert await listed(h, "?kept=true") == ["a caller"]
    assert await listed(h, "?session_id=ses_1") == ["a caller"]
    assert await listed(h, "?since=2027-01-15T08:05:00Z") == ["a summary"]
    assert await listed(h, "?until=2027-01-15T08:00:00Z") == []
    for wrong in ("?kind=nothing", "?since=yesterday", "?limit=0", "?camera=x", "?query=" + "x" * 10_001):
        assert (await h.client.get(f"/v1/memories{wrong}")).status_code == 422, wrong


async def test_pages(h: House):
    for n in range(5):
        await told(h, f"number {n}")
    page = (await h.client.get("/v1/memories?limit=2")).json()
    assert [memory["text"] for memory in page["data"]] == ["number 4", "number 3"]
    page = (await h.client.get(f"/v1/memories?limit=2&after={page['next']}")).json()
    assert [memory["text"] for memory in page["data"]] == ["number 2", "number 1"]
    page = (await h.client.get(f"/v1/memories?limit=2&after={page['next']}")).json()
    assert ([memory["text"] for memory in page["data"]], page["next"]) == (["number 0"], None)


@pytest.mark.parametrize("by", ["words", "meaning"])
async def test_words_and_meaning(h: House, by: str):
    await told(h, "A parcel was put at the door.")
    await told(h, "猫在沙发上睡觉")
    await h.registry.memory.settled(Unseen())  # both are embedded
    assert (await listed(h, f"?query=parcel&by={by}"))[:1] == ["A parcel was put at the door."]
    assert (await listed(h, f"?query=沙发&by={by}"))[:1] == ["猫在沙发上睡觉"]
    assert await listed(h, f"?query=parcel&by={by}&camera_id=cam_b") == []
    assert await listed(h, f"?query=parcel&by={by}&kept=true") == []
    for hostile in ('" OR 1 NEAR(', "***", "text: x AND", "'; DROP TABLE memories", "(" * 5000, "%F0%9F%98%80"):
        assert (await h.client.get("/v1/memories", params={"query": hostile, "by": by})).status_code == 200


async def test_the_nearest_have_a_score_and_no_pages(h: House):
    memory = await told(h, "A parcel was put at the door.")
    answer = (await h.client.get("/v1/memories?query=parcel&by=meaning")).json()
    assert answer["next"] is None
    assert answer["data"][0]["score"] > 0
    answer = await h.client.get(f"/v1/memories?query=parcel&by=meaning&after={memory.id}")
    assert (answer.status_code, answer.json()["code"]) == (422, "no_pages")


async def test_it_is_put_right_and_kept(h: House):
    memory = await told(h, "A cat came in.")
    path = f"/v1/memories/{memory.id}"
    changed = await h.client.patch(path, json={"text": "A dog came in.", "kept": True})
    assert (changed.json()["text"], changed.json()["kept"]) == ("A dog came in.", True)
    assert await listed(h, "?query=dog") == ["A dog came in."]
    assert await listed(h, "?query=cat") == []
    for wrong in ({"text": None}, {"kind": "fact"}, {"text": ""}):
        assert (await h.client.patch(path, json=wrong)).status_code == 422
    assert (await h.client.patch("/v1/memories/mem_0", json={"kept": True})).status_code == 404


async def test_forgetting_says_what_is_meant(h: House):
    one = await told(h, "one")
    await told(h, "two", kind="summary")
    for wrong in ("", "?all=false", "?all=true&kind=summary"):
        answer = await h.client.delete(f"/v1/memories{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (422, "no_filter"), wrong
    assert (await h.client.delete(f"/v1/memories/{one.id}")).status_code == 204
    assert (await h.client.delete(f"/v1/memories/{one.id}")).status_code == 404
    answer = await h.client.delete("/v1/memories?camera_id=cam_a&collection=cam_b")
    assert answer.json() == {"deleted": 0, "events": 0}
    assert (await h.client.delete("/v1/memories?kind=summary")).json() == {"deleted": 1, "events": 0}
    await told(h, "three")
    assert (await h.client.delete("/v1/memories?all=true")).json()["deleted"] == 1
    assert await listed(h) == []


async def test_export_has_a_line_for_each(h: House):
    for n in range(3):
        await told(h, f"line {n}", data={"n": n})
    answer = await h.client.get("/v1/memories/export")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["text"] for line in lines] == ["line 2", "line 1", "line 0"]
    assert lines[0]["data"] == {"n": 2}
    assert len((await h.client.get("/v1/memories/export?kind=fact")).text) == 0
    assert h.api.streams == 0


async def test_collections(h: House):
    await told(h, "one")
    await told(h, "two", collection="user:anna", camera_id=None)
    answer = (await h.client.get("/v1/memories/collections")).json()
    data = answer["data"]
    assert answer["by_meaning"] is False  # the lexical one
    assert [(found["collection"], found["camera_id"], found["count"]) for found in data] == [
        ("cam_a", "cam_a", 1),
        ("user:anna", None, 1),
    ]
    assert data[0]["oldest"] == "2027-01-15T08:00:00.000Z"
