"""Ids of ticks, epochs of remarks and ids of tasks: none is given twice in the life of a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fakes.media.media import picture
from fakes.patience import until
from fakes.server.house import House, house
from joyvl_server.core.errors import StoreError
from joyvl_server.sessions.registry import Registry

WALL = 1_800_000_000.0


async def one_remark(h: House, camera: dict[str, Any]) -> dict[str, Any]:
    """The tick in which the camera's session next says something."""
    said = len(remarks(h, camera))
    for second in range(60):
        h.engines.quiet.value = float(second > 0)
        h.media.sources[camera["id"]].show(picture(float(second)))
        await h.clock.advance(1.0)
        if len(remarks(h, camera)) > said:
            return remarks(h, camera)[-1]
    raise AssertionError("nothing was said")


def remarks(h: House, camera: dict[str, Any]) -> list[dict[str, Any]]:
    return [tick for tick in h.session(camera).ticks() if tick["epoch"] is not None]


def updates(h: House, camera: dict[str, Any]) -> list[dict[str, Any]]:
    return [update.to_dict() for update in h.session(camera).updates._ring]


async def kept(h: House, camera: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await h.client.get(f"/v1/sessions/{camera['session_id']}/ticks?limit=900")
    return answer.json()["data"]


@pytest.mark.parametrize("back_s", [0.0, 3600.0])
async def test_a_changed_camera_counts_on(tmp_path, back_s: float):
    """Also while somebody sets the clock back."""
    async with house(tmp_path) as h:
        camera = await h.camera(threshold=0.5)
        before = await one_remark(h, camera)
        h.clock._offset -= back_s
        await h.client.patch(f"/v1/cameras/{camera['id']}", json={"loop": True})
        after = await one_remark(h, camera)
        assert after["epoch"] > before["epoch"]
        assert int(after["id"]) > int(before["id"])


@pytest.mark.parametrize("back_s", [-60.0, 3.0, 86_400.0])
async def test_a_restarted_server_counts_on(tmp_path, back_s: float):
    """Its clock may have been set back while it was away."""
    seen: list[dict[str, Any]] = []
    async with house(tmp_path) as h:
        camera = await h.camera(threshold=0.5)
        seen.append(await one_remark(h, camera))
        at = h.clock.wall()
    async with house(tmp_path, wall=at - back_s) as h:
        seen.append(await one_remark(h, camera))
        everything = await kept(h, camera)
    assert seen[1]["epoch"] > seen[0]["epoch"]
    epochs = [tick["epoch"] for tick in everything if tick["epoch"] is not None]
    assert epochs == [seen[1]["epoch"], seen[0]["epoch"]]
    assert len({tick["id"] for tick in everything}) == len(everything)


async def test_what_was_not_yet_written_at_a_kill_is_left_out_too(tmp_path):
    """The clock was set back, and the last seconds before the kill are not in the store: their numbers are not used."""
    async with house(tmp_path) as h:
        camera = await h.camera(threshold=0.5)
        await one_remark(h, camera)
        h.registry.ticks.post = lambda tick: None  # from now on nothing reaches the disk
        await h.client.patch(f"/v1/cameras/{camera['id']}", json={"loop": True})
        lost = await one_remark(h, camera)
        at = h.clock.wall()
    async with house(tmp_path, wall=at - 30) as h:
        assert (await one_remark(h, camera))["epoch"] > lost["epoch"]


async def test_ticks_that_cannot_be_read_keep_no_camera_away(tmp_path):
    async with house(tmp_path) as h:
        camera = await h.camera(threshold=0.5)
        before = await one_remark(h, camera)
        at = h.clock.wall()
    async with house(tmp_path, wall=at, change=damage_ticks) as h:
        assert (await one_remark(h, camera))["epoch"] > before["epoch"]


def damage_ticks(registry: Registry) -> None:
    async def list(*args: Any, **filters: Any) -> None:
        raise StoreError("The ticks are damaged.", code="store_corrupt")

    registry.ticks.list = list


async def test_an_engine_that_can_do_other_things_counts_on(tmp_path):
    async with house(tmp_path) as h:
        camera = await h.camera(threshold=0.5)
        before = await one_remark(h, camera)
        h.engines.quiet.capabilities = replace(h.engines.quiet.capabilities, reports_kinds=False)
        h.session(camera).machine.engine_changed()
        await h.clock.advance(1.0)
        after = await one_remark(h, camera)
        assert after["epoch"] > before["epoch"]


def task_ids(h: House, camera: dict[str, Any]) -> list[str]:
    """Of the session that the camera has now."""
    return [update["task"]["id"] for update in updates(h, camera) if update["type"] == "task.updated"]


async def test_tasks_have_names_of_their_own(tmp_path):
    async with house(tmp_path) as h:
        h.engines.quiet.words = " Let me see. </delegation> Whose van is it?"
        camera = await h.camera(threshold=0.5)
        await one_remark(h, camera)
        await until(lambda: task_ids(h, camera))
        first = task_ids(h, camera)
        await h.client.patch(f"/v1/cameras/{camera['id']}", json={"loop": True})
        await one_remark(h, camera)
        await until(lambda: task_ids(h, camera))
        second = task_ids(h, camera)
        assert len(first) == len(second) == 1
        assert first != second
