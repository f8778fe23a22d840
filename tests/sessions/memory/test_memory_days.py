"""Days in words: counted or written, once, in the house's zone; and how long memories are kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fakes.clock import ManualClock
from fakes.media.media import picture
from fakes.patience import PATIENCE_S
from fakes.server.house import House, house
from fakes.server.sessions import open_house
from joyvl_server.core.prompt.turns import Draft
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory.day_counts import LINKS, DayCounts
from joyvl_server.sessions.memory.digests import LATE_S
from joyvl_server.sessions.memory.past_upkeep import MemoryRetention
from joyvl_server.store.events import EventRecord
from joyvl_server.store.memories.records import MemoryFilter

BERLIN = {"time_zone": "Europe/Berlin"}
WALL = datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp()
"""noon of the day on which Berlin has 25 hours"""


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, wall=WALL, **BERLIN) as opened:
        yield opened


def event(type: str, wall: float, camera_id: str = "cam_a", **data) -> EventRecord:
    return EventRecord(new_id("evt"), "ses_1", camera_id, type, 0.0, wall, "", data)


async def written(h: House, *events: EventRecord) -> None:
    for one in events:
        h.registry.events.post(one)
    await h.registry.store.main.write(lambda c: None)


def test_a_day_in_figures():
    counted = DayCounts()
    counted.add([event("watch_fired", n, kind="enter") for n in range(12)])
    counted.add([event("spoke", 20, kind="leave"), event("heard", 21), event("task", 22)])
    counted.add([event("camera_offline", 30), event("camera_online", 270), event("camera_offline", 300)])
    counted.finish(360)
    assert counted.counts["enter"] == 12
    assert counted.counts["away_min"] == 5
    assert counted.sentence("en-GB") == (
        "Entered: 12, left: 1, 12 watches fired, it spoke once, 1 sentence heard, 1 task of an agent, "
        "camera away 5 min."
    )
    assert counted.sentence("zh") == (
        "进来 12 次，离开 1 次，12 次提醒，说话 1 次，听到 1 句话，1 个任务，摄像头离线 5 分钟。"
    )
    assert counted.sentence("de-AT") == (
        "Hereingekommen: 12, weggegangen: 1, 12 Überwachungen haben ausgelöst, einmal etwas gesagt, 1 Satz gehört, "
        "1 Aufgabe eines Agenten, Kamera 5 min weg."
    )
    assert [DayCounts().sentence(tag) for tag in ("en", "de", "fr")] == [
        "Nothing happened.", "Es ist nichts geschehen.", "Nothing happened."
    ]  # fmt: skip


def test_links_are_bounded_and_fired_watches_come_first():
    counted = DayCounts()
    fired = [event("watch_fired", n) for n in range(3)]
    counted.add([event("spoke", 1) for _ in range(100)] + fired)
    assert len(counted.event_ids) == LINKS
    assert {one.id for one in fired} < set(counted.event_ids)
    assert list(counted.event_ids) == sorted(counted.event_ids)


async def test_a_day_has_the_hours_of_its_zone(h: House):
    days = h.registry.past.digests
    begin, end = days.bounds(date(2026, 10, 25))
    assert (end - begin) / 3600 == 25
    assert datetime.fromtimestamp(begin, ZoneInfo("Europe/Berlin")).hour == 0
    assert days.today == date(2026, 10, 25)


async def test_today_is_counted_when_somebody_asks_and_again_later(h: House):
    camera = await h.camera()
    await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
    path = f"/v1/digests?camera_id={camera['id']}&day=2026-10-25"
    (today,) = (await h.client.get(path)).json()["data"]
    assert (today["text"], today["done"], today["source"]) == ("Entered: 1, 1 watch fired.", False, "counts")
    assert len(today["event_ids"]) == 1
    await written(h, event("watch_fired", WALL + 1, camera["id"], kind="enter"))
    assert (await h.client.get(path)).json()["data"] == [today]
    await h.clock.advance(601)
    assert (await h.client.get(path)).json()["data"][0]["counts"]["enter"] == 2
    assert (await h.client.get("/v1/digests?day=2026-10-26")).json()["data"] == []
    assert (await h.client.get("/v1/digests?day=yesterday")).status_code == 422
    assert (await h.client.get("/v1/digests?camera_id=cam_0&day=2026-10-25")).status_code == 404


async def test_a_day_is_written_once_after_midnight(tmp_path):
    async with house(tmp_path, wall=WALL, **BERLIN) as h:
        camera = await h.camera()
        await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
        midnight = h.registry.past.digests.bounds(date(2026, 10, 25))[1]
    async with house(tmp_path, wall=midnight + LATE_S - 5, **BERLIN) as h:
        await h.registry.past.digests.write_past()
        assert await h.registry.past.digests.records.digests.get(camera["id"], "2026-10-25") is None
    async with house(tmp_path, wall=midnight + LATE_S + 5, **BERLIN) as h:
        days = h.registry.past.digests
        await days.write_past()
        first = await days.records.digests.get(camera["id"], "2026-10-25")
        assert first is not None
        assert first.done
        assert first.text.startswith("Entered: 1, 1 watch fired")
        await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
    async with house(tmp_path, wall=midnight + 7200, **BERLIN) as h:
        assert await h.registry.past.digests.write_past() == 0
        assert await h.registry.past.digests.of(camera["id"], date(2026, 10, 25)) == first


async def test_the_engine_writes_it_where_it_writes_texts(h: House, monkeypatch):
    camera = await h.camera()
    session = h.session(camera)
    asked = []

    async def write_text(draft):
        asked.append(draft)
        return " A parcel came at noon [sic]. "

    monkeypatch.setattr(type(session), "write_text", lambda self, draft: write_text(draft))
    await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
    await h.registry.memory.add(
        MemoryDraft(camera["id"], "watch_fired", "a parcel\nwas put down", WALL, camera_id=camera["id"])
    )
    h.clock._offset += 86_400
    await h.registry.past.digests.write_past()
    kept = await h.registry.past.digests.records.digests.get(camera["id"], "2026-10-25")
    assert kept is not None
    assert (kept.text, kept.source) == ("A parcel came at noon (sic).", "engine")
    assert "13:00 a parcel was put down" in asked[0].instruction


async def test_a_text_is_written_between_ticks_or_not_at_all(h: House):
    camera = await h.camera()
    assert await h.session(camera).write_text(Draft("dig_1", "x", 10)) is None, "this engine writes none"


async def test_a_forgotten_day_is_written_again_from_what_is_left(h: House):
    camera = await h.camera()
    await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
    days = h.registry.past.digests
    await days.of(camera["id"], date(2026, 10, 25))
    await h.clock.advance(5)
    await h.registry.past.eraser.forget(MemoryFilter(camera_id=camera["id"]))
    assert await days.records.digests.get(camera["id"], "2026-10-25") is None
    await h.clock.advance(5)
    assert "watch_fired" not in (await days.of(camera["id"], date(2026, 10, 25))).counts


async def test_who_asks_for_yesterday_first_does_not_keep_the_engine_from_writing_it(h: House, monkeypatch):
    camera = await h.camera()
    session, writing, release = h.session(camera), asyncio.Event(), asyncio.Event()

    async def write_text(draft):
        writing.set()
        await release.wait()
        return "A parcel came."

    monkeypatch.setattr(type(session), "write_text", lambda self, draft: write_text(draft))
    await written(h, event("watch_fired", WALL, camera["id"], kind="enter"))
    await h.registry.memory.add(MemoryDraft(camera["id"], "said", "a parcel", WALL, camera_id=camera["id"]))
    h.clock._offset += 86_400
    days, day = h.registry.past.digests, date(2026, 10, 25)
    assert not (await days.of(camera["id"], day)).done
    past = asyncio.create_task(days.write_past())
    await writing.wait()
    async with asyncio.timeout(PATIENCE_S):
        assert (await days.of(camera["id"], day)).source == "counts", "nobody waits for the engine"
        assert (await days.of(camera["id"], date(2026, 10, 26))).source == "counts"
    release.set()
    await past
    kept = await days.of(camera["id"], day)
    assert (kept.text, kept.done) == ("A parcel came.", True)


async def test_a_camera_that_was_away_all_day_is_said_to_be(h: House):
    camera = await h.camera()
    midnight = h.registry.past.digests.bounds(date(2026, 10, 20))[0]
    await written(
        h,
        event("camera_offline", midnight - 3600, camera["id"]),
        event("camera_online", midnight + 86_400 + 1800, camera["id"]),
    )
    days = h.registry.past.digests
    assert [(await days.of(camera["id"], date(2026, 10, n))).counts.get("away_min") for n in (19, 20, 21, 22)] == [
        60, 1440, 30, None,
    ]  # fmt: skip


async def test_days_written_by_a_clock_that_was_ahead_are_written_again(h: House):
    camera = await h.camera()
    days, day = h.registry.past.digests, date(2026, 10, 25)
    h.clock._offset += 86_400
    await days.write_past()
    assert (await days.of(camera["id"], day)).done
    h.clock._offset -= 86_400
    await written(h, event("watch_fired", WALL + 60, camera["id"], kind="enter"))
    assert (await days.of(camera["id"], day)).counts["enter"] == 1
    h.clock._offset += 86_000
    await days.write_past()
    kept = await days.records.digests.get(camera["id"], day.isoformat())
    assert kept is not None
    assert (kept.done, kept.counts["enter"]) == (True, 1)


def test_what_engines_call_otherwise_is_counted_too():
    counted = DayCounts()
    counted.add([event("watch_fired", 1, kind="camera_moving")])
    assert counted.counts["changed"] == 1


async def test_the_first_day_of_all_can_be_asked_for(h: House):
    camera = await h.camera()
    answer = await h.client.get(f"/v1/digests?camera_id={camera['id']}&day=0001-01-01")
    assert answer.status_code == 200


# ----------------------------------------------------------------------------------------------------------- retention


async def test_old_memories_go_but_not_kept_ones(h: House):
    memory = h.registry.memory
    for n in range(5):
        draft = MemoryDraft("cam_a", "said", f"number {n}", WALL - n * 86_400, kept=n == 4)
        await memory.add(draft)
    await memory.add(MemoryDraft("cam_a", "fact", "told", WALL - 9 * 86_400, kept=True))
    clock = ManualClock(wall=WALL)
    retention = MemoryRetention(memory, 1.5, 100, clock)
    assert await retention.trim() == 0, "not before the clock has run evenly"
    await clock.advance(600)
    assert await retention.trim() == 2
    assert await MemoryRetention(memory, None, 3, clock).trim() == 1
    left = {one.text for one in await memory.memories.list(MemoryFilter())}
    assert left == {"number 0", "number 4", "told"}


async def test_a_clock_that_jumps_takes_nothing(h: House):
    await h.registry.memory.add(MemoryDraft("cam_a", "said", "x", WALL))
    clock = ManualClock(wall=WALL)
    retention = MemoryRetention(h.registry.memory, 1, 100, clock)
    await clock.advance(700)
    clock._offset += 365 * 86_400
    assert await retention.trim() == 0


async def test_a_real_session_writes_it_between_its_ticks(tmp_path):
    async with open_house(tmp_path) as h:
        h.engine.capabilities = Capabilities(follows_instructions=True, scores=True, prepares=True, writes=True)
        h.engine.write = lambda draft: f"A quiet day of {draft.max_tokens} tokens."
        view = await h.registry.cameras.add(CameraDraft("door", "rtsp://127.0.0.1:554/one"))
        source = h.media.sources[view.record.id]
        session = h.registry.session(view.record.session_id)

        async def second(n: int) -> None:
            source.show(picture(float(n)))
            await h.clock.advance(1.0)

        for n in range(3):
            await second(n)
        writing = asyncio.create_task(session.write_text(Draft("dig_1", "Tell the day.", 40)))
        async with asyncio.timeout(PATIENCE_S):
            n = 3
            while not writing.done():
                await second(n)
                n += 1
        assert await writing == "A quiet day of 40 tokens."
        given_up = asyncio.create_task(session.write_text(Draft("dig_2", "Tell the day.", 40)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert session.machine._background._drafts == {}
