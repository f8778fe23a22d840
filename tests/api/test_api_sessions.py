"""Sessions, ticks, watches, queries, calls and events over the real app, registry and store."""

from __future__ import annotations

import asyncio
import json

import pytest

from fakes.media.media import ANSWER_SDP, picture
from fakes.server.house import House, house
from joyvl_server.api.schemas.calls import CallOut
from joyvl_server.api.schemas.sessions import QueryOut, SessionOut, WatchOut
from joyvl_server.api.schemas.timeline import EventOut, EventsQuery, EventType
from joyvl_server.engines.base import Capabilities
from joyvl_server.store.events import TYPES

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def ticking(h: House, seconds: int = 3) -> dict:
    """A camera that has been seen for some seconds."""
    camera = await h.camera()
    for second in range(seconds):
        h.media.sources[camera["id"]].show(picture(float(second)))
        await h.clock.advance(1.0)
    return camera


async def test_a_session_shows_the_whole_picture(h: House):
    camera = await ticking(h)
    body = (await h.client.get(f"/v1/sessions/{camera['session_id']}")).json()
    assert set(body) == set(SessionOut.model_fields)
    assert (body["kind"], body["camera_id"], body["engine"]) == ("camera", camera["id"], "quiet")
    assert body["capabilities"]["follows_instructions"] is False
    assert body["state"]["status"] == "online"
    assert (await h.client.get("/v1/sessions")).json() == {"data": [body], "next": None}


async def test_threshold_is_changed_and_checked(h: House):
    path = f"/v1/sessions/{(await h.camera())['session_id']}"
    assert (await h.client.patch(path, json={"threshold": 0.25})).json()["threshold"] == 0.25
    for wrong in ([], {"threshold": 2}, {"threshold": "0.1"}, {"threshold": 0.1, "tick_s": 2}):
        assert (await h.client.patch(path, json=wrong)).status_code == 422
    assert (await h.client.patch(path, json={})).json()["threshold"] == 0.25
    assert (await h.client.patch(path, json={"threshold": None})).json()["threshold"] == 0.5  # the server's default


async def test_a_cameras_session_is_ended_at_the_camera(h: House):
    path = f"/v1/sessions/{(await h.camera())['session_id']}"
    answer = await h.client.delete(path)
    assert answer.status_code == 409
    assert "camera" in answer.json()["detail"]


async def test_watches_are_added_changed_and_removed(h: House):
    camera = await h.camera(zones=[{"name": "door", "points": [[0, 0], [1, 0], [1, 1]]}])
    path = f"/v1/sessions/{camera['session_id']}/watches"
    first = await h.client.post(path, json={"text": "  someone comes  ", "zones": ["door"], "threshold": 0.3})
    assert first.status_code == 201
    watch = first.json()
    assert set(watch) == set(WatchOut.model_fields)
    assert (watch["text"], watch["zones"], watch["threshold"], watch["paused"]) == (
        "someone comes",
        ["door"],
        0.3,
        False,
    )
    assert "does not read words" in watch["note"]
    assert first.headers["location"] == f"{path}/{watch['id']}"
    second = (await h.client.post(path, json={"text": "a parcel", "name": "parcel"})).json()
    assert (await h.client.get(path)).json()["data"] == [watch, second]
    changed = (await h.client.patch(f"{path}/{watch['id']}", json={"paused": True, "threshold": None})).json()
    assert (changed["paused"], changed["threshold"], changed["text"]) == (True, None, "someone comes")
    assert (await h.client.delete(f"{path}/{watch['id']}")).status_code == 204
    assert (await h.client.get(path)).json()["data"] == [second]
    assert (await h.client.delete(f"{path}/{watch['id']}")).status_code == 404
    assert (await h.client.patch(f"{path}/{watch['id']}", json={"paused": False})).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \n "}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": "x", "zones": "door"}, "zones"),
        ({"text": "x", "threshold": -0.1}, "threshold"),
        ({"text": "x", "loud": True}, "loud"),
        ({"text": "x", "kinds": "enter"}, "kinds"),
        ({"text": "x", "kinds": ["sleep"]}, "kinds.0"),
        ({"text": "x", "kinds": ["enter", None]}, "kinds.1"),
        ({"text": "x", "kinds": ["enter"] * 33}, "kinds"),
    ],
)
async def test_wrong_watches_name_the_field(h: House, body: dict, field: str):
    path = f"/v1/sessions/{(await h.camera())['session_id']}/watches"
    answer = await h.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert (await h.client.get(path)).json()["data"] == []


async def test_a_watch_fires_at_what_its_words_name_until_somebody_chooses(h: House):
    camera = await h.camera(watches=[{"text": "Tell me when someone comes in"}])
    (watch,) = camera["watches"]
    path = f"/v1/sessions/{camera['session_id']}/watches/{watch['id']}"

    async def change(**changes) -> list[str]:
        answer = await h.client.patch(path, json=changes)
        assert answer.status_code == 200, answer.text
        return answer.json()["kinds"]

    assert watch["kinds"] == ["enter"]
    assert await change(text="Sag mir, wenn jemand geht") == ["leave"]
    assert await change(kinds=["dark", "enter", "dark"]) == ["enter", "dark"]
    assert await change(text="Tell me when it is covered") == ["enter", "dark"]
    assert await change(paused=True) == ["enter", "dark"]
    assert await change(kinds=None) == ["covered"]
    assert await change(kinds=["covered"]) == ["covered"]  # as the words say: they go on to follow them
    assert await change(text="有人离开") == ["leave"]
    assert await change(kinds=[]) == []
    assert await change(text="Tell me when someone comes in") == []
    assert await change(text="Tell me when someone goes away", kinds=["still"]) == ["still"]
    assert (await h.client.patch(path, json={"kinds": ["sleep"]})).status_code == 422
    assert (await h.client.get(path.rsplit("/", 1)[0])).json()["data"][0]["kinds"] == ["still"]


@pytest.mark.parametrize(("given", "kinds"), [({}, ["enter"]), ({"kinds": None}, ["enter"]), ({"kinds": []}, [])])
async def test_a_new_watch_may_choose_its_kinds(h: House, given: dict, kinds: list[str]):
    path = f"/v1/sessions/{(await h.camera())['session_id']}/watches"
    watch = (await h.client.post(path, json={"text": "Tell me when someone comes in", **given})).json()
    assert watch["kinds"] == kinds
    words = "when something comes in" if kinds else "at anything"
    assert f"this watch fires {words}." in watch["note"]


async def test_a_watch_in_an_unknown_zone_is_refused(h: House):
    path = f"/v1/sessions/{(await h.camera())['session_id']}/watches"
    answer = await h.client.post(path, json={"text": "x", "zones": ["roof"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_zone")


@pytest.fixture
async def reader(h: House):
    """The house with an engine that reads words, so that a question stays open until it is answered."""
    h.engines.quiet.capabilities = Capabilities(follows_instructions=True)
    return h


async def test_a_query_is_asked_and_withdrawn_and_leaves_the_watches_alone(reader: House):
    h = reader
    camera = await h.camera(watches=[{"text": "someone comes"}])
    path = f"/v1/sessions/{camera['session_id']}"
    answer = await h.client.post(f"{path}/queries", json={"text": "What colour is the car?"})
    assert answer.status_code == 201
    query = answer.json()
    assert set(query) == set(QueryOut.model_fields)
    assert (query["status"], query["answer"]) == ("open", None)
    assert answer.headers["location"] == f"{path}/queries/{query['id']}"
    session = (await h.client.get(path)).json()
    assert session["queries"] == [query]
    assert [w["text"] for w in session["watches"]] == ["someone comes"]
    assert (await h.client.delete(f"{path}/queries/{query['id']}")).status_code == 204
    assert (await h.client.get(f"{path}/queries")).json()["data"][0]["status"] == "withdrawn"
    assert (await h.client.get(path)).json()["queries"] == []
    assert (await h.client.delete(f"{path}/queries/qry_none")).status_code == 404


async def test_too_many_open_queries_are_refused(reader: House):
    h = reader
    path = f"/v1/sessions/{(await h.camera())['session_id']}/queries"
    answers = [await h.client.post(path, json={"text": f"question {n}"}) for n in range(17)]
    assert [a.status_code for a in answers] == [201] * 16 + [409]
    assert answers[-1].json()["code"] == "too_many"


# --------------------------------------------------------------------------------------------------------------- calls


def bodies() -> list[tuple[str, dict]]:
    session = {"name": "my webcam", "threshold": 0.4, "watches": [{"text": "someone falls"}]}
    return [
        ("sdp", {"content": SDP, "headers": {"Content-Type": "application/sdp"}}),
        ("json", {"json": {"sdp": SDP, "session": session}}),
        ("form", {"files": {"sdp": (None, SDP), "session": (None, json.dumps(session))}}),
        ("blobs", {"files": {"sdp": ("blob", SDP, "application/sdp"), "session": ("blob", json.dumps(session))}}),
    ]


@pytest.mark.parametrize(("kind", "request_args"), bodies(), ids=[k for k, _ in bodies()])
async def test_a_call_is_placed_seen_and_hung_up(h: House, kind: str, request_args: dict):
    answer = await h.client.post("/v1/realtime/calls", **request_args)
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.text == ANSWER_SDP
    assert h.media.offers[0][1] == SDP
    path = answer.headers["location"]
    call = (await h.client.get(path)).json()
    assert set(call) == set(CallOut.model_fields)
    assert call["session_id"] == answer.headers["x-session-id"]
    assert (await h.client.get("/v1/realtime/calls")).json()["data"] == [call]
    session = (await h.client.get(f"/v1/sessions/{call['session_id']}")).json()
    assert session["kind"] == "call"
    if kind != "sdp":
        assert (session["name"], session["threshold"]) == ("my webcam", 0.4)
        assert [w["text"] for w in session["watches"]] == ["someone falls"]
    assert (await h.client.delete(path)).status_code == 204
    assert (await h.client.get(path)).status_code == 404
    assert (await h.client.delete(path)).status_code == 404
    assert all(source.closed for source in h.media.sources.values())
    assert (await h.client.get("/v1/sessions")).json()["data"] == []


async def test_ending_a_calls_session_hangs_up(h: House):
    path, session_id = await h.call()
    assert (await h.client.delete(f"/v1/sessions/{session_id}")).status_code == 204
    assert (await h.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        ({"content": "hello", "headers": {"Content-Type": "application/sdp"}}, 400, "bad_sdp"),
        ({"content": b"\xff\xfe", "headers": {"Content-Type": "application/sdp"}}, 400, "bad_sdp"),
        ({"content": b"v=0" + b"a" * 300_000, "headers": {"Content-Type": "application/sdp"}}, 400, "bad_sdp"),
        ({}, 400, "bad_sdp"),
        ({"content": "v=0", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"content": "v=0"}, 415, "unsupported_media_type"),
        ({"json": {"session": {}}}, 422, "invalid"),
        ({"json": {"sdp": SDP, "session": {"model": "x"}}}, 422, "config"),
        ({"json": [1]}, 422, "invalid"),
        ({"content": "{", "headers": {"Content-Type": "application/json"}}, 400, "bad_json"),
        ({"files": {"sdp": (None, SDP), "session": (None, "{")}}, 400, "bad_json"),
        ({"files": {"sdp": (None, SDP), "more": (None, "x")}}, 422, "invalid"),
        ({"files": {"session": (None, "{}")}}, 422, "invalid"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "bad_request"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "bad_request"),
        ({"json": {"sdp": SDP, "session": {"engine": "nope"}}}, 422, "config"),
    ],
)
async def test_offers_that_are_none_leave_nothing_behind(h: House, args: dict, status: int, code: str):
    answer = await h.client.post("/v1/realtime/calls", **args)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert h.media.sources == {}
    assert h.registry.sessions() == []


async def test_unknown_fields_of_a_calls_session_are_named(h: House):
    wrong = {"name": "x", "colour": "red"}
    by_json = await h.client.post("/v1/realtime/calls", json={"sdp": SDP, "session": wrong})
    by_form = await h.client.post(
        "/v1/realtime/calls", files={"sdp": (None, SDP), "session": (None, json.dumps(wrong))}
    )
    assert by_json.json()["errors"] == by_form.json()["errors"]
    assert by_json.json()["errors"][0]["field"] == "session.colour"


# -------------------------------------------------------------------------------------------------------------- events


async def settled_events(h: House, count: int) -> list[dict]:
    """Events are written by nobody's wait: look again until they are there."""
    for _ in range(200):
        data = (await h.client.get("/v1/events")).json()["data"]
        if len(data) >= count:
            return data
        await asyncio.sleep(0.01)
    raise AssertionError(f"{count} events did not arrive")


async def test_events_are_filtered_and_paged_newest_first(h: House):
    camera = await h.camera()
    path = f"/v1/sessions/{camera['session_id']}/queries"
    for n in range(5):
        assert (await h.client.post(path, json={"text": f"question {n}"})).status_code == 201
    everything = await settled_events(h, 11)
    assert set(everything[0]) == set(EventOut.model_fields)
    assert [e["id"] for e in everything] == sorted((e["id"] for e in everything), reverse=True)
    asked = (await h.client.get("/v1/events", params={"type": "query_asked"})).json()["data"]
    assert [e["text"] for e in asked] == [f"question {n}" for n in (4, 3, 2, 1, 0)]
    seen, after = [], None
    for _ in range(3):
        params = {"type": "query_asked", "limit": 2} | ({"after": after} if after else {})
        body = (await h.client.get("/v1/events", params=params)).json()
        seen += body["data"]
        after = body["next"]
    assert (seen, after) == (asked, None)
    for params, expected in (
        ({"camera_id": camera["id"]}, len(everything)),
        ({"camera_id": "cam_other"}, 0),
        ({"session_id": camera["session_id"]}, len(everything)),
        ({"since": everything[0]["at"]}, None),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
        ({"since": "2100-01-01T00:00:00Z"}, 0),
    ):
        found = (await h.client.get("/v1/events", params=params)).json()["data"]
        assert expected is None or len(found) == expected, params


@pytest.mark.parametrize("query", ["type=party", "since=yesterday", "since=2026-01-01T00:00:00", "limit=501", "foo=1"])
async def test_wrong_event_filters_are_named(h: House, query: str):
    answer = await h.client.get(f"/v1/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].partition(".")[0] == query.partition("=")[0]


def test_event_types_are_those_of_the_store():
    assert set(EventType.__args__) == set(TYPES)
    assert EventsQuery.model_fields["limit"].default == 100
