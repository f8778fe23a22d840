"""Browsers: sign in with a key or by a one-time link, a cookie that is renewed and ends, sign out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S
from fakes.server.house import KEY, House, house
from joyvl_server.api.access import access, browsers
from joyvl_server.api.access.first_link import login_link
from joyvl_server.api.access.roles import LEAST
from joyvl_server.api.access.schemas import LoginOut
from joyvl_server.api.http import auth
from joyvl_server.core.errors import StoreError


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"host": "0.0.0.0"}) as opened:
        yield opened


@pytest.fixture
async def locked(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as opened:
        yield opened


def later(h: House, seconds: float) -> None:
    """Only the wall clock goes on: nothing that sleeps has to be woken for all these days."""
    h.clock._offset += seconds


async def sign_in(h: House, **body: Any) -> Any:
    return await h.client.post("/v1/login", json=body)


async def test_the_first_link_signs_one_browser_in_once(h: House):
    code = await h.api.access.first_code()
    answer = await sign_in(h, code=code)
    assert answer.status_code == 200
    assert answer.json() == {
        "auth": True, "name": "one-time link", "role": "admin", "cameras": [], "expires_at": None,
        "may": list(LEAST),
    }  # fmt: skip
    cookie = answer.headers["set-cookie"]
    for part in ("joyvl_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    assert (await h.client.get("/v1/keys")).status_code == 200
    h.client.cookies.clear()
    again = await sign_in(h, code=code)
    assert (again.status_code, again.json()["detail"]) == (401, "This link is over.")
    assert (await h.client.get("/v1/keys")).status_code == 401


async def test_a_link_is_over_after_an_hour_and_none_is_made_where_an_admin_has_a_key(h: House):
    code = await h.api.access.first_code()
    later(h, access.LINK_S + 1)
    assert (await sign_in(h, code=code)).status_code == 401
    await sign_in(h, code=await h.api.access.first_code())
    assert await h.api.access.first_code() is not None  # a browser is no key: it may be lost
    made = await h.client.post("/v1/keys", json={"name": "me", "role": "admin"})
    assert made.status_code == 201
    assert await h.api.access.first_code() is None


async def test_no_link_where_there_is_a_key_or_none_is_asked_for(tmp_path, locked: House):
    assert await locked.api.access.first_code() is None
    async with house(tmp_path / "open") as h:
        assert await h.api.access.first_code() is None
        answer = await sign_in(h, key="whatever")
        assert answer.json()["auth"] is False
        assert "set-cookie" not in answer.headers


async def test_over_tls_the_cookie_is_for_tls_alone(locked: House):
    answer = await locked.client.post("https://127.0.0.1:8099/v1/login", json={"key": KEY})
    assert "; Secure" in answer.headers["set-cookie"]


async def test_a_browser_is_signed_in_while_it_is_used_and_at_most_a_month(locked: House):
    await sign_in(locked, key=KEY)
    assert (await locked.client.get("/v1/cameras")).status_code == 200
    days = 0.0
    while (answer := await locked.client.get("/v1/cameras")).status_code == 200:
        if days:
            assert "joyvl_session=" in answer.headers["set-cookie"]
        later(locked, browsers.IDLE_S - 60)
        days += 0.5
        assert days < 40
    assert 29 <= days <= 31


async def test_one_that_is_not_used_is_signed_out(locked: House):
    await sign_in(locked, key=KEY)
    later(locked, browsers.IDLE_S + 1)
    assert (await locked.client.get("/v1/cameras")).status_code == 401


async def test_it_outlives_a_restart_but_not_its_key(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        await sign_in(h, key=KEY)
        cookies = dict(h.client.cookies)
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        h.client.cookies.update(cookies)
        assert (await h.client.get("/v1/cameras")).status_code == 200
    async with house(tmp_path, server={"api_keys": ["another"]}) as h:
        h.client.cookies.update(cookies)
        assert (await h.client.get("/v1/cameras")).status_code == 401


async def test_a_removed_key_takes_its_browsers_along(locked: House):
    bearer = {"Authorization": f"Bearer {KEY}"}
    key = (await locked.client.post("/v1/keys", json={"name": "a", "role": "viewer"}, headers=bearer)).json()
    await sign_in(locked, key=key["key"])
    assert (await locked.client.get("/v1/me")).json()["role"] == "viewer"
    assert (await locked.client.post("/v1/cameras", json={})).status_code == 403
    await locked.client.delete(f"/v1/keys/{key['id']}", headers=bearer)
    assert (await locked.client.get("/v1/me")).status_code == 401


async def test_an_admin_sees_the_browsers_and_ends_one_at_once(locked: House):
    bearer = {"Authorization": f"Bearer {KEY}"}
    key = (await locked.client.post("/v1/keys", json={"name": "ann", "role": "viewer"}, headers=bearer)).json()
    await sign_in(locked, key=key["key"])
    anns = f"joyvl_session={locked.client.cookies['joyvl_session']}"
    await sign_in(locked, key=KEY)
    await locked.clock.advance(1.0)
    answer = await locked.client.get("/v1/logins")
    first, second = answer.json()["data"]
    assert set(first) == set(LoginOut.model_fields)
    assert (first["name"], first["role"], first["address"], first["this"]) == ("ann", "viewer", "127.0.0.1", False)
    assert (second["name"], second["role"], second["this"]) == ("a key of the settings", "admin", True)
    assert second["used_at"] > second["created_at"]
    for secret in (anns.partition("=")[2], locked.client.cookies["joyvl_session"], KEY, key["key"]):
        assert secret not in answer.text
    locked.client.cookies.clear()
    assert (await locked.client.get("/v1/logins", headers={"Cookie": anns})).json()["code"] == "role_too_low"

    socket = Wire(locked.app, await updates_path(locked, bearer), kind="websocket", headers={"cookie": anns})
    await socket.open()
    ended = await locked.client.delete(f"/v1/logins/{first['id']}", headers=bearer)
    assert ended.status_code == 204
    await socket.done()
    assert (await locked.client.get("/v1/me", headers={"Cookie": anns})).status_code == 401
    assert (await locked.client.delete(f"/v1/logins/{first['id']}", headers=bearer)).status_code == 404
    assert [one["id"] for one in (await locked.client.get("/v1/logins", headers=bearer)).json()["data"]] == [
        second["id"]
    ]


async def test_one_that_cannot_be_ended_on_the_disk_is_not_said_to_be_out(locked: House, monkeypatch):
    await sign_in(locked, key=KEY)
    bearer = {"Authorization": f"Bearer {KEY}"}
    (login,) = (await locked.client.get("/v1/logins", headers=bearer)).json()["data"]
    logins = locked.api.access.browsers._logins
    real, fails = logins.remove, [True]

    async def remove(digest: str) -> None:
        if fails:
            raise StoreError("The disk is full.", code="store_full")
        await real(digest)

    monkeypatch.setattr(logins, "remove", remove)
    assert (await locked.client.delete(f"/v1/logins/{login['id']}", headers=bearer)).status_code == 503
    fails.clear()
    assert (await locked.client.delete(f"/v1/logins/{login['id']}", headers=bearer)).status_code == 204
    assert await locked.api.access._logins.list(0.0) == []


async def test_one_whose_end_is_cancelled_is_out_all_the_same(locked: House):
    await sign_in(locked, key=KEY)
    browsers = locked.api.access.browsers
    ((login, who),) = browsers.all()
    ending = asyncio.create_task(browsers.end(login.id))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait_for(who.ended.wait(), PATIENCE_S)
    assert await locked.api.access._logins.list(0.0) == []


async def updates_path(h: House, headers: dict[str, str]) -> str:
    h.client.headers.update(headers)
    camera = await h.camera()
    del h.client.headers["Authorization"]
    return f"/v1/sessions/{camera['session_id']}/updates"


async def test_when_a_browser_was_last_used_outlives_a_restart(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        await sign_in(h, key=KEY)
        later(h, browsers.RENEWED_S + 60)
        assert (await h.client.get("/v1/me")).status_code == 200
        (one,) = (await h.client.get("/v1/logins")).json()["data"]
        cookies = dict(h.client.cookies)
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        bearer = {"Authorization": f"Bearer {KEY}"}
        (again,) = (await h.client.get("/v1/logins", headers=bearer)).json()["data"]
        assert (again["used_at"], again["id"]) == (one["used_at"], one["id"])
        assert again["used_at"] > again["created_at"]
        assert cookies


async def test_signing_out_ends_the_cookie_on_the_server_too(locked: House):
    await sign_in(locked, key=KEY)
    cookies = dict(locked.client.cookies)
    answer = await locked.client.post("/v1/logout")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    locked.client.cookies.update(cookies)
    assert (await locked.client.get("/v1/me")).status_code == 401


async def test_who_guesses_at_the_sign_in_is_slowed_down_and_a_right_key_passes(locked: House):
    for _ in range(auth.MAX_FAILURES):
        assert (await sign_in(locked, key="wrong")).status_code == 401
    assert (await sign_in(locked, key="wrong")).status_code == 429
    assert (await sign_in(locked, code="wrong")).status_code == 429
    assert (await sign_in(locked, key=KEY)).status_code == 200


async def test_what_is_no_sign_in(locked: House):
    bearer = {"Authorization": f"Bearer {KEY}"}
    ingest = (await locked.client.post("/v1/keys", json={"name": "a", "role": "ingest"}, headers=bearer)).json()
    assert (await sign_in(locked, key=ingest["key"])).json()["code"] == "login_refused"
    for body in ({}, {"key": KEY, "code": "x"}, {"key": 5}, {"key": ""}):
        assert (await sign_in(locked, **body)).status_code == 422
    large = await sign_in(locked, key="x" * 20_000)
    assert large.status_code == 413
    foreign = {"Origin": "http://127.0.0.1:9999"}
    assert (await locked.client.post("/v1/login", json={"key": KEY}, headers=foreign)).status_code == 403


async def test_a_page_of_another_port_cannot_use_the_cookie(locked: House):
    await sign_in(locked, key=KEY)
    for headers in ({"Origin": "http://127.0.0.1:9999"}, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}):
        assert (await locked.client.get("/v1/cameras", headers=headers)).status_code == 403


async def test_a_wrong_key_is_refused_though_the_cookie_is_right(locked: House):
    await sign_in(locked, key=KEY)
    assert (await locked.client.get("/v1/me", headers={"Authorization": "Bearer wrong"})).status_code == 401


@pytest.mark.parametrize(
    "text", ["joyvl_session=", "joyvl_session=x", "joyvl_session", "=;;=", "a=b; joyvl_session=\x01"]
)
async def test_odd_cookies_are_none(locked: House, text: str):
    assert (await locked.client.get("/v1/me", headers={"Cookie": text})).status_code == 401


def test_the_link_names_an_address_that_others_can_open():
    assert login_link("http://[::1]:8099", "c") == "http://[::1]:8099/#/login?code=c"
    assert login_link("https://home.example/", "c") == "https://home.example/#/login?code=c"
    for url in ("http://0.0.0.0:8099", "http://[::]:8099"):
        link = login_link(url, "c")
        assert link.endswith(":8099/#/login?code=c")
        assert "0.0.0.0" not in link
        assert "[::]" not in link
