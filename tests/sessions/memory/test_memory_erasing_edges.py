"""Forgetting where somebody gives up, the clock is wrong, or a day has been put into words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from joyvl_server.core.errors import StoreError
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.store.digests import DigestRecord
from joyvl_server.store.erasure_records import ErasureScope
from joyvl_server.store.erasures import Erasures
from joyvl_server.store.events import EventFilter, EventRecord
from joyvl_server.store.memories.records import MemoryFilter

NOW = 1_800_000_000.0
DAY_S = 86_400.0


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def post(h: House, type: str, wall: float, **data: Any) -> EventRecord:
    event = EventRecord(new_id("evt"), "ses_1", "cam_1", type, 1.0, wall, f"text of {type}", data)
    h.registry.events.post(event)
    await h.registry.store.main.write(lambda c: None)
    return event


async def types(h: House) -> list[str]:
    return [event.type for event in await h.registry.events.list(EventFilter(session_id="ses_1"))]


async def test_what_is_yet_to_come_is_no_forgotten_past(h: House):
    await post(h, "spoke", NOW - 10)
    deleted = await h.client.delete("/v1/memories?until=2199-01-01T00:00:00Z")
    assert deleted.json()["events"] == 1
    await h.clock.advance(60)
    await post(h, "watch_fired", h.clock.wall())
    assert await types(h) == ["watch_fired"]


async def test_a_clock_that_is_set_back_forgets_nothing_that_comes(h: House):
    h.clock._offset += 365 * DAY_S
    await h.registry.past.eraser.forget_all()
    h.clock._offset -= 365 * DAY_S
    await h.clock.advance(31)
    erasures = Erasures(h.registry.store.main, h.registry.store.ticks)

    async def corrected() -> bool:
        rows = await h.registry.store.main.read(lambda c: c.execute("SELECT max(at_wall) FROM erasures").fetchone())
        return rows[0] <= h.clock.wall()

    async with asyncio.timeout(PATIENCE_S):
        while not await corrected():
            await asyncio.sleep(0.02)
    await post(h, "spoke", h.clock.wall() + 1)
    assert await types(h) == ["spoke"]
    assert not await erasures.clock_is(h.clock.wall())


async def test_who_gives_up_at_once_has_it_forgotten_all_the_same(h: House):
    event = await post(h, "spoke", NOW - 10)
    begun = asyncio.Event()
    eraser = h.registry.past.eraser
    begin = eraser._begin

    async def slow(scope: ErasureScope) -> Any:
        begun.set()
        await asyncio.sleep(0)
        return await begin(scope)

    eraser._begin = slow
    asked = asyncio.create_task(eraser.forget_events(EventFilter(ids=(event.id,))))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(PATIENCE_S):
        while await h.registry.events.known([event.id]):
            await asyncio.sleep(0.02)


async def test_what_fails_is_tried_again_though_nobody_waits(h: House, monkeypatch):
    event = await post(h, "spoke", NOW - 10)
    eraser = h.registry.past.eraser
    delete, failed = eraser._delete, asyncio.Event()

    async def broken(scope: ErasureScope) -> Any:
        eraser._delete = delete
        await asyncio.sleep(0.01)
        failed.set()
        raise StoreError("The disk is away.")

    eraser._delete = broken
    asked = asyncio.create_task(eraser.forget_events(EventFilter(ids=(event.id,))))
    await asyncio.sleep(0)
    asked.cancel()
    await failed.wait()
    await until(lambda: not eraser._tasks)
    await h.clock.advance(31)
    async with asyncio.timeout(PATIENCE_S):
        while await h.registry.events.known([event.id]):
            await asyncio.sleep(0.02)


async def digest(h: House, day: str, camera_id: str) -> None:
    await h.registry.past.digests.records.digests.put(
        DigestRecord(camera_id, day, "a summary said so", {}, (), "engine", True, h.clock.wall())
    )


async def days(h: House) -> set[tuple[str, str]]:
    return {(one.day, one.camera_id) for one in await h.registry.past.digests.records.digests.list()}


async def test_a_forgotten_summary_takes_the_day_that_tells_it(h: House):
    wall = NOW - 3 * DAY_S  # 2027-01-12
    draft = MemoryDraft("cam_1", "summary", "so it was", wall, until_wall=wall + 60, camera_id="cam_1", session_id="s")
    memory = await h.registry.memory.add(draft)
    for day, camera_id in (("2027-01-12", "cam_1"), ("2027-01-12", "cam_2"), ("2027-01-02", "cam_1")):
        await digest(h, day, camera_id)
    await h.clock.advance(1)
    await h.registry.past.eraser.forget(MemoryFilter(ids=(memory.id,)))
    assert await days(h) == {("2027-01-12", "cam_2"), ("2027-01-02", "cam_1")}


async def test_a_forgotten_session_takes_the_days_of_its_camera(h: House):
    camera = await h.camera()
    session = h.session(camera)
    await digest(h, "2027-01-15", camera["id"])
    await digest(h, "2027-01-15", "cam_2")
    await h.clock.advance(1)
    await h.registry.past.eraser.forget(MemoryFilter(session_id=session.id, since=NOW - 60, until=NOW + 60))
    assert await days(h) == {("2027-01-15", "cam_2")}


@pytest.mark.parametrize("type", ["query_closed", "spoke", "watch_fired", "delegated"])
async def test_every_answer_that_rests_on_it_goes(h: House, type: str):
    event = await post(h, "spoke", NOW - 10)
    await post(h, type, NOW - 5, rests_on=[event.id])
    stays = await post(h, type, NOW - 4, rests_on=[new_id("evt")])
    assert (await h.client.delete(f"/v1/events/{event.id}")).status_code == 204
    assert [one.id for one in await h.registry.events.list(EventFilter(session_id="ses_1"))] == [stays.id]
