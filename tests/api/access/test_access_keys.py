"""Keys over REST: made once, never shown again, over at their time, gone when they are removed; cameras of a key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.server.house import KEY, House, house
from joyvl_server.api.access import keyring, rates
from joyvl_server.api.http import auth


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as opened:
        opened.client.headers["Authorization"] = f"Bearer {KEY}"
        yield opened


async def made(h: House, name: str = "ann", role: str = "viewer", **fields: Any) -> dict[str, Any]:
    answer = await h.client.post("/v1/keys", json={"name": name, "role": role, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/keys/{answer.json()['id']}"
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def status(h: House, path: str, key: str, method: str = "GET", **more: Any) -> tuple[int, str]:
    answer = await h.client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **more)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else ""


async def test_a_key_is_shown_once_and_only_its_digest_is_kept(h: House, tmp_path):
    key = await made(h)
    assert key["key"].startswith("jvl_")
    assert len(key["key"]) == 47  # 256 bits
    listed = await h.client.get("/v1/keys")
    assert [k["name"] for k in listed.json()["data"]] == ["ann"]
    assert "key" not in listed.json()["data"][0]
    assert listed.json()["data"][0]["used_at"] is None
    assert await status(h, "/v1/cameras", key["key"]) == (200, "")
    assert (await h.client.get("/v1/keys")).json()["data"][0]["used_at"] is not None
    await h.registry.store.main.write(lambda c: c.execute("SELECT 1"))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key["key"].encode() not in stored
    assert b"ann" in stored


async def test_a_removed_key_opens_nothing_at_once(h: House):
    key = await made(h)
    assert (await h.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
    assert await status(h, "/v1/cameras", key["key"]) == (401, "unauthorized")
    assert (await h.client.delete(f"/v1/keys/{key['id']}")).status_code == 404


async def test_a_key_is_over_at_its_time(h: House):
    until_wall = h.clock.wall() + 60
    key = await made(h, expires_at=rfc(until_wall))
    assert await status(h, "/v1/cameras", key["key"]) == (200, "")
    await h.clock.advance(61)
    assert await status(h, "/v1/cameras", key["key"]) == (401, "unauthorized")
    told = await h.client.get("/v1/cameras", headers={"Authorization": f"Bearer {key['key']}"})
    day = rfc(until_wall)[:16].replace("T", " ")
    assert told.json()["detail"] == f"This API key is over since {day} UTC. Ask an admin for a new one."
    signing_in = await h.client.post("/v1/login", json={"key": key["key"]})
    assert (signing_in.status_code, signing_in.json()["detail"]) == (401, told.json()["detail"])
    wrong = await h.client.get("/v1/cameras", headers={"Authorization": f"Bearer {key['key']}x"})
    assert wrong.json()["detail"] == "This API key is not known."
    assert (await h.client.get("/v1/keys")).json()["data"][0]["state"] == "expired"
    refused = await h.client.post("/v1/keys", json={"name": "b", "role": "viewer", "expires_at": rfc(until_wall)})
    assert refused.status_code == 422


def rfc(wall: float) -> str:
    from joyvl_server.sessions import payloads

    return payloads.rfc3339(wall)


async def test_what_a_key_may_not_be(h: House):
    await made(h)
    for body, code in (
        ({"name": "ann", "role": "admin"}, "name_in_use"),
        ({"name": "b", "role": "root"}, "invalid"),
        ({"name": "", "role": "viewer"}, "invalid"),
        ({"name": "b", "role": "admin", "cameras": ["cam_x"]}, "invalid"),
        ({"name": "b", "role": "viewer", "cameras": ["cam_x"]}, "not_found"),
        ({"name": "b"}, "invalid"),
    ):
        answer = await h.client.post("/v1/keys", json=body)
        assert answer.json()["code"] == code, body


async def test_keys_outlive_a_restart(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        h.client.headers["Authorization"] = f"Bearer {KEY}"
        key = await made(h)
    async with house(tmp_path, server={"auth": "on"}) as h:
        assert await status(h, "/v1/cameras", key["key"]) == (200, "")
        assert await status(h, "/v1/cameras", KEY) == (401, "unauthorized")


async def test_keys_of_another_process_count_within_seconds(h: House):
    from joyvl_server.store.access.folder import key_database
    from joyvl_server.store.access.keys import add_key, remove_key
    from joyvl_server.store.access.records import KeyRecord, digest_of

    with key_database(h.settings.data_dir) as connection:
        add_key(connection, KeyRecord("key_1", "bob", digest_of("jvl_bob"), "viewer", (), h.clock.wall()))
    assert await status(h, "/v1/cameras", "jvl_bob") == (200, "")
    with key_database(h.settings.data_dir) as connection:
        remove_key(connection, "bob")

    for _ in range(20):
        await h.clock.advance(3.0)
        if await status(h, "/v1/cameras", "jvl_bob") == (401, "unauthorized"):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the removed key still opens")


async def test_a_right_key_passes_whatever_its_address_did_before(h: House):
    key = await made(h)
    for _ in range(auth.MAX_FAILURES):
        assert (await status(h, "/v1/cameras", "wrong"))[0] == 401
    assert await status(h, "/v1/cameras", "wrong") == (429, "too_many_failed_keys")
    assert await status(h, "/v1/cameras", key["key"]) == (200, "")
    assert await status(h, "/v1/login", "", "POST", json={"key": key["key"]}) == (200, "")


async def test_wrong_keys_do_not_make_the_disk_work(h: House, monkeypatch):
    looks = []
    load = keyring.Keyring.load

    async def counted(self: keyring.Keyring) -> None:
        looks.append(self)
        await load(self)

    monkeypatch.setattr(keyring.Keyring, "load", counted)
    await h.clock.advance(1.0)
    looks.clear()
    for n in range(50):
        await status(h, "/v1/cameras", f"wrong-{n}")
    assert len(looks) == 1


# -------------------------------------------------------------------------------------------------------------- cameras


async def test_a_key_for_one_camera_sees_nothing_of_others(h: House):
    mine, other = await h.camera("mine"), await h.camera("other")
    key = (await made(h, cameras=[mine["id"]]))["key"]
    for path in ("/v1/cameras", "/v1/sessions"):
        answer = await h.client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert [one["name"] for one in answer.json()["data"]] == ["mine"]
    for path in (
        "/v1/cameras/{id}",
        "/v1/cameras/{id}/zones",
        "/v1/events?camera_id={id}",
        "/v1/alerts?camera_id={id}",
    ):
        assert (await status(h, path.format(id=mine["id"]), key))[0] == 200
        assert await status(h, path.format(id=other["id"]), key) == (403, "other_camera")
    assert (await status(h, f"/v1/sessions/{mine['session_id']}", key))[0] == 200
    assert await status(h, f"/v1/sessions/{other['session_id']}/watches", key) == (403, "other_camera")
    # `camera_id` given twice or empty is of nobody.
    both = f"/v1/events?camera_id={mine['id']}&camera_id={other['id']}"
    for path in (both, "/v1/events?camera_id=", "/v1/hooks", "/metrics", "/readyz", "/v1/sessions/x", "/v1/snoozes"):
        assert (await status(h, path, key))[1] in ("other_camera", "role_too_low"), path
    events = (await h.client.get("/v1/events")).json()["data"]
    for event in events:
        expected = 200 if event["camera_id"] == mine["id"] else 403
        assert (await status(h, f"/v1/events/{event['id']}", key))[0] == expected


# ---------------------------------------------------------------------------------------------------------------- rates


async def test_a_client_that_asks_too_often_waits_and_others_do_not(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY, "other"], "requests_per_s": 1}) as h:
        for _ in range(int(rates.BURST_S)):
            assert (await status(h, "/v1/cameras", KEY))[0] == 200
        answer = await h.client.get("/v1/cameras", headers={"Authorization": f"Bearer {KEY}"})
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"] == "2"
        assert (await status(h, "/v1/cameras", "other"))[0] == 200
        await h.clock.advance(1.0)
        assert (await status(h, "/v1/cameras", KEY))[0] == 200
        # Whoever has no key is limited by the address, and takes nothing from those who have one.
        codes = [(await h.client.get("/v1/cameras")).status_code for _ in range(15)]
        assert set(codes) == {401, 429}
        assert (await status(h, "/v1/cameras", "other"))[0] == 200


def test_the_table_of_clients_is_bounded(monkeypatch):
    from fakes.clock import ManualClock

    monkeypatch.setattr(rates, "MAX_CLIENTS", 10)
    limits = rates.RequestRates(1.0, ManualClock())
    for n in range(100):
        limits.wait_s(f"10.0.0.{n}")
    assert len(limits) == 10
    assert rates.RequestRates(0, ManualClock()).wait_s("x") == 0


# ------------------------------------------------------------------------------------------------------- open streams


async def test_streams_end_with_their_key(h: House):
    camera = await h.camera()
    key = await made(h)
    headers = {"authorization": f"Bearer {key['key']}"}
    path = f"/v1/sessions/{camera['session_id']}/updates"
    socket, events = Wire(h.app, path, kind="websocket", headers=headers), Wire(h.app, path, headers=headers)
    await socket.open()
    await events.open()
    assert (await h.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
    await socket.done()
    await events.done()


async def test_a_download_is_cut_when_its_key_is_removed(h: House, tmp_path, monkeypatch):
    large = tmp_path / "answer.bin"
    large.write_bytes(b"x" * 1_000_000)

    async def file(self: Any, task_id: str, name: str) -> Any:
        return large

    monkeypatch.setattr(type(h.registry.tasks.records), "file", file)
    key = await made(h)
    wire = Wire(h.app, "/v1/tasks/tsk_1/files/answer.bin", headers={"authorization": f"Bearer {key['key']}"})
    wire.stop_reading()
    wire.task = asyncio.create_task(wire._app(wire.scope, wire._in.get, wire._send))
    wire.say({"type": "http.request", "body": b""})
    assert (await h.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
    wire.read_again()
    await wire.done()
    sent = [wire._out.get_nowait() for _ in range(wire._out.qsize())]
    assert sum(len(message.get("body", b"")) for message in sent) < 200_000
    assert not any(message.get("more_body") is False for message in sent)


async def test_who_removes_the_key_that_they_use_gets_an_answer(h: House):
    key = await made(h, role="admin")
    assert await status(h, f"/v1/keys/{key['id']}", key["key"], "DELETE") == (204, "")
    assert (await status(h, "/v1/me", key["key"]))[0] == 401


# --------------------------------------------------------------------------------------------------------------- ingest


async def call(h: House, key: str, **session: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return await h.client.post("/v1/realtime/calls", json={"sdp": "v=0", "session": session}, headers=headers)


async def test_an_ingest_key_sends_its_media_and_nothing_else(h: House):
    phone = (await made(h, "phone", "ingest", cameras=["nursery"]))["key"]
    other = (await made(h, "other", "ingest"))["key"]
    answer = await call(h, phone)
    assert answer.status_code == 201
    shown = h.registry.session(answer.headers["x-session-id"]).describe()
    assert (shown["name"], shown["listen"], shown["voice"]) == ("nursery", "off", "off")
    path = answer.headers["location"]
    assert (await status(h, path, phone))[0] == 200
    assert await status(h, path, other) == (404, "not_found")
    assert await status(h, path, other, "DELETE") == (404, "not_found")
    for session in ({"name": "garage"}, {"watches": [{"text": "x"}]}, {"threshold": 0.1}, {"model": "quiet"}):
        refused = await call(h, phone, **session)
        assert (refused.status_code, refused.json()["code"]) == (403, "ingest_only")
    for path_of_others in ("/v1/cameras", "/v1/sessions", "/v1/events", "/metrics"):
        assert await status(h, path_of_others, phone) == (403, "role_too_low")
    assert (await call(h, other)).status_code == 201
    listed = await h.client.get("/v1/realtime/calls", headers={"Authorization": f"Bearer {phone}"})
    assert [one["id"] for one in listed.json()["data"]] == [path.rpartition("/")[2]]
    assert len((await h.client.get("/v1/realtime/calls")).json()["data"]) == 2
    assert (await status(h, path, phone, "DELETE"))[0] == 204


async def test_an_ingest_key_does_not_send_under_the_name_of_a_camera(h: House):
    await h.camera("demo")
    free = (await made(h, "free", "ingest"))["key"]
    bound = (await made(h, "bound", "ingest", cameras=["demo", "phone"]))["key"]
    for key, name in ((free, "demo"), (free, " DEMO "), (bound, "demo")):
        refused = await call(h, key, name=name)
        assert (refused.status_code, refused.json()["code"]) == (403, "ingest_only"), refused.text
        assert "A camera of this server is called" in refused.json()["detail"]
    assert (await call(h, free, name="demo 2")).status_code == 201
    assert (await call(h, bound, name="phone")).status_code == 201
    assert (await call(h, free)).status_code == 201
    # Whoever may look at the camera anyway calls as before.
    operator = (await made(h, "ann", "operator"))["key"]
    assert (await call(h, operator, name="demo")).status_code == 201


async def test_a_role_that_is_too_low_is_told_which_ones_may(h: House):
    viewer = {"Authorization": f"Bearer {(await made(h, 'v', 'viewer'))['key']}"}
    refused = await h.client.post("/v1/realtime/calls", json={"sdp": "v=0"}, headers=viewer)
    assert refused.json()["detail"] == (
        "This asks for the role operator (or ingest, which only sends media); yours is viewer."
    )
    refused = await h.client.post("/v1/reload", headers=viewer)
    assert refused.json()["detail"] == "This asks for the role admin; yours is viewer."


async def test_a_key_for_certain_cameras_is_told_what_it_may_not_ask_at_all(h: House):
    mine, other = await h.camera("mine"), await h.camera("other")
    key = {"Authorization": f"Bearer {(await made(h, 'o', 'operator', cameras=[mine['id']]))['key']}"}
    for path, body in (
        ("/v1/memories", {"text": "x", "camera_id": mine["id"]}),
        ("/v1/signed_urls", {"path": f"/v1/cameras/{mine['id']}/snapshot.jpg"}),
        ("/v1/tasks", {"text": "x"}),
    ):
        refused = await h.client.post(path, json=body, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (403, "other_camera")
        assert refused.json()["detail"].startswith(f"Keys for certain cameras may not ask for POST {path}")
    refused = await h.client.get(f"/v1/cameras/{other['id']}", headers=key)
    assert refused.json()["detail"] == "Your key is for certain cameras only; this is about others too."


async def test_a_call_ends_with_its_key(h: House):
    key = await made(h, "phone", "ingest")
    answer = await call(h, key["key"])
    await h.client.delete(f"/v1/keys/{key['id']}")
    for _ in range(20):
        await h.clock.advance(3.0)
        if not h.registry.calls():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{answer.headers['location']} goes on")
