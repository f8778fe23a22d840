"""Every route of the OpenAPI document, and every WebSocket: none without a key beyond loopback, each with its role."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fakes.media.wire import Wire
from fakes.server.house import House, house
from joyvl_server.api.access.roles import LEAST, OF_ONE, Least, may
from joyvl_server.api.access.routes_of import guarded_routes
from joyvl_server.kit.ids import new_id
from joyvl_server.store.access.records import ROLES, KeyRecord, Role, digest_of, new_key

OPEN = {"GET /", "GET /assets/{path}", "GET /healthz", "GET /health", "POST /v1/login"}
"""What may be had without a key, for ever."""
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"host": "0.0.0.0"}) as opened:
        yield opened


async def keys_of_all_roles(h: House) -> dict[Role, str]:
    keys: dict[Role, str] = {}
    for role in ROLES:
        keys[role] = new_key()
        record = KeyRecord(new_id("key"), role, digest_of(keys[role]), role, (), h.clock.wall())
        await h.api.access.keyring.add(record)
    return keys


def operations(h: House) -> Iterator[tuple[str, str, Least]]:
    """(method, path with something in its places, least role) as the document says it."""
    for path, methods in h.app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), re.sub(r"\{\w+\}", "x", path), operation["x-least-role"]


async def asked(h: House, method: str, path: str, key: str | None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    content = b"{}" if method in ("POST", "PUT", "PATCH") else None
    answer = await h.client.request(method, path, content=content, headers=headers | (JSON if content else {}))
    if answer.status_code < 400 or "json" not in answer.headers.get("content-type", ""):
        return answer.status_code, ""
    body = answer.json()
    # Clients of the interaction model's session API read OpenAI's shape of an error.
    return answer.status_code, body["error"]["code"] if "error" in body else body["code"]


async def test_every_route_has_a_role_and_every_role_a_route(h: House):
    real = {route.name for _, route in guarded_routes(h.app)}
    assert len(real) > 90
    assert not (missing := real - LEAST.keys()), f"give these a least role in api/access/roles.py: {sorted(missing)}"
    assert not (gone := LEAST.keys() - real), f"no such route: {sorted(gone)}"
    # What is not written down is for admins.
    assert {least for _, _, least in operations(h)} == {"none", "any", "ingest", "viewer", "operator", "admin"}


async def test_what_is_open_is_written_down_here_too(h: House):
    found = {name for name, least in LEAST.items() if least == "none"}
    assert found == OPEN | {name.replace("GET", "HEAD") for name in OPEN if name.startswith("GET")}


async def test_no_route_answers_without_a_key(h: House):
    told = []
    for method, path, least in operations(h):
        status, code = await asked(h, method, path, None)
        if (least != "none") != ((status, code) == (401, "unauthorized")):
            told.append((method, path, status, code))
    assert told == []
    for path in ("/openapi.json", "/docs", "/redoc", "/v1", "/nope", "/healthz/x", "/v1/cameras/"):
        assert await asked(h, "GET", path, None) == (401, "unauthorized")


async def test_every_route_holds_its_role(h: House):
    keys = await keys_of_all_roles(h)
    told = []
    for method, path, least in operations(h):
        for role in ROLES:
            if (method, path) == ("POST", "/v1/logout") or least == "none":
                continue
            status, code = await asked(h, method, path, keys[role])
            refused = code in ("role_too_low", "unauthorized", "rate_limited")
            if refused == may(role, least) or status == 500:
                told.append((method, path, role, status, code))
    assert told == []


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("role", ROLES)
async def test_who_asks_who_it_is_is_told_what_is_for_it(h: House, role: Role, bound: bool):
    if bound and role == "admin":
        return  # for everything
    key = new_key()
    record = KeyRecord(new_id("key"), "it", digest_of(key), role, ("cam_x",) if bound else (), h.clock.wall())
    await h.api.access.keyring.add(record)
    mine = set((await h.client.get("/v1/me", headers={"Authorization": f"Bearer {key}"})).json()["may"])
    told = []
    for path, methods in h.app.openapi()["paths"].items():
        for method in methods:
            name = f"{method.upper()} {path}"
            if name == "POST /v1/logout" or (bound and any(place in path for place in OF_ONE)):
                continue
            _, code = await asked(h, method.upper(), re.sub(r"\{\w+\}", "x", path), key)
            if (code in ("role_too_low", "other_camera")) == (name in mine):
                told.append((name, code))
    assert told == []
    assert mine <= LEAST.keys()


async def test_every_websocket_holds_its_role(h: House):
    keys = await keys_of_all_roles(h)
    sockets = [route for method, route in guarded_routes(h.app) if method == "WEBSOCKET"]
    assert len(sockets) >= 2
    for route in sockets:
        path = re.sub(r"\{\w+\}", "x", route.name.partition(" ")[2])
        for role in (None, *ROLES):
            headers = {"authorization": f"Bearer {keys[role]}"} if role else {}
            wire = Wire(h.app, path, kind="websocket", headers=headers)
            first = await wire.open()
            if role is None:
                assert first["status"] == 401
            elif not may(role, route.least):
                assert first["status"] == 403
                assert (await wire.problem())["code"] == "role_too_low"
            else:
                assert first["type"] == "websocket.accept" or first["status"] == 404
            wire.leave()
            await wire.done()


async def test_on_loopback_nobody_is_asked(tmp_path):
    async with house(tmp_path) as h:
        assert (await asked(h, "GET", "/v1/cameras", None))[0] == 200
        assert (await h.client.get("/v1/me")).json() == {
            "auth": False, "name": "this machine", "role": "admin", "cameras": [], "expires_at": None,
            "may": list(LEAST),
        }  # fmt: skip


@pytest.mark.parametrize("setting", ["host", "allowed_hosts", "trusted_proxies", "public_url", "auth", "api_keys"])
async def test_whoever_can_be_reached_asks(tmp_path, setting: str):
    values = {
        "host": "192.0.2.1", "allowed_hosts": ["*"], "trusted_proxies": ["127.0.0.1"],
        "public_url": "https://home.example", "auth": "on", "api_keys": ["a-key"],
    }  # fmt: skip
    async with house(tmp_path, server={setting: values[setting]}) as h:
        assert await asked(h, "GET", "/v1/cameras", None) == (401, "unauthorized")
        assert (await asked(h, "GET", "/healthz", None))[0] == 200


async def test_a_head_or_an_odd_method_gets_no_further(h: House):
    for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND"):
        assert (await h.client.request(method, "/v1/cameras")).status_code == 401
    for path in ("//v1/cameras", "/v1//cameras", "/V1/cameras", "/assets/../v1/cameras", "/assets%2f..%2fv1/cameras"):
        wire = Wire(h.app, path)
        status = (await wire.open())["status"]
        assert status in (401, 404), path
        wire.leave()
