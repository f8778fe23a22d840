"""The stream of events over all sessions: filters, resuming, slow clients."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.patience import until
from fakes.server.house import House, house
from joyvl_server.api import context
from joyvl_server.api.http import relay
from joyvl_server.api.schemas.timeline import EventOut
from joyvl_server.core.errors import StoreError
from joyvl_server.kit.ids import new_id
from joyvl_server.store.events import EventRecord


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


def stream(h: House, query: str = "", **headers: str) -> Wire:
    return Wire(h.app, f"/v1/events?{query}", headers={"Accept": "text/event-stream", **headers})


async def opened(h: House, query: str = "", **headers: str) -> Wire:
    wire = stream(h, query, **headers)
    start = await wire.open()
    assert start["status"] == 200
    return wire


async def left(wire: Wire) -> None:
    wire.leave()
    await wire.done()


async def post(h: House, text: str, **changes: Any) -> str:
    values = {"session_id": "ses_1", "camera_id": "cam_1", "type": "spoke", "t": 0.0, "wall": 1.8e9, "data": {}}
    event = EventRecord(id=new_id("evt"), text=text, **{**values, **changes})
    h.registry.timeline.post(event)
    await until(lambda: event.id in [kept.id for kept in h.registry.timeline.feed._newest])
    return event.id


async def test_events_of_all_sessions_come_as_they_are_written(h: House):
    await post(h, "before")
    wire = stream(h)
    start = await wire.open()
    headers = {k.decode(): v.decode() for k, v in start["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert (await wire.next())["body"] == b"retry: 2000\n\n"
    ids = [await post(h, f"number {n}", session_id=f"ses_{n}") for n in range(3)]
    camera = await h.camera()
    seen = [await wire.update() for _ in range(4)]
    assert [event["id"] for event in seen[:3]] == ids
    assert seen[3]["type"] == "session_started"
    assert seen[3]["camera_id"] == camera["id"]
    assert all(set(event) == set(EventOut.model_fields) for event in seen)
    assert seen[0] == (await h.client.get(f"/v1/events/{ids[0]}")).json()
    await left(wire)


async def test_only_what_is_asked_for_comes(h: House):
    wire = await opened(h, "type=spoke&type=watch_fired&camera_id=cam_2")
    for type in ("spoke", "task", "watch_fired"):
        for camera in ("cam_1", "cam_2"):
            await post(h, f"{type} {camera}", type=type, camera_id=camera)
    assert [(await wire.update())["text"] for _ in range(2)] == ["spoke cam_2", "watch_fired cam_2"]
    await left(wire)


@pytest.mark.parametrize("by_header", [True, False])
async def test_it_resumes_after_the_last_id(h: House, by_header: bool):
    ids = [await post(h, f"number {n}") for n in range(5)]
    wire = await opened(h, **{"Last-Event-ID": ids[1]}) if by_header else await opened(h, f"after={ids[1]}")
    assert [(await wire.update())["text"] for _ in range(3)] == ["number 2", "number 3", "number 4"]
    await post(h, "number 5")
    message = await wire.next()
    assert message["body"].startswith(b"id: evt_")
    await left(wire)


@pytest.mark.parametrize("id", ["evt_00000000000000000000000000", "nonsense", "-1", "ses_x-5", "é"])
async def test_an_unknown_id_is_told_and_new_events_follow(h: House, id: str):
    await post(h, "before")
    wire = await opened(h, **{"Last-Event-ID": id})
    told = await wire.update()
    assert (told["type"], told["error"]["code"]) == ("error", "unknown_event")
    await post(h, "after")
    assert (await wire.update())["text"] == "after"
    await left(wire)


@pytest.mark.parametrize("query", ["query=parcel", "since=2026-01-01T00:00:00Z", "limit=5", "kept=true", "by=meaning"])
async def test_a_stream_has_no_past_to_search(h: House, query: str):
    answer = await h.client.get(f"/v1/events?{query}", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_streamable")


async def test_signs_of_life_have_no_id(h: House):
    wire = await opened(h)
    await wire.next()
    await h.clock.advance(relay.HEARTBEAT_S + 2)
    assert (await wire.next())["body"] == b'data: {"type":"heartbeat"}\n\n'
    await left(wire)


async def test_a_client_that_reads_nothing_is_ended_and_holds_up_nobody(h: House, monkeypatch):
    monkeypatch.setattr("joyvl_server.api.updates.FAREWELL_S", 0.01)
    slow, quick = await opened(h), await opened(h)
    slow.stop_reading()
    ids = [await post(h, f"number {n}") for n in range(3)]
    assert [(await quick.update())["id"] for _ in range(3)] == ids
    await h.clock.advance(relay.SEND_TIMEOUT_S + 2)
    await slow.done()
    assert h.api.streams == 1
    assert h.api.metrics.slow._value.get() == 1
    await left(quick)
    assert not h.registry.timeline.feed._waiters


async def test_streams_are_bounded(h: House, monkeypatch):
    monkeypatch.setattr(context, "MAX_STREAMS", 1)
    monkeypatch.setattr("joyvl_server.api.updates.MAX_STREAMS", 1)
    wire = await opened(h)
    answer = await h.client.get("/v1/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_streams")
    await left(wire)


async def test_a_store_that_fails_is_told_and_ends_the_stream(h: House, monkeypatch):
    ids = [await post(h, f"number {n}") for n in range(3)]
    h.registry.timeline.feed._before = (await h.registry.events.get(ids[2])).seq  # they have to be read

    async def fails(*args: Any) -> Any:
        raise StoreError("The disk fails.", code="store_io")

    monkeypatch.setattr(h.registry.events, "after", fails)
    wire = await opened(h, **{"Last-Event-ID": ids[0]})
    told = await wire.update()
    assert (told["type"], told["error"]["code"]) == ("error", "store_io")
    await wire.done()
    assert h.api.streams == 0


async def test_a_clip_that_is_ready_and_what_is_kept_are_told(h: House):
    wire = await opened(h, "camera_id=cam_1")
    id = await post(h, "number 1", clip="recording")
    assert (await wire.update())["clip"]["state"] == "recording"
    await h.registry.events.set_clip(id, "ready", bytes=3, before_s=5.0)
    message = await wire.next()
    assert message["body"].startswith(b"data: "), "a change has no id: a client resumes after an event"
    await h.client.patch(f"/v1/events/{id}", json={"kept": True})
    told = await wire.update()
    assert told == {"type": "updated", "event": (await h.client.get(f"/v1/events/{id}")).json()}
    assert (told["event"]["kept"], told["event"]["clip"]["state"]) == (True, "ready")
    await left(wire)
