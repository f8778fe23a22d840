"""What clients of the reference's API get wrong, and how many of them there may be: without a real source or engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fakes.reference_client import ReferenceClient, content, jpeg, shown, user
from fakes.server.house import House, house
from joyvl_server.api.http.bodies import CHAT_BYTES
from joyvl_server.api.reference import client_sessions
from joyvl_server.api.reference.chat_request import MAX_PICTURES, read, session_name
from joyvl_server.api.reference.client_sessions import EVICTED_S, IDLE_S
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import MAX_PICTURE_BYTES

CHAT = "/v1/chat/completions"
URL = shown(jpeg())["image_url"]["url"]


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def body(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [user(*(parts or (shown(jpeg()),)))], **more}


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


BAD = {
    "nothing": {},
    "no messages": {"messages": []},
    "messages no list": {"messages": {"role": "user"}},
    "messages of strings": {"messages": ["look"]},
    "only words": {"messages": [user("what is it?")]},
    "a string": {"messages": [{"role": "user", "content": "what is it?"}]},
    "a picture of the assistant": {"messages": [{"role": "assistant", "content": [image(URL)]}]},
    "content no list": {"messages": [{"role": "user", "content": 7}]},
    "parts no objects": {"messages": [{"role": "user", "content": ["a"]}]},
    "a part of another kind": body(shown(jpeg()), {"type": "input_audio", "input_audio": {}}),
    "url no string": body(image(7)),
    "an address": body(image("http://127.0.0.1/a.jpg")),
    "a file": body(image("file:///etc/passwd")),
    "a picture of another kind": body(image("data:image/gif;base64,R0lGODlhAQABAAAAACw=")),
    "no base64": body(image("data:image/jpeg;base64,§§§§")),
    "wrong padding": body(image("data:image/jpeg;base64,abc")),
    "too large a picture": body(shown(bytes(MAX_PICTURE_BYTES + 1))),
    "too many pictures": body(*[shown(jpeg())] * (MAX_PICTURES + 1)),
    "too many words": body("a" * 2001, shown(jpeg())),
    "stream no truth": body(stream="yes"),
    "model no string": body(model=7),
    "user no string": body(user=["a"]),
    "session no string": body(session_id={"a": 1}),
    "ranges no list": body(frame_time_ranges="1.0"),
    "a range without a number": body(frame_time_ranges=["soon"]),
    "a range below zero": body(frame_time_ranges=["-3.0 seconds"]),
    "a range of truth": body(frame_time_ranges=[True]),
    "a range out of bounds": body(frame_time_ranges=[1e300]),
    "an empty range": body(frame_time_ranges=[[]]),
    "more ranges than pictures": body(frame_time_ranges=[1.0, 2.0]),
    "ranges that run backwards": body(shown(jpeg()), shown(jpeg()), frame_time_ranges=[2.0, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_body_is_a_clear_error_and_begins_nothing(h: House, bad: dict[str, Any]) -> None:
    answer = await h.client.post(CHAT, json=bad)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(".")
    assert len(answer.content) < 1000
    assert h.registry.sessions() == []


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"{broken", "application/json", 400, "invalid_request"),
        (b"[1]", "application/json", 400, "invalid_request"),
        (b"[" * 100_000, "application/json", 400, "invalid_request"),
        (b"\xff\xfe", "application/json", 400, "invalid_request"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"x" * (CHAT_BYTES + 1), "application/json", 413, "body_too_large"),
        (json.dumps({"messages": [[0] * 30_000]}).encode(), "application/json", 413, "body_too_large"),
    ],
)
async def test_what_is_no_request_at_all(h: House, data: bytes, kind: str, status: int, code: str) -> None:
    for path in (CHAT, "/v1/streaming/reset"):
        answer = await h.client.post(path, content=data, headers={"content-type": kind})
        assert answer.status_code == (413 if path != CHAT and len(data) > 1_048_576 else status)
        assert answer.json()["error"]["code"] in (code, "body_too_large")
    assert (await h.client.get(CHAT)).json()["error"]["type"] == "invalid_request_error"


async def decided(h: House, asking: asyncio.Task[httpx2.Response]) -> httpx2.Response:
    """Nothing goes on by itself here: the clock is helped along, and threads get their time."""
    for _ in range(2000):
        await h.clock.settle()
        if asking.done():
            return asking.result()
        await h.clock.advance(0.001)
        await asyncio.sleep(0.005)
    raise AssertionError("no answer")


async def look(h: House, session: str = "default", **more: Any) -> httpx2.Response:
    return await decided(h, asyncio.create_task(ReferenceClient(h.client, session).look(**more)))


async def test_a_picture_that_cannot_be_read_is_the_clients_mistake(h: House) -> None:
    assert content((await look(h)).json()) == "</silence>"
    (source,) = h.media.sources.values()
    source.client.error = SourceError("The picture cannot be used: it is damaged.", code="bad_picture")
    answer = await look(h)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_picture")
    source.client.error = None
    again = (await look(h)).json()["interaction"]
    assert (again["time"], again["frame_index"]) == (1.0, 2)  # the bad one took no time


async def test_a_client_that_pauses_makes_no_engine_look_slow_or_away(h: House) -> None:
    for _ in range(8):
        answer = (await look(h)).json()
        await h.clock.advance(30.0)
        (session,) = h.registry.sessions()
        assert session.engine_state.status == "ready", session.engine_state
    assert answer["interaction"]["time"] == 7.0


async def test_idle_sessions_end(h: House) -> None:
    await look(h, "a")
    await look(h, "b")
    assert len(h.registry.sessions()) == 2
    for _ in range(round(IDLE_S / 10) + 6):
        await h.clock.advance(10.0)
        if h.clock.monotonic() % 100 < 10:
            await look(h, "b")
    assert [session.record.name for session in h.registry.sessions()] == ["Client b"]
    assert len(h.api.reference) == 1


async def test_they_are_bounded(h: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_sessions, "MAX_CLIENTS", 2)
    await look(h, "a")
    await look(h, "b")
    refused = await look(h, "c")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_sessions")
    assert refused.headers["retry-after"]
    await h.clock.advance(EVICTED_S / 2)
    await look(h, "a")
    await h.clock.advance(EVICTED_S / 2 + 1)
    assert (await look(h, "c")).status_code == 200  # b was idle longest
    assert {session.record.name for session in h.registry.sessions()} == {"Client a", "Client c"}


async def test_the_servers_own_bound_counts_too(tmp_path: Path) -> None:
    async with house(tmp_path, sessions={"max_sessions": 1}) as h:
        await look(h, "a")
        refused = await look(h, "b")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "too_many")
        assert len(h.api.reference) == 1


async def test_a_source_that_dies_is_replaced(h: House) -> None:
    first = (await look(h)).json()["interaction"]["session_id"]
    (source,) = h.media.sources.values()
    source.end("worker_died", "The media worker died.")
    await h.clock.advance(2.0)
    await h.clock.settle()
    assert (await look(h)).json()["interaction"]["session_id"] != first


def test_names_of_sessions() -> None:
    def name(user: str) -> str:
        return session_name({"user": user}, {})

    assert name("Room-1.a_b") == "Room-1.a_b"
    assert name("  ") == "default"
    assert name("a b") != name("a_b") != name("a/b")
    assert len(name("x" * 500)) <= 120
    assert name("x" * 500) != name("x" * 501)
    assert name("\ud83d") != "default"


def test_times_and_words() -> None:
    def found(text: str, headers: dict[str, str] | None = None, **more: Any) -> tuple[tuple[float, ...], str]:
        request = read(json.dumps(body(text, shown(jpeg()), **more)).encode(), headers or {})
        return request.times, request.text

    assert found("<12.0 seconds>") == ((12.0,), "")
    assert found("<12.0 seconds ~ 13.0 seconds>\nWhat is <b>this</b>?") == ((12.0,), "What is <b>this</b>?")
    assert found("[User Query (IMPORTANT — follow this instruction)]\nCount.") == ((), "Count.")
    assert found("<1.0 seconds>", {"x-frame-time-range": "2.5-3.5"}) == ((2.5,), "")
    assert found("<1.0 seconds>", {"x-frame-time-range": "2.5"}, frame_time_ranges=[{"start": 4, "end": 5}])[0] == (
        4.0,
    )
    assert found("<1.0 seconds>", frame_time_ranges=["7.0 seconds ~ 8.0 seconds"])[0] == (7.0,)
