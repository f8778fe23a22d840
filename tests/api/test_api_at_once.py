"""What happens at once, and what fails half-way: limits hold, nothing is lost, a change is whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from fakes.media.media import FakeMedia
from fakes.patience import PATIENCE_S, until
from fakes.server.house import URL, House, house
from joyvl_server.core.errors import NotAllowed, StoreError
from joyvl_server.kit.net import policy

OTHER = "rtsp://cam:s3cret@127.0.0.1:554/two"


@pytest.fixture
async def h(tmp_path: Path):
    async with house(tmp_path) as opened:
        yield opened


@pytest.fixture
def slow_media(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every opening takes some turns of the loop, as real ones do."""
    answer, open_ = FakeMedia.answer, FakeMedia.open

    async def slow_answer(self, *args):
        for _ in range(5):
            await asyncio.sleep(0)
        return await answer(self, *args)

    async def slow_open(self, *args):
        for _ in range(5):
            await asyncio.sleep(0)
        return await open_(self, *args)

    monkeypatch.setattr(FakeMedia, "answer", slow_answer)
    monkeypatch.setattr(FakeMedia, "open", slow_open)


async def shown(h: House, camera_id: str) -> dict:
    return (await h.client.get(f"/v1/cameras/{camera_id}")).json()


async def test_the_limit_of_sessions_holds_for_calls_and_cameras_that_come_at_once(tmp_path: Path, slow_media) -> None:
    async with house(tmp_path, sessions={"max_sessions": 2}) as h:
        sdp = {"Content-Type": "application/sdp"}
        calls = [h.client.post("/v1/realtime/calls", content="v=0\r\n", headers=sdp) for _ in range(8)]
        cameras = [h.client.post("/v1/cameras", json={"name": f"c{n}", "url": URL}) for n in range(8)]
        answers = await asyncio.gather(*calls, *cameras)
        assert sorted(a.status_code for a in answers) == [201] * 2 + [409] * 14
        assert {a.json()["code"] for a in answers if a.status_code == 409} == {"too_many"}
        assert len((await h.client.get("/v1/sessions")).json()["data"]) == 2
        assert len([s for s in h.media.sources.values() if not s.closed]) == 2
        for camera in (await h.client.get("/v1/cameras")).json()["data"]:
            await h.client.delete(f"/v1/cameras/{camera['id']}")
        for session in (await h.client.get("/v1/sessions")).json()["data"]:
            await h.client.delete(f"/v1/sessions/{session['id']}")
        assert (await h.client.post("/v1/cameras", json={"name": "again", "url": URL})).status_code == 201


async def test_cameras_enabled_at_once_keep_the_limit(tmp_path: Path, slow_media) -> None:
    async with house(tmp_path, sessions={"max_sessions": 3}) as h:
        ids = [(await h.camera(f"c{n}", enabled=False))["id"] for n in range(3)]
        ids += [(await h.camera(f"d{n}", enabled=False))["id"] for n in range(3)]
        answers = await asyncio.gather(*(h.client.post(f"/v1/cameras/{id}/enable") for id in ids))
        assert sorted(a.status_code for a in answers) == [200] * 3 + [409] * 3
        enabled = [c["enabled"] for c in (await h.client.get("/v1/cameras")).json()["data"]]
        assert (sum(enabled), len(h.registry.sessions())) == (3, 3)


async def test_the_limit_of_watches_holds_and_no_change_of_a_watch_is_lost(h: House) -> None:
    camera = await h.camera(watches=[{"text": f"w{n}"} for n in range(60)])
    path = f"/v1/sessions/{camera['session_id']}/watches"
    answers = await asyncio.gather(*(h.client.post(path, json={"text": "more"}) for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [201] * 4 + [409] * 16
    watch = f"{path}/{camera['watches'][0]['id']}"
    changes = ({"name": "new"}, {"text": "other"}, {"threshold": 0.9}, {"paused": True})
    await asyncio.gather(*(h.client.patch(watch, json=change) for change in changes))
    kept = (await h.client.get(path)).json()["data"]
    assert len(kept) == 64
    assert {key: kept[0][key] for change in changes for key in change} == {k: v for c in changes for k, v in c.items()}


async def test_no_change_of_a_camera_is_lost(h: House) -> None:
    id = (await h.camera())["id"]
    changes = ({"name": "new"}, {"threshold": 0.9}, {"fidelity": "eco"}, {"loop": True}, {"url": OTHER})
    answers = await asyncio.gather(*(h.client.patch(f"/v1/cameras/{id}", json=change) for change in changes))
    assert [a.status_code for a in answers] == [200] * 5
    camera = await shown(h, id)
    assert [camera[key] for key in ("name", "threshold", "fidelity", "loop")] == ["new", 0.9, "eco", True]
    assert camera["url"].endswith("/two")
    assert len(h.registry.sessions()) == 1


async def test_a_camera_removed_while_it_is_changed_is_gone(h: House) -> None:
    id = (await h.camera())["id"]
    path = f"/v1/cameras/{id}"
    changed, removed, again = await asyncio.gather(
        h.client.patch(path, json={"url": OTHER}), h.client.delete(path), h.client.delete(path)
    )
    assert changed.status_code in (200, 404), "a busy machine may remove it first"
    assert sorted((removed.status_code, again.status_code)) == [204, 404]
    assert h.registry.sessions() == []
    assert all(source.closed for source in h.media.sources.values())


# --------------------------------------------------------------------------------------------------- half-way failures


def broken_store(h: House, monkeypatch: pytest.MonkeyPatch, method: str, *works: bool) -> None:
    """The calls of this method that do not work raise; after the last one named all work."""
    store, outcomes = h.registry.cameras._store, list(works)
    real = getattr(store, method)

    async def may_fail(*args):
        if outcomes and not outcomes.pop(0):
            raise StoreError("The disk is full.")
        return await real(*args)

    monkeypatch.setattr(store, method, may_fail)


@pytest.mark.parametrize("step", ["store", "media", "engine", "session"])
async def test_enabling_that_fails_leaves_the_camera_disabled(tmp_path: Path, monkeypatch, step: str) -> None:
    async with house(tmp_path) as h:
        before = await h.camera(enabled=False)
        changes = {"enabled": True}
        if step == "store":
            broken_store(h, monkeypatch, "update", False)
        elif step == "media":
            h.media.refuse[URL] = "The net policy refuses it."
        elif step == "engine":
            changes["engine"] = "nonesuch"
        else:

            async def gone(session_id: str):
                raise StoreError("The session cannot be read.")

            monkeypatch.setattr(h.registry.cameras._sessions, "get", gone)
        answer = await h.client.patch(f"/v1/cameras/{before['id']}", json=changes)
        assert answer.status_code >= 400
        camera = await shown(h, before["id"])
        assert (camera["enabled"], camera["state"], camera["engine"]) == (False, None, None)
        assert h.registry.sessions() == []
        await h.clock.advance(120.0)
        assert h.registry.sessions() == []
    async with house(tmp_path) as h:
        assert (await shown(h, before["id"]))["enabled"] is False


@pytest.mark.parametrize("step", ["store", "media"])
async def test_a_change_of_the_source_that_fails_leaves_the_old_one_watched(tmp_path: Path, monkeypatch, step) -> None:
    async with house(tmp_path) as h:
        before = await h.camera()
        if step == "store":
            broken_store(h, monkeypatch, "update", False)
        else:
            h.media.refuse[OTHER] = "The net policy refuses it."
        answer = await h.client.patch(f"/v1/cameras/{before['id']}", json={"url": OTHER, "name": "new"})
        assert answer.status_code == (500 if step == "store" else 403)
        camera = await shown(h, before["id"])
        assert (camera["name"], camera["url"]) == (before["name"], before["url"])
        assert camera["state"]["status"] == "connecting"
        assert h.media.opened[-1][1].url == URL
        assert not h.media.sources[before["id"]].closed
        assert len(h.registry.sessions()) == 1


async def test_where_even_the_way_back_fails_the_camera_says_so_and_is_tried_again(h: House, monkeypatch) -> None:
    before = await h.camera(enabled=False)
    broken_store(h, monkeypatch, "update", True, False)
    h.media.refuse[URL] = "The net policy refuses it."
    answer = await h.client.post(f"/v1/cameras/{before['id']}/enable")
    assert answer.status_code == 403
    camera = await shown(h, before["id"])
    assert camera["enabled"] is True
    assert camera["state"]["error"] == "The disk is full."
    h.media.refuse.clear()
    await h.clock.advance(1.1)
    await until(lambda: len(h.registry.sessions()) == 1)
    assert (await shown(h, before["id"]))["state"]["status"] == "connecting"


async def test_a_camera_that_cannot_be_deleted_is_watched_on(h: House, monkeypatch) -> None:
    camera = await h.camera()
    broken_store(h, monkeypatch, "delete", False)
    assert (await h.client.delete(f"/v1/cameras/{camera['id']}")).status_code == 500
    assert (await shown(h, camera["id"]))["state"]["status"] == "connecting"
    assert len(h.registry.sessions()) == 1
    assert (await h.client.delete(f"/v1/cameras/{camera['id']}")).status_code == 204


async def test_a_camera_that_cannot_be_opened_at_its_creation_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.media.refuse[URL] = "The net policy refuses it."
        assert (await h.client.post("/v1/cameras", json={"name": "door", "url": URL})).status_code == 403
        assert (await h.client.get("/v1/cameras")).json()["data"] == []
        h.media.refuse.clear()
        await h.camera("door")


# ------------------------------------------------------------------------------------------------------- slow names


async def test_slow_name_servers_hold_up_nobody_else(h: House, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    real = policy.socket.getaddrinfo

    def slow(host, *args, **kwargs):
        if str(host).endswith(".slow"):
            go.wait(PATIENCE_S)
            raise OSError("no answer")
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(policy.socket, "getaddrinfo", slow)
    one, two = await h.camera("one"), await h.camera("two")
    waiting = [
        asyncio.create_task(h.client.patch(f"/v1/cameras/{one['id']}", json={"url": f"rtsp://cam{n}.slow/1"}))
        for n in range(14)
    ]
    try:
        await asyncio.sleep(0.1)
        assert (await h.client.post(f"/v1/cameras/{two['id']}/disable")).status_code == 200
        assert (await h.client.post(f"/v1/cameras/{one['id']}/disable")).status_code == 200
        await h.camera("three")
        assert (await h.client.post("/v1/cameras", json={"name": "n", "url": "rtsp://good.lan/1"})).status_code == 201
        assert not any(task.done() for task in waiting)
        answers = await asyncio.gather(*waiting)  # each has a limit of its own
        assert {a.status_code for a in answers} == {200}
    finally:
        go.set()


async def test_a_refused_address_is_refused_while_all_names_are_slow(h: House, monkeypatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(policy.socket, "getaddrinfo", lambda *a, **k: go.wait(PATIENCE_S) and [])
    body = {"name": "x", "url": "rtsp://169.254.169.254/1"}
    slow = [
        asyncio.create_task(h.client.post("/v1/cameras", json={"name": f"c{n}", "url": f"rtsp://cam{n}.slow/1"}))
        for n in range(40)
    ]
    try:
        await asyncio.sleep(0.05)
        assert (await h.client.post("/v1/cameras", json=body)).status_code == 403
    finally:
        go.set()
        await asyncio.gather(*slow)


async def test_probes_that_get_no_place_say_when_to_come_back(h: House, monkeypatch) -> None:
    async def busy(spec):
        raise NotAllowed("8 sources are being tried right now.", code="probes_busy")

    monkeypatch.setattr(h.media, "probe", busy)
    answer = await h.client.post("/v1/cameras/probe", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (503, "probes_busy")
    assert int(answer.headers["retry-after"]) > 1
