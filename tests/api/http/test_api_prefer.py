"""Ask and answer in one request: `Prefer: wait=20` on a query; and one query, one watch by id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from joyvl_server.api.http import prefer
from joyvl_server.api.http.prefer import wait_of
from joyvl_server.core.effects import QueryClosed
from joyvl_server.engines.base import Capabilities


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        opened.engines.quiet.capabilities = Capabilities(follows_instructions=True, scores=True)
        yield opened


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=20"], 20),
        (["Wait = 20"], 20),
        (['wait="20"'], 20),
        (["wait=20; because=x"], 20),
        (["respond-async, wait=7"], 7),
        (["respond-async", "wait=7"], 7),
        (['note="a, wait=5", wait=7'], 7),
        (["wait=5, wait=7"], 5),
        (["wait=0"], 0),
        (["wait=100000"], prefer.LONGEST_S),
        (["wait=9999999999"], None),
        (["wait"], None),
        (["wait=soon"], None),
        (["wait=-1"], None),
        (["wait=٣"], None),
        (['wait="'], None),
        (["handling=lenient"], None),
        ([",,,;=" * 400], None),
    ],
)
def test_what_a_client_prefers(headers: list[str], seconds: int | None):
    raw = [(b"prefer", value.encode()) for value in headers]
    assert wait_of(Request({"type": "http", "headers": raw})) == seconds


async def asking(h: House, **headers: str) -> tuple[Any, str]:
    """(the request under way, the session's queries)"""
    camera = await h.camera()
    path = f"/v1/sessions/{camera['session_id']}/queries"
    sent = asyncio.create_task(h.client.post(path, json={"text": "How many?"}, headers=headers))
    if headers.get("Prefer"):
        await until(lambda: h.api.waiting == 1)
    return sent, path


def close(h: House, path: str, answer: str = "Two.") -> None:
    session = h.registry.session(path.split("/")[3])
    view = session.queries.all()[-1]
    session.bus.publish(QueryClosed(view.id, "answered", answer=answer))


async def test_the_answer_comes_with_the_query(h: House):
    sent, path = await asking(h, Prefer="wait=20")
    close(h, path)
    answer = await sent
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (201, "wait=20")
    assert (answer.json()["status"], answer.json()["answer"]) == ("answered", "Two.")
    by_id = await h.client.get(answer.headers["Location"])
    assert by_id.json() == answer.json()
    assert h.api.waiting == 0


async def test_without_it_nobody_waits(h: House):
    sent, _ = await asking(h)
    answer = await sent
    assert answer.json()["status"] == "open"
    assert "Preference-Applied" not in answer.headers


async def test_after_the_wait_it_is_answered_as_it_is(h: House):
    sent, _ = await asking(h, Prefer="wait=20")
    await h.clock.advance(19)
    assert not sent.done()
    await h.clock.advance(2)
    answer = await sent
    assert (answer.status_code, answer.json()["status"]) == (201, "open")
    assert answer.headers["Preference-Applied"] == "wait=20"


async def test_it_ends_when_the_server_stops(h: House):
    sent, _ = await asking(h, Prefer="wait=20")
    h.api.stopping.set()
    assert (await sent).json()["status"] == "open"


async def test_who_hangs_up_is_waited_for_no_more(h: House):
    camera = await h.camera()
    body = b'{"text": "How many?"}'
    headers = {"content-type": "application/json", "content-length": str(len(body)), "prefer": "wait=20"}
    wire = Wire(h.app, f"/v1/sessions/{camera['session_id']}/queries", method="POST", headers=headers)
    wire.say({"type": "http.request", "body": body, "more_body": False})
    opening = asyncio.create_task(wire.open())
    await until(lambda: h.api.waiting == 1)
    wire.leave()
    async with asyncio.timeout(PATIENCE_S):
        await opening
        await wire.done()
    assert h.api.waiting == 0
    assert h.registry.session(camera["session_id"]).queries.all()[0].status == "open"


async def test_waits_are_bounded(h: House):
    h.api.waiting = prefer.MAX_WAITING
    camera = await h.camera()
    path = f"/v1/sessions/{camera['session_id']}/queries"
    answer = await h.client.post(path, json={"text": "How many?"}, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.json()["status"]) == (201, "open")
    assert "Preference-Applied" not in answer.headers


async def test_a_repeated_request_waits_for_the_same_query(h: House):
    sent, path = await asking(h, **{"Prefer": "wait=20", "Idempotency-Key": "k"})
    headers = {"Prefer": "wait=20", "Idempotency-Key": "k"}
    again = asyncio.create_task(h.client.post(path, json={"text": "How many?"}, headers=headers))
    await until(lambda: h.api.waiting == 2)
    close(h, path)
    first, second = await sent, await again
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(h.registry.session(path.split("/")[3]).queries.all()) == 1
    third = await h.client.post(path, json={"text": "How many?"}, headers=headers)
    assert (third.json()["answer"], third.headers["Idempotency-Replayed"]) == ("Two.", "true")


async def test_one_query_and_one_watch_by_id(h: House):
    camera = await h.camera(watches=[{"text": "Tell me when someone comes in"}])
    session = f"/v1/sessions/{camera['session_id']}"
    watch = camera["watches"][0]
    assert (await h.client.get(f"{session}/watches/{watch['id']}")).json() == watch
    for path in (f"{session}/watches/wch_0", f"{session}/queries/qry_0", "/v1/sessions/ses_0/queries/qry_0"):
        answer = await h.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
