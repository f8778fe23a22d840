"""Sentences that became watches, or ended one, over the real app: shown, told, undone."""

from __future__ import annotations

import asyncio

import pytest

from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S
from fakes.server.house import House, house
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.watches import Watches

STANDING, CANCEL = 1, 2
"""Places of the answers in the question what a sentence is."""


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def test_a_watch_made_of_a_sentence_says_so_and_is_undone_by_deleting_it(tmp_path):
    async with house(tmp_path) as h:
        h.engines.quiet.capabilities = Capabilities(follows_instructions=True)
        camera = await h.camera()
        path = f"/v1/sessions/{camera['session_id']}"
        query = (await h.client.post(f"{path}/queries", json={"text": "Tell me when the cat comes"})).json()
        assert (query["status"], query["watch_id"]) == ("open", None)
        await h.session(camera).watches.add(WatchDraft("Tell me when the cat comes", query_id=query["id"]))
        (watch,) = (await h.client.get(f"{path}/watches")).json()["data"]
        assert (watch["text"], watch["query_id"]) == ("Tell me when the cat comes", query["id"])
    async with house(tmp_path) as h:
        (again,) = (await h.client.get(f"{path}/watches")).json()["data"]
        assert (again["id"], again["query_id"]) == (watch["id"], query["id"])
        assert (await h.client.delete(f"{path}/watches/{watch['id']}")).status_code == 204
        assert (await h.client.get(f"{path}/watches")).json()["data"] == []


@pytest.fixture
async def choosing(h: House) -> House:
    """The house with an engine that finds out what a sentence is."""
    h.engines.quiet.capabilities = Capabilities(follows_instructions=True, scores=True, chooses=True)
    return h


async def say(h: House, camera: dict, text: str) -> dict:
    """Say it, let some seconds pass, and return the sentence as it is then."""
    path = f"/v1/sessions/{camera['session_id']}/queries"
    query = (await h.client.post(path, json={"text": text})).json()
    now = h.media.sources[camera["id"]].now
    for second in range(3):
        h.media.sources[camera["id"]].show(picture(now + second))
        await h.clock.advance(1.0)
    for _ in range(500):  # the watch is on the disk a moment after the decision
        query = next(q for q in (await h.client.get(path)).json()["data"] if q["id"] == query["id"])
        if query["watch_id"] is not None:
            break
        await asyncio.sleep(0.01)
    return query


async def test_a_sentence_becomes_a_watch_and_another_one_ends_it(choosing: House):
    h = choosing
    camera = await h.camera()
    h.media.sources[camera["id"]].show(picture(0.0))
    await h.clock.advance(1.0)
    h.engines.quiet.choices = [STANDING]
    first = await say(h, camera, "Tell me when the cat comes")
    (watch,) = (await h.session_of(camera["session_id"]))["watches"]
    assert (watch["text"], watch["query_id"], watch["paused"]) == ("Tell me when the cat comes", first["id"], False)
    assert (first["status"], first["watch_id"]) == ("standing", watch["id"])
    h.engines.quiet.choices = [CANCEL]
    second = await say(h, camera, "You need not look for the cat any more")
    (watch,) = (await h.session_of(camera["session_id"]))["watches"]
    assert watch["paused"] is True
    assert (second["status"], second["watch_id"]) == ("cancel", watch["id"])
    assert (await h.session_of(camera["session_id"]))["queries"] == []


async def test_a_watch_paused_by_a_sentence_is_taken_up_again(h: House):
    camera = await h.camera(watches=[{"text": "a parcel"}])
    (watch,) = camera["watches"]
    assert watch["query_id"] is None
    stream = Wire(h.app, f"/v1/sessions/{camera['session_id']}/updates")
    await stream.open()
    assert (await stream.update())["type"] == "session.created"
    await h.session(camera).watches.change(watch["id"], {"paused": True}, query_id="qry_1")
    told = await stream.update()
    assert (told["type"], told["query_id"], told["watch"]["paused"]) == ("watch.updated", "qry_1", True)
    path = f"/v1/sessions/{camera['session_id']}/watches/{watch['id']}"
    assert (await h.client.patch(path, json={"paused": False})).json() == watch
    told = await stream.update()
    assert (told["watch"], "query_id" in told) == (watch, False)
    stream.leave()
    await stream.done()


async def test_a_watch_that_finds_no_place_while_the_disk_hangs_is_told(choosing: House, monkeypatch):
    h = choosing
    camera = await h.camera()
    source = h.media.sources[camera["id"]]
    source.show(picture(0.0))
    await h.clock.advance(1.0)
    wire = Wire(h.app, f"/v1/sessions/{camera['session_id']}/updates")
    await wire.open()
    await wire.update()
    works, add = asyncio.Event(), Watches.add

    async def hanging(self, watch) -> None:
        await works.wait()
        await add(self, watch)

    monkeypatch.setattr(Watches, "add", hanging)
    path, most = f"/v1/sessions/{camera['session_id']}/queries", 66
    for number in range(most):
        h.engines.quiet.choices = [STANDING]
        answer = await h.client.post(path, json={"text": f"Tell me when number {number} comes"})
        assert answer.status_code == 201, answer.text
        source.show(picture(source.now))
        await h.clock.advance(1.0)
    told = None
    while told is None:
        update = await asyncio.wait_for(wire.update(), PATIENCE_S)
        told = update if update["type"] == "error" else None
    assert told["error"]["code"] == "watch_not_kept"
    assert "requests" in told["error"]["message"]
    works.set()
    for _ in range(500):
        kept = (await h.session_of(camera["session_id"]))["watches"]
        if len(kept) == 64:
            break
        await asyncio.sleep(0.01)
    assert [watch["text"] for watch in kept] == [f"Tell me when number {n} comes" for n in range(64)]
    wire.leave()
    await wire.done()
