"""Every tick over the real app, registry and store: while the session runs, after it has ended, after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.server.house import House, house
from joyvl_server.api.schemas.ticks import TickOut, TicksOut, TimingsOut
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.payloads import rfc3339
from joyvl_server.sessions.sinks import base
from joyvl_server.store.ticks import ticks


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def seen_for(h: House, seconds: int, camera: dict | None = None) -> dict:
    """A camera that shows one picture a second; the scores rise from 0 by a hundredth each."""
    camera = camera or await h.camera(threshold=1.0)
    for second in range(seconds):
        h.engines.quiet.value = second / 100
        h.media.sources[camera["id"]].show(picture(float(second)))
        await h.clock.advance(1.0)
    return camera


def ticks_of(camera: dict) -> str:
    return f"/v1/sessions/{camera['session_id']}/ticks"


def decided(ticks: list[dict]) -> list[dict]:
    """Without the second after the first picture, which was looked at at once: it has no picture of its own."""
    return [tick for tick in ticks if tick["skipped"] is None]


async def all_pages(h: House, path: str, **params: object) -> list[dict]:
    seen: list[dict] = []
    after = None
    while True:
        answer = await h.client.get(path, params={**params, **({"after": after} if after else {})})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == set(TicksOut.model_fields)
        seen += body["data"]
        after = body["next"]
        if after is None:
            return seen
        assert body["data"][-1]["id"] == after


async def test_ticks_come_newest_first_with_their_scores(h: House):
    camera = await seen_for(h, 5)
    everything = await all_pages(h, ticks_of(camera))
    ticks = decided(everything)
    assert [t["score"] for t in ticks] == [0.04, 0.03, 0.02, 0.01, 0.0]
    assert [t["t"] for t in ticks] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert set(ticks[0]) == set(TickOut.model_fields)
    assert set(ticks[0]["timings"]) == set(TimingsOut.model_fields)
    assert [t["id"] for t in everything] == sorted((t["id"] for t in everything), reverse=True)


async def test_they_are_the_ones_of_the_updates(h: House):
    camera = await seen_for(h, 3)
    assert await all_pages(h, ticks_of(camera)) == h.session(camera).ticks()[::-1]


@pytest.mark.parametrize("limit", [1, 3, 900])
@pytest.mark.parametrize("remembered", [4, 900])
async def test_pages_go_on_from_memory_into_the_store(tmp_path, monkeypatch, limit: int, remembered: int):
    monkeypatch.setattr(base, "TICKS_KEPT", remembered)
    async with house(tmp_path) as h:
        camera = await seen_for(h, 12)
        assert 12 <= len(h.session(camera).ticks(1000)) <= 13 or remembered == 4
        await stored(h)
        ticks = await all_pages(h, ticks_of(camera), limit=limit)
        assert [t["score"] for t in decided(ticks)] == [n / 100 for n in reversed(range(12))]


async def stored(h: House) -> None:
    """The writer takes its time with ticks; a write that is awaited takes them along."""
    await h.registry.store.ticks.write(lambda connection: None)


async def test_a_part_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "TICKS_KEPT", 3)
    async with house(tmp_path) as h:
        camera = await seen_for(h, 9)
        await stored(h)
        ticks = await all_pages(h, ticks_of(camera))
        walls = [int(t["id"]) / 1e6 for t in ticks]  # newest first
        middle = rfc3339(walls[4] - 0.3)
        assert await all_pages(h, ticks_of(camera), since=middle) == ticks[:5]
        assert await all_pages(h, ticks_of(camera), until=middle) == ticks[5:]
        assert await all_pages(h, ticks_of(camera), since=middle, until=rfc3339(walls[2] - 0.3), limit=1) == ticks[3:5]
        assert await all_pages(h, ticks_of(camera), since="2100-01-01T00:00:00Z") == []


async def test_a_page_stays_where_it_is_while_ticks_arrive(h: House):
    camera = await seen_for(h, 6)
    first = (await h.client.get(ticks_of(camera), params={"limit": 2})).json()
    await seen_for(h, 3, camera)
    second = (await h.client.get(ticks_of(camera), params={"limit": 2, "after": first["next"]})).json()
    assert [t["score"] for t in first["data"] + second["data"]] == [0.05, 0.04, 0.03, 0.02]


async def test_a_session_that_has_ended_keeps_its_ticks(h: House):
    path, session_id = await h.call()
    source = next(iter(h.media.sources.values()))
    for second in range(3):
        source.show(picture(float(second)))
        await h.clock.advance(1.0)
    live = await all_pages(h, f"/v1/sessions/{session_id}/ticks")
    assert len(decided(live)) == 3
    assert (await h.client.delete(path)).status_code == 204
    assert (await h.client.get(f"/v1/sessions/{session_id}")).status_code == 404
    await stored(h)
    assert await all_pages(h, f"/v1/sessions/{session_id}/ticks") == live
    assert await all_pages(h, f"/v1/sessions/{session_id}/ticks", limit=2) == live


async def test_ticks_outlive_the_server(tmp_path):
    async with house(tmp_path) as h:
        camera = await seen_for(h, 4)
        before = await all_pages(h, ticks_of(camera))
    async with house(tmp_path) as h:
        assert await all_pages(h, ticks_of(camera)) == before


async def test_skipped_seconds_are_kept_too(h: House):
    camera = await seen_for(h, 1)
    for _ in range(2):
        await h.clock.advance(1.0)
    ticks = await all_pages(h, ticks_of(camera))
    assert [t["skipped"] for t in ticks[:2]] == ["no_frame", "no_frame"]
    assert len(decided(ticks)) == 1
    assert ticks[0]["score"] is None


async def test_ids_grow_when_the_clock_is_set_back(h: House, monkeypatch):
    camera = await seen_for(h, 2)
    wall = h.clock.wall
    monkeypatch.setattr(h.clock, "wall", lambda: wall() - 3600)
    await seen_for(h, 2, camera)
    monkeypatch.undo()
    ids = [int(t["id"]) for t in await all_pages(h, ticks_of(camera))]
    assert len(ids) >= 3
    assert ids == sorted(set(ids), reverse=True)


async def test_old_ticks_lose_their_details_and_then_go(tmp_path, monkeypatch):
    monkeypatch.setattr(ticks, "PACK_S", 1.0)
    monkeypatch.setattr(base, "TICKS_KEPT", 1)
    async with house(tmp_path, store={"tick_days": 0.01, "tick_detail_days": 0.002}) as h:
        camera = await seen_for(h, 3)
        await stored(h)
        whole = await all_pages(h, ticks_of(camera))
        assert {t["compact"] for t in whole} == {False}

        async def later(seconds: float) -> list[dict]:
            assert (await h.client.post(f"/v1/cameras/{camera['id']}/disable")).status_code == 200
            await h.clock.advance(seconds)
            assert (await h.client.post(f"/v1/cameras/{camera['id']}/enable")).status_code == 200
            await seen_for(h, 2, camera)
            await stored(h)
            return await all_pages(h, ticks_of(camera))

        thinned = (await later(300.0))[-len(whole) :]
        assert {t["compact"] for t in thinned} == {True}
        for old, new in zip(whole, thinned, strict=True):
            left = ("id", "t", "wall", "decision", "score", "threshold", "look", "skipped", "kind", "epoch")
            assert {key: old[key] for key in left} == {key: new[key] for key in left}
            assert set(new["timings"].values()) == {None}
        assert thinned[0]["threshold"] == 1.0
        gone = await later(1000.0)
        assert not {t["id"] for t in whole} & {t["id"] for t in gone}
        assert len(gone) >= 2


async def test_each_tick_keeps_the_threshold_of_its_time(h: House):
    camera = await seen_for(h, 2)
    path = f"/v1/sessions/{camera['session_id']}"
    assert (await h.client.patch(path, json={"threshold": 0.75})).status_code == 200
    await seen_for(h, 1, camera)
    assert [t["threshold"] for t in decided(await all_pages(h, ticks_of(camera)))] == [0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=901",
        "limit=x",
        "lmit=3",
        "after=x",
        "after=-1",
        "since=yesterday",
        "until=2026-01-01T00:00:00",
    ],
)
async def test_wrong_questions_are_named(h: House, query: str):
    camera = await h.camera()
    answer = await h.client.get(f"{ticks_of(camera)}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_an_unknown_session_has_none(h: House):
    answer = await h.client.get("/v1/sessions/ses_none/ticks")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_disabled_camera_still_has_its_ticks(h: House):
    camera = await seen_for(h, 3)
    before = await all_pages(h, ticks_of(camera))
    assert (await h.client.post(f"/v1/cameras/{camera['id']}/disable")).status_code == 200
    await stored(h)
    assert await all_pages(h, ticks_of(camera)) == before


async def test_a_tick_says_what_the_remark_was_taken_to_be_about(tmp_path: Path):
    """In the update, from memory and from the store; with the threshold of the watch it is about."""
    async with house(tmp_path) as h:
        h.engines.quiet.capabilities = Capabilities(follows_instructions=True, scores=True, chooses=True)
        texts = ("Tell me when the cat comes", "Tell me when the dog comes")
        camera = await h.camera(watches=[{"text": texts[0]}, {"text": texts[1], "threshold": 0.6}])
        cat, dog = camera["watches"]
        path, source = f"/v1/sessions/{camera['session_id']}", h.media.sources[camera["id"]]
        wire = Wire(h.app, f"{path}/updates")
        await wire.open()
        h.engines.quiet.value, h.engines.quiet.choices = 0.9, [1]
        source.show(picture(0.0))
        await h.clock.advance(1.0)
        shares = [
            {"watch_id": dog["id"], "query_id": None, "share": 1.0},
            {"watch_id": cat["id"], "query_id": None, "share": 0.0},
            {"watch_id": None, "query_id": None, "share": 0.0},
        ]
        update = await wire.update()
        while update["type"] != "response.done":
            update = await wire.update()
        assert update["tick"]["attribution"] == shares
        assert (update["tick"]["watches"], update["tick"]["threshold"]) == ([dog["id"]], 0.6)
        h.engines.quiet.value = 0.0
        source.show(picture(1.0))
        await h.clock.advance(1.0)
        ticks = (await h.client.get(f"{path}/ticks")).json()["data"]
        spoken = next(tick for tick in ticks if tick["decision"] == "speak")
        assert (spoken["attribution"], ticks[0]["attribution"]) == (shares, None)
    async with house(tmp_path) as h:
        ticks = (await h.client.get(f"{path}/ticks")).json()["data"]
        stored = next(tick for tick in ticks if tick["id"] == spoken["id"])
        assert (stored["attribution"], stored["threshold"]) == (shares, 0.6)
