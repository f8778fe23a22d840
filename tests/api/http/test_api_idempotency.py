"""Creates that carry an Idempotency-Key happen once."""

from __future__ import annotations

import asyncio

import pytest

from fakes.server.house import KEY, URL, House, house

SDP = {"content": "v=0\r\n", "headers": {"Content-Type": "application/sdp"}}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def creates(h: House) -> list[tuple[str, dict]]:
    session = f"/v1/sessions/{(await h.camera('first'))['session_id']}"
    return [
        ("/v1/cameras", {"json": {"name": "door", "url": URL}}),
        (f"{session}/watches", {"json": {"text": "someone"}}),
        (f"{session}/queries", {"json": {"text": "who?"}}),
        ("/v1/realtime/calls", SDP),
    ]


async def post(h: House, path: str, key: str, args: dict):
    headers = {**args.get("headers", {}), "Idempotency-Key": key}
    return await h.client.post(path, **{**args, "headers": headers})


async def test_the_same_key_and_body_give_the_same_answer(h: House):
    for path, args in await creates(h):
        first = await post(h, path, "k1", args)
        again = await post(h, path, "k1", args)
        assert first.status_code == again.status_code == 201, first.text
        assert again.content == first.content
        for name in ("location", "content-type", "x-session-id"):
            assert again.headers.get(name) == first.headers.get(name)
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
    assert len(h.registry.cameras.all()) == 2
    assert len(h.registry.calls()) == 1


async def test_another_body_under_the_same_key_is_refused(h: House):
    for path, args in await creates(h):
        await post(h, path, "k1", args)
        other = (
            {**args, "json": {"sdp": "v=0", "session": {}}}
            if "json" not in args
            else {"json": {**args["json"], "name": "other"}}
        )
        other.pop("content", None)
        if "queries" in path:
            other = {"json": {"text": "what?"}}
        answer = await post(h, path, "k1", {k: v for k, v in other.items() if k != "headers"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch"), path


async def test_another_key_or_another_route_creates_again(h: House):
    (_, _), (watches, watch), *_ = await creates(h)
    ids = {(await post(h, watches, key, watch)).json()["id"] for key in ("a", "b", "a")}
    assert len(ids) == 2
    other = f"/v1/sessions/{(await h.camera('second'))['session_id']}/watches"
    assert (await post(h, other, "a", watch)).json()["id"] not in ids


async def test_without_a_key_each_request_creates(h: House):
    (_, _), (watches, watch), *_ = await creates(h)
    ids = {(await h.client.post(watches, **watch)).json()["id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_failure_is_not_kept(h: House):
    await h.camera("door")
    body = {"json": {"name": "door", "url": URL}}
    assert (await post(h, "/v1/cameras", "k", body)).status_code == 409
    await h.client.delete(f"/v1/cameras/{h.registry.cameras.all()[0].record.id}")
    assert (await post(h, "/v1/cameras", "k", body)).status_code == 201


async def test_two_at_once_create_one(h: House):
    (_, _), (watches, watch), *_ = await creates(h)
    answers = await asyncio.gather(*(post(h, watches, "same", watch) for _ in range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert sum("idempotency-replayed" not in a.headers for a in answers) == 1
    assert len(h.api.request_locks) == 0


async def test_answers_survive_a_restart(tmp_path):
    body = {"json": {"name": "door", "url": URL}}
    async with house(tmp_path) as h:
        first = await post(h, "/v1/cameras", "k", body)
    async with house(tmp_path) as h:
        again = await post(h, "/v1/cameras", "k", body)
        assert again.content == first.content
        assert len(h.registry.cameras.all()) == 1


async def test_one_caller_does_not_see_anothers_answers(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY, "other"]}) as h:
        body = {"json": {"name": "door", "url": URL}}
        mine = await post(h, "/v1/cameras", "k", {**body, "headers": {"Authorization": f"Bearer {KEY}"}})
        theirs = await post(h, "/v1/cameras", "k", {**body, "headers": {"Authorization": "Bearer other"}})
        assert (mine.status_code, theirs.status_code) == (201, 409)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_keys_have_a_length(h: House, key: str):
    answer = await post(h, "/v1/cameras", key, {"json": {"name": "door", "url": URL}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
