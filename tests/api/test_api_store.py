"""The store's faults as a client sees them: readiness, refusals, metrics."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes.patience import PATIENCE_S
from fakes.server.house import URL, House, house
from fakes.server.small_disk import SmallDisk, small_disk
from joyvl_server.store.sqlite import write_connection, write_queue


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for module, name in ((write_connection, "RETRY_S"), (write_connection, "CHECK_S"), (write_queue, "PATIENCE_S")):
        monkeypatch.setattr(module, name, 0.05)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


async def ready(h: House) -> tuple[int, dict[str, dict]]:
    answer = await h.client.get("/readyz")
    return answer.status_code, answer.json()["parts"]


async def metric(h: House, name: str) -> dict[str, float]:
    families = {f.name: f for f in text_string_to_metric_families((await h.client.get("/metrics")).text)}
    return {s.labels["store"]: s.value for s in families[name].samples if not s.name.endswith("_created")}


async def until_ready(h: House, status: int, part: str) -> dict[str, dict]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            code, parts = await ready(h)
            if (code, parts[part]["ready"]) == (status, status == 200):
                return parts
            await asyncio.sleep(0.02)


async def fill_up(h: House, disk: SmallDisk) -> list[dict]:
    """Add cameras until the disk takes none; returns the problems."""
    disk.fill()
    problems = []
    for n in range(200):
        body = {"name": f"c{n}", "url": f"{URL}?{'x' * 1500}", "enabled": False}
        answer = await h.client.post("/v1/cameras", json=body)
        if answer.status_code != 201:
            problems.append(answer.json())
            if len(problems) == 3:
                return problems
    raise AssertionError("the disk is not full")


@pytest.mark.processes
async def test_a_full_disk_is_told_and_over_by_itself(disk: SmallDisk):
    async with house(disk.path) as h:
        problems = await fill_up(h, disk)
        assert {p["code"] for p in problems} == {"store_full"}
        assert "disk is full" in problems[0]["detail"]
        code, parts = await ready(h)
        assert (code, parts["store"]["ready"]) == (503, False)
        assert "disk is full" in parts["store"]["reason"]
        assert (await metric(h, "joyvl_store_fault"))["main"] == 1
        kept = {c["name"] for c in (await h.client.get("/v1/cameras?limit=200")).json()["data"]}
        disk.free()
        await until_ready(h, 200, "store")
        assert (await metric(h, "joyvl_store_fault"))["main"] == 0
        await h.camera("at last", enabled=False)
    async with house(disk.path) as h:
        # What was told to be kept is kept, what was refused is not.
        names = {c["name"] for c in (await h.client.get("/v1/cameras?limit=200")).json()["data"]}
        assert names == kept | {"at last"}


async def test_ticks_that_cannot_be_kept_are_told_and_make_nothing_unready(tmp_path):
    (tmp_path / "ticks.db").mkdir()
    async with house(tmp_path) as h:
        code, parts = await ready(h)
        assert (code, parts["store"]["ready"], parts["ticks"]["ready"]) == (200, True, False)
        assert "ticks.db cannot be opened" in parts["ticks"]["reason"]
        assert await metric(h, "joyvl_store_fault") == {"main": 0, "ticks": 1}
        await h.camera("door")
        (tmp_path / "ticks.db").rmdir()
        await until_ready(h, 200, "ticks")
        assert await metric(h, "joyvl_store_fault") == {"main": 0, "ticks": 0}


async def test_a_data_folder_that_goes_away_is_noticed_and_refuses(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    async with house(folder) as h:
        door = await h.camera("door", enabled=False)
        folder.rename(tmp_path / "elsewhere")
        parts = await until_ready(h, 503, "store")
        assert "removed, replaced or unmounted" in parts["store"]["reason"]
        answer = await h.client.post("/v1/cameras", json={"name": "yard", "url": URL})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_gone")
        answer = await h.client.patch(f"/v1/cameras/{door['id']}", json={"name": "back door"})
        assert answer.status_code == 503
        (tmp_path / "elsewhere").rename(folder)
        await until_ready(h, 200, "store")
        await h.camera("yard", enabled=False)
    async with house(folder) as h:
        names = [c["name"] for c in (await h.client.get("/v1/cameras")).json()["data"]]
        assert sorted(names) == ["door", "yard"]


async def test_damaged_ticks_begin_again_and_are_counted(tmp_path):
    (tmp_path / "ticks.db").write_bytes(b"\xa5" * 8192)
    async with house(tmp_path) as h:
        assert (await ready(h))[0] == 200
        assert await metric(h, "joyvl_store_renewed") == {"main": 0, "ticks": 1}


async def test_a_session_that_a_kill_cut_off_is_closed_at_the_next_start(tmp_path):
    async with house(tmp_path) as h:
        camera = await h.camera("door")
        _, call = await h.call()
        await h.clock.advance(3.0)
        # As after kill -9: what ends a session is never written.
        h.registry.events.post, posting = lambda event: None, h.registry.events.post
        last = h.session(camera).ticks()[-1]
    assert posting is not None
    async with house(tmp_path) as h:
        path = f"/v1/events?session_id={camera['session_id']}"
        events = (await h.client.get(path)).json()["data"][::-1]
        kinds = [e["type"] for e in events if e["type"].startswith("session")]
        assert kinds == ["session_started", "session_ended", "session_started"]
        ended = next(e for e in events if e["type"] == "session_ended")
        assert ended["text"] == "the server ended without notice"
        assert ended["data"] == {"code": "killed"}
        assert ended["wall"] == pytest.approx(last["wall"], abs=1.5)
        of_call = (await h.client.get(f"/v1/events?session_id={call}&type=session_ended")).json()["data"]
        assert len(of_call) == 1
    async with house(tmp_path) as h:
        events = (await h.client.get(path)).json()["data"]
        assert [e["type"] for e in events if e["type"].startswith("session")][-3:][::-1] == kinds
        assert sum(e["text"] == "the server ended without notice" for e in events) == 1
