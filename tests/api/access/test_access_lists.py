"""Lists that a key for certain cameras asks for hold what is of these, streams too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fakes.media.wire import Wire
from fakes.patience import until
from fakes.server.house import KEY, House, house
from joyvl_server.kit.ids import new_id
from joyvl_server.store.digests import DigestRecord
from joyvl_server.store.events import EventRecord
from joyvl_server.store.tasks import TaskRecord, Tasks

HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY], "requests_per_s": 0}) as opened:
        opened.client.headers.update(HEADERS)
        yield opened


async def filled(h: House, *names: str) -> dict[str, dict[str, Any]]:
    """Cameras, each with an alert, an event, a memory, a digest and a task of its own; one of each is of no camera."""
    cameras = {name: await h.camera(name) for name in names}
    for name, camera in cameras.items():
        fire(h, camera["id"], name)
        await h.client.post("/v1/memories", json={"text": f"the box of {name}", "camera_id": camera["id"]})
        digest = DigestRecord(camera["id"], "2026-11-20", name, done=True, written_wall=h.clock.wall())
        await h.registry.past.digests.records.digests.put(digest)
    await h.client.post("/v1/memories", json={"text": "the box of all"})
    fire(h, None, "nobody")

    for number, (name, place) in enumerate([*cameras.items(), ("nobody", {"id": None})]):
        task = TaskRecord(
            f"tsk_{number}", "ses_x", place["id"], "a", "completed", "user", name, "", name, None, 0, 60.0, None, 1.0
        )  # fmt: skip
        await Tasks(h.registry.store.main).add(task, same_since=0.0)
    return cameras


def fire(h: House, camera_id: str | None, name: str) -> None:
    event = EventRecord(
        new_id("evt"), "ses_1", camera_id, "watch_fired", 1.0, h.clock.wall(), f"a box at {name}", {"kind": "enter"}
    )
    h.registry.timeline.post(event)


async def key_of(h: House, *cameras: dict[str, Any]) -> dict[str, str]:
    body = {"name": f"of {len(cameras)}", "role": "viewer", "cameras": [camera["id"] for camera in cameras]}
    return {"Authorization": f"Bearer {(await h.client.post('/v1/keys', json=body)).json()['key']}"}


LISTS = (
    "/v1/events", "/v1/events?type=watch_fired", "/v1/events?kind=enter", "/v1/events?query=box",
    "/v1/events?query=box&by=meaning", "/v1/events?since=2020-01-01T00:00:00Z", "/v1/alerts", "/v1/alerts?state=open",
    "/v1/memories", "/v1/memories?query=box", "/v1/memories?query=box&by=meaning", "/v1/memories?kind=fact",
    "/v1/digests", "/v1/digests?day=2026-11-20", "/v1/tasks", "/v1/tasks?agent=a",
)  # fmt: skip


@pytest.mark.parametrize("several", [False, True])
async def test_a_list_holds_what_is_of_its_cameras(h: House, several: bool):
    cameras = await filled(h, "one", "two", "three")
    mine = [cameras["one"], cameras["two"]][: 1 + several]
    headers = await key_of(h, *mine)
    ids = {camera["id"] for camera in mine}
    for path in LISTS:
        unbound = (await h.client.get(path)).json()
        assert "data" in unbound, (path, unbound)
        everything = {one["camera_id"] for one in unbound["data"]}
        answer = await h.client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        found = {one["camera_id"] for one in answer.json()["data"]}
        assert found == (set() if "by=meaning" in path and not everything else ids), path
        assert "by=meaning" in path or everything > ids, path
        mark = "&" if "?" in path else "?"
        own = await h.client.get(f"{path}{mark}camera_id={mine[0]['id']}", headers=headers)
        assert {one["camera_id"] for one in own.json()["data"]} <= {mine[0]["id"]}, path
        foreign = await h.client.get(f"{path}{mark}camera_id={cameras['three']['id']}", headers=headers)
        assert foreign.json()["code"] == "other_camera"
    exported = (await h.client.get("/v1/memories/export", headers=headers)).text
    assert ("box of two" in exported) is several
    assert "box of one" in exported
    assert "box of three" not in exported
    assert "box of all" not in exported


async def test_a_day_of_a_camera_that_is_gone_is_not_made_up_for_its_key(h: House):
    gone, dropped, there = [await h.camera(name) for name in ("gone", "dropped", "there")]
    await h.registry.past.digests.of(dropped["id"], h.registry.past.digests.today)
    headers = await key_of(h, gone, dropped, there)
    own = await key_of(h, gone)
    for camera in (gone, dropped):
        assert (await h.client.delete(f"/v1/cameras/{camera['id']}")).status_code == 204
    today = h.registry.past.digests.today
    before = await rows(h)
    for day, wanted in (
        ("0002-02-04", {dropped["id"], there["id"]}),
        (str(today - timedelta(days=8)), {dropped["id"], there["id"]}),
        (str(today), {dropped["id"], there["id"]}),
    ):
        answer = await h.client.get(f"/v1/digests?day={day}", headers=headers)
        assert {one["camera_id"] for one in answer.json()["data"]} == wanted
        assert (await h.client.get(f"/v1/digests?day={day}", headers=own)).json()["data"] == []
    assert await rows(h) == before | {(there["id"], str(today))}, "old days fill no table, nor do cameras that are gone"
    limited = await h.client.get(f"/v1/digests?day={today}&limit=1", headers=headers)
    assert len(limited.json()["data"]) == 1


async def rows(h: House) -> set[tuple[str, str]]:
    return {(one.camera_id, one.day) for one in await h.registry.past.digests.records.digests.list()}


async def test_nor_does_a_collection_or_a_session_lead_elsewhere(h: House):
    cameras = await filled(h, "one", "two")
    headers = await key_of(h, cameras["one"])
    other = cameras["two"]
    for path in (
        f"/v1/memories?collection={other['id']}", "/v1/memories?collection=shared",
        f"/v1/memories?collection={other['id']}&query=box&by=meaning",
        f"/v1/events?session_id={other['session_id']}", f"/v1/tasks?session_id={other['session_id']}",
    ):  # fmt: skip
        answer = await h.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["data"]) == (200, []), path


@pytest.mark.parametrize("path", ["/v1/events", "/v1/alerts"])
async def test_so_does_a_stream(h: House, path: str):
    one, two = await h.camera("one"), await h.camera("two")
    headers = await key_of(h, one, await h.camera("third"))
    wire = Wire(h.app, path, headers={**headers, "Accept": "text/event-stream"})
    assert (await wire.open())["status"] == 200
    fire(h, two["id"], "two")
    fire(h, one["id"], "one")
    told = ""

    async def read() -> None:
        nonlocal told
        while "a box at one" not in told:
            told += str(await wire.next())

    await read()
    assert "a box at two" not in told
    wire.leave()
    await wire.done()
    await until(lambda: not h.api.streams)
