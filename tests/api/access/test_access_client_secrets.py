"""Client secrets, and what they opened, end with the key of who made them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.server.house import KEY, House, house
from joyvl_server.sessions import payloads


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as opened:
        opened.client.headers["Authorization"] = f"Bearer {KEY}"
        yield opened


async def operator(h: House, **fields: Any) -> dict[str, Any]:
    answer = await h.client.post("/v1/keys", json={"name": "shop", "role": "operator", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def secret(h: House, key: str) -> str:
    answer = await h.client.post("/v1/realtime/client_secrets", json={}, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


async def call(h: House, key: str) -> Any:
    return await h.client.post("/v1/realtime/calls", json={"sdp": "v=0"}, headers={"Authorization": f"Bearer {key}"})


async def test_a_secret_opens_nothing_once_its_makers_key_is_removed(h: House):
    key = await operator(h)
    browser = await secret(h, key["key"])
    await h.client.delete(f"/v1/keys/{key['id']}")
    assert (await call(h, browser)).status_code == 401


async def test_a_secret_is_over_when_its_makers_key_is(h: House):
    key = await operator(h, expires_at=payloads.rfc3339(h.clock.wall() + 60))
    browser = await secret(h, key["key"])
    await h.clock.advance(61)
    assert (await call(h, browser)).status_code == 401


async def test_a_call_that_a_secret_opened_ends_with_its_makers_key(h: House):
    key = await operator(h)
    assert (await call(h, await secret(h, key["key"]))).status_code == 201
    await h.client.delete(f"/v1/keys/{key['id']}")
    for _ in range(20):
        await h.clock.advance(3.0)
        if not h.registry.calls():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the call goes on")


async def test_a_connection_that_a_secret_opened_ends_with_its_makers_key(h: House):
    key = await operator(h)
    headers = {"authorization": f"Bearer {await secret(h, key['key'])}"}
    socket = Wire(h.app, "/v1/realtime", kind="websocket", headers=headers)
    await socket.open()
    await h.client.delete(f"/v1/keys/{key['id']}")
    await socket.done()


async def test_the_secrets_of_one_maker_do_not_read_each_others_answers(h: House):
    key = await operator(h)
    found = []
    for name in ("one", "two"):
        headers = {"Authorization": f"Bearer {await secret(h, key['key'])}", "Idempotency-Key": "1"}
        body = {"sdp": "v=0", "session": {"name": name}}
        answer = await h.client.post("/v1/realtime/calls", json=body, headers=headers)
        assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False), answer.text
        found.append(answer.headers["location"])
    assert len(set(found)) == 2
