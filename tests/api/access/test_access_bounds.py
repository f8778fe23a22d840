"""What one client may make the server hold, and what happens at once."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from fakes.server.house import KEY, House, house
from joyvl_server.api.access import browsers
from joyvl_server.api.access.keyring import Keyring
from joyvl_server.store.access.records import KeyRecord, digest_of, new_secret


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY], "requests_per_s": 0}) as opened:
        yield opened


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/login"), ("GET", "/healthz"), ("GET", "/"), ("GET", "/x")])
async def test_nobody_without_a_key_makes_it_read_much(h: House, method: str, path: str):
    headers = {"Content-Type": "application/json"}
    large = await h.client.request(method, path, content=b" " * 5000, headers=headers)
    assert large.status_code in (401, 413), large.text
    assert large.status_code == 413 or path == "/x"
    signed_in = await h.client.request(
        "POST", "/v1/keys", content=b" " * 5000, headers={**headers, "Authorization": f"Bearer {KEY}"}
    )
    assert signed_in.status_code == 400  # read, and no JSON


async def test_one_key_fills_neither_the_memory_nor_the_table_with_browsers(h: House, monkeypatch):
    monkeypatch.setattr(browsers, "MOST_OF_KEY", 5)
    bearer = {"Authorization": f"Bearer {KEY}"}
    key = (await h.client.post("/v1/keys", json={"name": "a", "role": "viewer"}, headers=bearer)).json()["key"]

    async def signed_in(text: str) -> str:
        answer = await h.client.post("/v1/login", json={"key": text})
        h.client.cookies.clear()
        return str(answer.cookies["joyvl_session"])

    async def status(token: str) -> int:
        answer = await h.client.get("/v1/me", headers={"Cookie": f"joyvl_session={token}"})
        return int(answer.status_code)

    other = await signed_in(KEY)
    tokens = []
    for _ in range(8):
        tokens.append(await signed_in(key))
        await h.clock.advance(1.0)
    assert [await status(token) for token in tokens] == [401] * 3 + [200] * 5
    assert await status(other) == 200
    rows = await h.registry.store.main.read(lambda c: c.execute("SELECT count(*) FROM logins").fetchone()[0])
    assert rows == 6


async def test_the_browsers_of_a_key_share_its_rate_and_those_of_links_have_their_own(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY, "other"], "requests_per_s": 1}) as h:

        async def signed_in(body: dict[str, str]) -> dict[str, str]:
            answer = await h.client.post("/v1/login", json=body)
            h.client.cookies.clear()
            return {"Cookie": f"joyvl_session={answer.cookies['joyvl_session']}"}

        async def code() -> dict[str, str]:
            text = new_secret()
            await h.api.access._logins.add_code(digest_of(text), h.clock.wall() + 60, h.clock.wall())
            return await signed_in({"code": text})

        browsers_of_key = [await signed_in({"key": KEY}) for _ in range(3)]
        linked = [await code() for _ in range(2)]
        told = [(await h.client.get("/v1/me", headers=browsers_of_key[n % 3])).status_code for n in range(12)]
        assert told == [200] * 10 + [429] * 2
        assert (await h.client.get("/v1/me", headers={"Authorization": f"Bearer {KEY}"})).status_code == 429
        assert (await h.client.get("/v1/me", headers={"Authorization": "Bearer other"})).status_code == 200
        for browser in linked:
            told = [(await h.client.get("/v1/me", headers=browser)).status_code for _ in range(11)]
            assert told == [200] * 10 + [429]


async def test_what_was_read_before_a_key_was_removed_does_not_bring_it_back():
    kept = {"ann": KeyRecord("key_1", "ann", digest_of("jvl_ann"), "viewer", (), 0.0)}
    told, go_on = asyncio.Event(), asyncio.Event()

    class SlowKeys:
        async def list(self) -> list[KeyRecord]:
            found = list(kept.values())
            told.set()
            await go_on.wait()
            return found

        async def remove(self, name: str) -> KeyRecord:
            return kept.pop(name)

    keyring = Keyring(SlowKeys(), ManualClock())  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keyring.load())
        await told.wait()
        tasks.create_task(keyring.remove("ann"))
        await asyncio.sleep(0)
        go_on.set()
    assert keyring.records() == []
