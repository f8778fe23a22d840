"""The timeline over REST: search, one event, its picture and clip, what is kept, what is deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.server.house import House, house
from joyvl_server.api.schemas.timeline import EventOut
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.store.events import EventRecord

WALL = 1_800_000_000.0


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def post(h: House, text: str = "A courier puts a parcel down.", picture: bytes = b"", **changes: Any) -> str:
    values: dict[str, Any] = {
        "id": new_id("evt"),
        "session_id": "ses_1",
        "camera_id": "cam_1",
        "type": "spoke",
        "t": 1.0,
        "wall": WALL,
        "data": {"score": 0.75, "threshold": 0.5, "kind": "enter"},
    }
    event = EventRecord(**{**values, "text": text, **changes})
    h.registry.timeline.post(event, picture)
    await written(h)
    return event.id


async def written(h: House) -> None:
    await h.registry.timeline.files.removed()
    await h.registry.store.main.write(lambda connection: None)


async def found(h: House, **params: Any) -> list[str]:
    answer = await h.client.get("/v1/events", params=params)
    assert answer.status_code == 200, answer.text
    return [event["text"] for event in answer.json()["data"]]


async def test_an_event_shows_all_there_is(h: House):
    await post(h, "Where is the parcel?", type="heard", wall=WALL - 4.5)
    await post(h, "too late", type="heard", wall=WALL + 10.5)
    await post(h, "somewhere else", type="heard", wall=WALL, session_id="ses_2")
    watched = {"watches": ["wch_1", "wch_2"], "watch_names": ["parcels", ""]}
    id = await post(
        h, type="watch_fired", data={"score": 0.9, "threshold": 0.5, "kind": "enter", **watched}, picture=b"\xff\xd8"
    )
    await h.registry.events.set_clip(id, "ready", bytes=3, before_s=5.0)
    event = (await h.client.get(f"/v1/events/{id}")).json()
    assert set(event) == set(EventOut.model_fields)
    path = f"/v1/events/{id}"
    assert event["watches"] == [{"id": "wch_1", "name": "parcels"}, {"id": "wch_2", "name": ""}]
    assert (event["score"], event["threshold"], event["kind"], event["kept"]) == (0.9, 0.5, "enter", False)
    assert event["transcript"] == ["Where is the parcel?"]
    assert event["picture_url"] == f"{path}/thumbnail.jpg"
    assert event["clip"] == {"state": "ready", "reason": "", "url": f"{path}/clip.mp4", "seconds_before": 5.0}
    assert event in (await h.client.get("/v1/events")).json()["data"]
    other = (await h.client.get(f"/v1/events/{await post(h, type='task')}")).json()
    assert (other["picture_url"], other["transcript"]) == (None, [])
    assert other["clip"] == {"state": "none", "reason": "", "url": None, "seconds_before": None}


async def test_events_are_found_by_words_in_both_languages(h: House):
    english, chinese = await post(h), await post(h, "快递员把包裹放在门口。", type="watch_fired", camera_id="cam_2")
    assert await found(h, query="parcel") == ["A courier puts a parcel down."]
    assert await found(h, query="PARCELS courier") == ["A courier puts a parcel down."]
    for piece in ("包", "包裹", "放在门口", "快递员 门"):
        assert await found(h, query=piece) == ["快递员把包裹放在门口。"]
    assert await found(h, query="裹包") == await found(h, query="parcel", camera_id="cam_2") == []
    assert await found(h, query="包", camera_id="cam_2", type=["spoke", "watch_fired"]) == ["快递员把包裹放在门口。"]
    assert await found(h, query="包", since="2027-01-15T08:00:01Z") == []
    assert len(await found(h, query="包", since="2027-01-15T08:00:00Z", until="2027-01-15T08:00:01Z")) == 1
    assert english != chinese


@pytest.mark.parametrize(
    "query",
    [
        '"', "AND", "a OR b", "NOT", "NEAR(a b)", "words:x", "marks : kept", "*", "^a", "(", "a)", "-a", "a + b",
        "'; DROP TABLE events; --", "\\", "{a b} : c", "%", "包*", "a\x00b", "\u202eabc", "𠮷", "🐕", "ﬁ", "a" * 500,
        "包" * 500, " ".join("ab" for _ in range(166)),
    ],
)  # fmt: skip
async def test_operators_and_odd_text_are_words_or_a_clear_error(h: House, query: str):
    await post(h, "plain words")
    answer = await h.client.get("/v1/events", params={"query": query})
    if answer.status_code == 422:
        assert answer.json()["code"] in ("no_words", "invalid")
    else:
        assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert (await h.client.delete("/v1/events", params={"query": query})).status_code == answer.status_code
    assert await found(h) == ["plain words"]


@pytest.mark.parametrize("query", ["a" * 10_000, "包" * 5000, '"' * 10_000, "a " * 5000])
async def test_a_search_that_is_far_too_long_is_refused(h: House, query: str):
    answer = await h.client.get("/v1/events", params={"query": query})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query"


async def test_pages_of_a_search_go_on_where_the_last_ended_though_it_is_deleted(h: House):
    ids = [await post(h, f"parcel {n}") for n in range(7)]
    body = (await h.client.get("/v1/events", params={"query": "parcel", "limit": 3})).json()
    assert [event["text"] for event in body["data"]] == ["parcel 6", "parcel 5", "parcel 4"]
    assert (await h.client.delete(f"/v1/events/{ids[4]}")).status_code == 204
    await post(h, "parcel new")
    rest = (await h.client.get("/v1/events", params={"query": "parcel", "limit": 9, "after": body["next"]})).json()
    assert [event["text"] for event in rest["data"]] == ["parcel 3", "parcel 2", "parcel 1", "parcel 0"]
    assert rest["next"] is None


async def test_filters_join(h: House):
    await post(h, "one", data={"watches": ["wch_1"]}, type="watch_fired")
    kept = await post(h, "two", data={"watches": ["wch_1", "wch_2"]}, type="watch_fired", session_id="ses_2")
    await post(h, "three", camera_id=None)
    await h.client.patch(f"/v1/events/{kept}", json={"kept": True})
    assert await found(h, watch_id="wch_1") == ["two", "one"]
    assert await found(h, watch_id="wch_2", session_id="ses_2", kept="true") == ["two"]
    assert await found(h, kept="true", query="two") == ["two"]
    assert await found(h, kept="false") == ["three", "one"]
    assert await found(h, type=["watch_fired", "spoke"], limit=2) == ["three", "two"]


async def test_an_event_is_kept_and_let_go(h: House):
    id = await post(h)
    for kept in (True, False):
        answer = await h.client.patch(f"/v1/events/{id}", json={"kept": kept})
        assert (answer.status_code, answer.json()["kept"]) == (200, kept)
    for wrong in ({}, {"kept": "yes"}, {"kept": True, "text": "changed"}, {"kept": None}):
        assert (await h.client.patch(f"/v1/events/{id}", json=wrong)).status_code == 422
    for method in ("GET", "PATCH", "DELETE"):
        content = {"json": {"kept": True}} if method == "PATCH" else {}
        answer = await h.client.request(method, "/v1/events/evt_00000000000000000000000000", **content)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_picture_is_shown_and_goes_with_its_event(h: House):
    id = await post(h, picture=b"\xff\xd8jpeg")
    path = f"/v1/events/{id}/thumbnail.jpg"
    shown = await h.client.get(path)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, b"\xff\xd8jpeg", "image/jpeg")
    assert shown.headers["cache-control"] == "private, no-cache"
    again = await h.client.get(path, headers={"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    file = next(h.registry.timeline.files.folders.root.glob(f"*/{id}.jpg"))
    assert (await h.client.delete(f"/v1/events/{id}")).status_code == 204
    assert not file.exists()
    assert (await h.client.get(path)).json()["code"] == "not_found"
    bare = await h.client.get(f"/v1/events/{await post(h)}/thumbnail.jpg")
    assert (bare.status_code, bare.json()["code"]) == (404, "no_picture")


async def test_a_clip_is_sent_whole_or_in_parts(h: House):
    id = await post(h, picture=b"jpeg")
    path = f"/v1/events/{id}/clip.mp4"
    assert (await h.client.get(path)).json()["detail"] == "There is no clip of this event."
    await h.registry.events.set_clip(id, "recording")
    early = await h.client.get(path)
    assert (early.status_code, early.headers["retry-after"]) == (404, "5")
    assert "still being recorded" in early.json()["detail"]
    phone = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await h.client.get(path, headers=phone)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.headers["retry-after"] == "5"
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "still being recorded" in page.text
    await h.registry.events.set_clip(id, "failed", "The stream <had> no keyframe.")
    page = await h.client.get(path, headers=phone)
    assert "The stream &lt;had&gt; no keyframe." in page.text
    assert "refresh" not in page.text
    assert "retry-after" not in page.headers
    await h.registry.events.set_clip(id, "failed", "The stream had no keyframe.")
    refused = await h.client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (404, "no_clip")
    assert refused.json()["detail"] == "The stream had no keyframe."
    clip = h.registry.timeline.files.clip(await h.registry.events.get(id))
    clip.write_bytes(bytes(range(100)))
    await h.registry.events.set_clip(id, "ready", bytes=100)
    whole = await h.client.get(path)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, bytes(range(100)), "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    assert (await h.client.get(path, headers=phone)).content == whole.content
    part = await h.client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/100"
    assert (await h.client.get(path, headers={"Range": "bytes=200-"})).status_code == 416
    clip.unlink()
    assert (await h.client.get(path)).json()["code"] == "no_clip"


async def test_a_span_is_deleted_with_what_is_kept_of_it_and_nothing_else(h: House):
    ids = [await post(h, f"number {n}", wall=WALL + n, picture=b"jpeg") for n in range(6)]
    await h.client.patch(f"/v1/events/{ids[3]}", json={"kept": True})
    span = {"since": "2027-01-15T08:00:01Z", "until": "2027-01-15T08:00:05Z"}
    answer = await h.client.delete("/v1/events", params={**span, "kept": "false"})
    assert (answer.status_code, answer.json()) == (200, {"deleted": 3})
    assert await found(h) == ["number 5", "number 3", "number 0"]
    assert (await h.client.delete("/v1/events", params=span)).json() == {"deleted": 1}
    root = h.registry.timeline.files.folders.root
    assert {path.stem for path in root.glob("*/*.jpg")} == {ids[0], ids[5]}
    assert await found(h, query="number") == ["number 5", "number 0"]


@pytest.mark.parametrize("query", ["", "limit=5", "after=evt_00000000000000000000000000", "since=today", "typ=spoke"])
async def test_all_events_are_not_deleted_by_a_slip(h: House, query: str):
    await post(h)
    answer = await h.client.delete(f"/v1/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] in ("no_filter", "invalid")
    assert len(await found(h)) == 1


async def test_a_span_is_deleted_while_events_are_written(h: House):
    stop = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            await post(h, f"new {count}", picture=b"jpeg")
            count += 1
        return count

    for n in range(450):
        h.registry.timeline.post(EventRecord(new_id("evt"), "ses_1", "cam_1", "spoke", 0.0, WALL, f"old {n}", {}))
    await written(h)
    writing = asyncio.create_task(write())
    assert (await h.client.delete("/v1/events", params={"camera_id": "cam_1"})).json()["deleted"] >= 450
    stop.set()
    await writing
    assert await found(h, query="old") == []
    left = {event.id for event in await h.registry.events.list(limit=1000)}
    assert {path.stem for path in h.registry.timeline.files.folders.root.glob("*/*.jpg")} == left


async def test_events_are_found_by_meaning_the_nearest_first(h: House):
    near, far = await post(h, "A parcel lies at the door."), await post(h, "The cat sleeps.", camera_id="cam_2")
    for id, text, camera in ((near, "A parcel lies at the door.", "cam_1"), (far, "The cat sleeps.", "cam_2")):
        await h.registry.memory.add(
            MemoryDraft(camera, "said", text, WALL, camera_id=camera, session_id="ses_1", event_id=id)
        )
    await h.registry.memory.add(MemoryDraft("cam_1", "fact", "parcels belong to me", WALL))

    async def meant(**params: Any) -> list[str]:
        return await found(h, query="is there a parcel", by="meaning", **params)

    assert (await meant())[0] == "A parcel lies at the door."
    assert await meant(camera_id="cam_1", since="2027-01-15T08:00:00Z") == ["A parcel lies at the door."]
    assert await meant(type="watch_fired") == []
    assert await meant(until="2027-01-15T08:00:00Z") == []
    answer = await h.client.get("/v1/events", params={"query": "x", "by": "meaning", "after": near})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_pages")


async def test_where_pictures_cannot_be_written_events_go_on_and_it_is_told(tmp_path):
    (tmp_path / "timeline").write_text("in the way")
    async with house(tmp_path) as h:
        assert (await h.client.get("/readyz")).json()["parts"]["timeline"] == {"ready": True, "reason": None}
        id = await post(h, picture=b"jpeg")
        event = (await h.client.get(f"/v1/events/{id}")).json()
        assert (event["text"], event["picture_url"]) == ("A courier puts a parcel down.", None)
        answer = await h.client.get("/readyz")
        assert (answer.status_code, answer.json()["parts"]["timeline"]["ready"]) == (200, False)
        assert "cannot be written" in answer.json()["parts"]["timeline"]["reason"]
        metrics = (await h.client.get("/metrics")).text
        assert "joyvl_timeline_fault 1.0" in metrics
        assert "joyvl_timeline_dropped_total 1.0" in metrics
        (tmp_path / "timeline").unlink()
        again = await post(h, picture=b"jpeg")
        assert (await h.client.get(f"/v1/events/{again}/thumbnail.jpg")).content == b"jpeg"
        assert (await h.client.get("/readyz")).json()["parts"]["timeline"]["ready"]
        metrics = (await h.client.get("/metrics")).text
        assert "joyvl_timeline_bytes 4.0" in metrics
        assert "joyvl_timeline_fault 0.0" in metrics


async def test_events_are_found_by_kind(h: House):
    for kind in ("enter", "leave", "changed", "camera_moving"):
        await post(h, kind, data={"kind": kind})
    await post(h, "none", data={})
    assert await found(h, kind="enter") == ["enter"]
    assert await found(h, kind=["leave", "enter"], type="spoke", camera_id="cam_1") == ["leave", "enter"]
    assert await found(h, kind="changed", query="camera_moving") == ["camera_moving"]
    assert await found(h, kind="changed") == ["camera_moving", "changed"], "what engines call otherwise"
    assert (await h.client.get("/v1/events", params={"kind": "nonsense"})).status_code == 422
    assert (await h.client.delete("/v1/events", params={"kind": "enter"})).json() == {"deleted": 1}


@pytest.mark.parametrize("filters", [{"since": "2001-01-01T00:00:00Z"}, {"query": "number"}, {}])
async def test_a_page_goes_on_though_its_last_event_is_deleted_and_clocks_jumped(h: House, filters: dict[str, str]):
    walls = [100.0, 900.0, 200.0, 50.0, 60.0, 70.0]
    ids = [await post(h, f"number {n}", wall=WALL + wall) for n, wall in enumerate(walls)]
    first = (await h.client.get("/v1/events", params={**filters, "limit": 2})).json()
    await h.client.delete(f"/v1/events/{first['data'][-1]['id']}")
    rest = (await h.client.get("/v1/events", params={**filters, "limit": 10, "after": first["next"]})).json()
    assert [e["id"] for e in rest["data"]] == [e for e in _ordered(ids, walls, filters) if e not in _ids(first)]


def _ids(page: dict[str, Any]) -> list[str]:
    return [event["id"] for event in page["data"]]


def _ordered(ids: list[str], walls: list[float], filters: dict[str, str]) -> list[str]:
    if "since" in filters:
        return [id for _, id in sorted(zip(walls, ids, strict=True), reverse=True)]
    return ids[::-1]


@pytest.mark.parametrize("after", ["~", "evt_x", "evt_" + "0" * 26 + "~1~nan", "evt_" + "0" * 26 + "~1~0x1.0p+99999"])
async def test_a_cursor_that_is_none_is_refused(h: House, after: str):
    assert (await h.client.get("/v1/events", params={"after": after})).status_code == 422


async def test_events_keep_the_name_of_a_camera_that_is_deleted(h: House):
    camera = await h.camera("Old shed")
    id = await post(h, session_id=camera["session_id"], camera_id=camera["id"])
    assert (await h.client.delete(f"/v1/cameras/{camera['id']}")).status_code == 204
    assert (await h.client.get(f"/v1/events/{id}")).json()["camera"] == "Old shed"
    assert (await h.client.get(f"/v1/events/{await post(h, session_id='ses_none')}")).json()["camera"] is None
