"""The stream of updates, as SSE and as WebSocket, over the real app and a real session."""

from __future__ import annotations

import asyncio

import pytest

from fakes.media.wire import Wire
from fakes.patience import until
from fakes.server.house import KEY, House, house
from joyvl_server.api import context
from joyvl_server.api.http import relay
from joyvl_server.api.schemas.sessions import SessionOut


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["http", "websocket"])
def kind(request) -> str:
    return request.param


def updates(h: House, session_id: str, kind: str, *, after: str | None = None, **headers: str) -> Wire:
    query = f"?after={after}" if after else ""
    return Wire(h.app, f"/v1/sessions/{session_id}/updates{query}", kind=kind, headers=headers)


def readers(h: House, camera: dict) -> int:
    return len(h.session(camera).updates._waiters)


async def test_a_new_client_gets_the_whole_session_first_then_everything_in_order(h: House, kind: str):
    camera = await h.camera()
    wire = updates(h, camera["session_id"], kind)
    start = await wire.open()
    if kind == "http":
        headers = {k.decode(): v.decode() for k, v in start["headers"]}
        assert start["status"] == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert "content-length" not in headers
        assert (await wire.next())["body"] == b"retry: 2000\n\n"
    else:
        assert start["type"] == "websocket.accept"
    first = await wire.update()
    assert first["type"] == "session.created"
    assert set(first["session"]) == set(SessionOut.model_fields)
    assert first["session"]["id"] == camera["session_id"]
    await h.client.post(f"/v1/sessions/{camera['session_id']}/watches", json={"text": "someone"})
    await h.client.patch(f"/v1/sessions/{camera['session_id']}", json={"threshold": 0.2})
    second, third = await wire.update(), await wire.update()
    assert (second["type"], third["type"]) == ("watch.created", "session.updated")
    assert (second["seq"], third["seq"]) == (first["seq"] + 1, first["seq"] + 2)
    assert second["session_id"] == camera["session_id"]
    wire.leave()
    await wire.done()


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(h: House, kind: str):
    camera = await h.camera()
    session = h.session(camera)
    wire = updates(h, camera["session_id"], kind)
    await wire.open()
    last = await wire.update()
    wire.leave()
    await wire.done()
    missed = [session.updates.publish("error", error={"code": "x", "message": str(n)}) for n in range(3)]
    again = updates(h, camera["session_id"], kind, after=last["id"])
    await again.open()
    got = [await again.update() for _ in missed]
    assert [u["id"] for u in got] == [u.id for u in missed]
    assert [u["seq"] for u in got] == [last["seq"] + 1, last["seq"] + 2, last["seq"] + 3]
    again.leave()
    await again.done()


async def test_silence_is_told_from_a_dead_line(tmp_path, kind: str):
    """A session that has nothing to tell still gives a sign of life, and that changes nothing for resuming."""
    async with house(tmp_path, sessions={"tick_s": 10.0}) as h:
        camera = await h.camera()
        wire = updates(h, camera["session_id"], kind)
        await wire.open()
        created = await wire.message()
        for _ in range(2):
            await h.clock.advance(2.0)
            beat = await wire.message()
            assert beat["type"] == "heartbeat"
            assert (beat["id"], beat["seq"]) == (created["id"], created["seq"])
            assert beat["wall"] == pytest.approx(h.clock.wall(), abs=3)
        missed = h.session(camera).updates.publish("error", error={"code": "x", "message": "m"})
        assert (await wire.message())["id"] == missed.id
        wire.leave()
        await wire.done()
        again = updates(h, camera["session_id"], kind, after=beat["id"])
        await again.open()
        assert (await again.message())["id"] == missed.id
        again.leave()
        await again.done()


async def test_last_event_id_wins_over_after(h: House):
    camera = await h.camera()
    log = h.session(camera).updates
    first, second, third = (log.publish("error", error={"code": "x", "message": ""}) for _ in range(3))
    wire = updates(h, camera["session_id"], "http", after=first.id, **{"Last-Event-ID": second.id})
    await wire.open()
    assert (await wire.update())["id"] == third.id
    wire.leave()
    await wire.done()


async def test_an_id_nobody_knows_gives_the_whole_session(h: House, kind: str):
    camera = await h.camera()
    for unknown in ("nonsense", "log_x-3", "log_x-%2e%2e"):
        wire = updates(h, camera["session_id"], kind, after=unknown)
        await wire.open()
        assert (await wire.update())["type"] == "session.created"
        wire.leave()
        await wire.done()


async def test_a_client_that_goes_away_frees_everything_at_once(h: House, kind: str):
    camera = await h.camera()
    await h.clock.settle()
    before = len(asyncio.all_tasks())
    wires = [updates(h, camera["session_id"], kind) for _ in range(5)]
    for wire in wires:
        await wire.open()
        await wire.update()
    await until(lambda: readers(h, camera) == 5)
    assert h.api.streams == 5
    for wire in wires:
        wire.leave()
        await wire.done()
    assert readers(h, camera) == 0
    assert h.api.streams == 0
    assert len(asyncio.all_tasks()) == before


async def test_a_session_that_ends_ends_its_streams(h: House, kind: str):
    _, session_id = await h.call()
    wire = updates(h, session_id, kind)
    await wire.open()
    await wire.update()
    await h.client.delete(f"/v1/sessions/{session_id}")
    last = await wire.update()
    assert (last["type"], last["reason"]) == ("session.ended", "it was ended")
    end = await wire.next()
    if kind == "websocket":
        assert (end["type"], end["code"]) == ("websocket.close", 1000)
    else:
        assert end["more_body"] is False
    await wire.done()
    refused = updates(h, session_id, kind)
    assert (await refused.open())["status"] == 404
    assert (await refused.problem())["code"] == "not_found"


async def test_streams_end_when_the_server_stops(h: House, kind: str):
    camera = await h.camera()
    wire = updates(h, camera["session_id"], kind)
    await wire.open()
    await wire.update()
    h.api.stopping.set()
    end = await wire.next()
    if kind == "websocket":
        assert (end["type"], end["code"]) == ("websocket.close", 1012)
    else:
        assert end["more_body"] is False
    await wire.done()


async def test_a_reader_that_was_overtaken_is_told_and_may_resume(tmp_path, kind: str):
    async with house(tmp_path, server={"updates_backlog": 16}) as h:
        camera = await h.camera()
        log = h.session(camera).updates
        wire = updates(h, camera["session_id"], kind)
        await wire.open()
        await wire.update()
        wire.stop_reading()
        for n in range(100):
            log.publish("error", error={"code": "x", "message": str(n)})
            await asyncio.sleep(0)
        wire.read_again()
        seen = []
        while True:
            message = await wire.next()
            if message["type"] == "websocket.close" or not message.get("more_body", True):
                break
            seen.append(message)
        if kind == "websocket":
            assert (message["code"], message["reason"]) == (4008, "slow: resume with the last id")
        else:
            assert b'"code":"slow"' in message["body"].replace(b'": "', b'":"')
            assert b"id:" not in message["body"]
        await wire.done()
        assert len(seen) < 20
        assert h.api.metrics.slow._value.get() == 1


async def test_a_client_that_reads_nothing_is_cut_off_after_a_while(h: House, kind: str, monkeypatch):
    monkeypatch.setattr("joyvl_server.api.updates.FAREWELL_S", 0.01)
    camera = await h.camera()
    wire = updates(h, camera["session_id"], kind)
    await wire.open()
    await wire.update()
    wire.stop_reading()
    h.session(camera).updates.publish("error", error={"code": "x", "message": ""})
    await h.clock.advance(relay.SEND_TIMEOUT_S - 2)
    assert h.api.streams == 1
    await h.clock.advance(4)
    await wire.done()
    assert h.api.streams == 0
    assert readers(h, camera) == 0


async def test_a_stream_only_sends(h: House):
    camera = await h.camera()
    wire = updates(h, camera["session_id"], "websocket")
    await wire.open()
    await wire.update()
    wire.say({"type": "websocket.receive", "text": "{}"})
    end = await wire.next()
    assert (end["type"], end["code"], end["reason"]) == ("websocket.close", 1003, "this stream only sends")
    await wire.done()


async def test_there_is_a_limit_to_streams(h: House, kind: str, monkeypatch):
    monkeypatch.setattr("joyvl_server.api.updates.MAX_STREAMS", 2)
    camera = await h.camera()
    wires = [updates(h, camera["session_id"], kind) for _ in range(2)]
    for wire in wires:
        await wire.open()
        await wire.update()
    third = updates(h, camera["session_id"], kind)
    assert (await third.open())["status"] == 503
    assert (await third.problem())["code"] == "too_many_streams"
    for wire in wires:
        wire.leave()
        await wire.done()
    assert context.MAX_STREAMS == 256


async def test_a_browser_brings_its_key_as_a_subprotocol_and_gets_only_ours_echoed(tmp_path):
    # base64url of KEY, without padding
    offered = "joyvl.v1, joyvl.bearer.YS1rZXktb2YtdGhlLWhvdXNl"
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        h.client.headers["Authorization"] = f"Bearer {KEY}"
        camera = await h.camera()
        wire = updates(h, camera["session_id"], "websocket", **{"sec-websocket-protocol": offered})
        accepted = await wire.open()
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "joyvl.v1")
        assert (await wire.update())["type"] == "session.created"
        wire.leave()
        await wire.done()
        for wrong in ("joyvl.v1", "joyvl.v1, joyvl.bearer.d3Jvbmc", "joyvl.v1, joyvl.bearer.%%%"):
            refused = updates(h, camera["session_id"], "websocket", **{"sec-websocket-protocol": wrong})
            assert (await refused.open())["status"] == 401
            assert (await refused.problem())["code"] == "unauthorized"
        by_header = updates(h, camera["session_id"], "websocket", authorization=f"Bearer {KEY}")
        assert (await by_header.open())["subprotocol"] is None
        by_header.leave()
        await by_header.done()


async def test_a_foreign_page_gets_no_websocket(h: House):
    camera = await h.camera()
    refused = updates(h, camera["session_id"], "websocket", origin="https://evil.example")
    assert (await refused.open())["status"] == 403
    assert (await refused.problem())["code"] == "foreign_origin"
    nowhere = Wire(h.app, "/v1/cameras", kind="websocket")
    assert (await nowhere.open())["status"] == 404
    assert (await nowhere.problem())["code"] == "not_found"


async def test_open_streams_are_counted(h: House, kind: str):
    camera = await h.camera()
    label = {"http": "sse", "websocket": "websocket"}[kind]
    wire = updates(h, camera["session_id"], kind)
    await wire.open()
    await wire.update()
    assert f'joyvl_update_streams{{transport="{label}"}} 1.0' in (await h.client.get("/metrics")).text
    wire.leave()
    await wire.done()
    assert f'joyvl_update_streams{{transport="{label}"}} 0.0' in (await h.client.get("/metrics")).text
