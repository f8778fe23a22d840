"""Clips of remarks: when they are asked for, and what the timeline says of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import PATIENCE_S, until
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import CutClip
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.sinks import clips
from joyvl_server.store.events import EventFilter, EventRecord

URL = "rtsp://192.168.1.20/1"


async def remark(house: House, source: FakeSource) -> EventRecord:
    """Something is said once; the event as it was written."""
    before = len(await spoken(house))
    house.engine.script = lambda turn: (Score(0.9), ["Someone is at the door."])
    while len(await spoken(house)) == before:
        source.show(picture(source.now))
        await house.clock.advance(0.25)
    house.engine.script = lambda turn: Score(0.1)
    return (await spoken(house))[0]


async def spoken(house: House) -> list[EventRecord]:
    await house.registry.store.main.write(lambda connection: None)
    return await house.registry.events.list(EventFilter(types=("spoke",)))


async def add_camera(house: House) -> FakeSource:
    view = await house.registry.cameras.add(CameraDraft(name="door", url=URL))
    source = house.media.sources[view.record.id]
    source.hold_clips = asyncio.Event()
    return source


async def settled(house: House, event: EventRecord) -> EventRecord:
    """The event when it is known what became of its clip."""
    found: list[EventRecord] = []

    async def look() -> bool:
        found[:] = [await house.registry.events.get(event.id)]
        return found[0].clip != "recording"

    async with asyncio.timeout(PATIENCE_S):
        while not await look():
            await house.clock.settle()
            await asyncio.sleep(0.01)
    return found[0]


async def test_a_remark_is_written_with_a_clip_that_is_recorded_and_then_ready(house: House) -> None:
    source = await add_camera(house)
    event = await remark(house, source)
    assert (event.clip, event.clip_reason, event.clip_before_s) == ("recording", "", None)
    await until(lambda: source.clips)
    (order,) = source.clips
    assert (order.t, order.before_s, order.after_s) == (event.t, 5.0, 10.0)
    assert not house.registry.timeline.files.clip(event).exists()
    source.cut = CutClip(1234, event.t - 6.5, 16.0, "hevc", "It is H.265, which many browsers do not play.")
    source.hold_clips.set()
    event = await settled(house, event)
    assert (event.clip, event.clip_before_s) == ("ready", 6.5)
    assert event.clip_reason == "It is H.265, which many browsers do not play."
    assert house.registry.timeline.files.clip(event).stat().st_size == 1234
    assert not list(order.path.parent.iterdir())
    counted = house.registry.metrics.registry.get_sample_value
    assert counted("joyvl_clips_total", {"outcome": "ready"}) == 1


async def test_a_clip_that_fails_says_why_and_leaves_nothing(house: House) -> None:
    source = await add_camera(house)
    event = await remark(house, source)
    await until(lambda: source.clips)
    source.clips[0].path.with_name(source.clips[0].path.name + ".part").write_bytes(b"half")
    source.cut = SourceError("The media worker died. It is being restarted.", code="worker_died")
    source.hold_clips.set()
    event = await settled(house, event)
    assert (event.clip, event.clip_reason) == ("failed", "The media worker died. It is being restarted.")
    await until(lambda: not list(source.clips[0].path.parent.iterdir()))


async def test_a_fault_nobody_thought_of_is_told(house: House) -> None:
    source = await add_camera(house)

    async def breaks(order: Any) -> CutClip:
        raise ZeroDivisionError

    source.clip = breaks
    event = await settled(house, await remark(house, source))
    assert event.clip == "failed"
    assert "inside the server" in event.clip_reason


async def test_an_event_that_is_deleted_meanwhile_leaves_no_file(house: House) -> None:
    source = await add_camera(house)
    event = await remark(house, source)
    await until(lambda: source.clips)
    await house.registry.events.delete([event.id])
    source.hold_clips.set()
    await until(lambda: not house.registry._clips._tasks)
    assert not house.registry.timeline.files.clip(event).exists()
    assert not list(source.clips[0].path.parent.iterdir())


async def test_too_many_at_once_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "AT_ONCE", 1)
    source = await add_camera(house)
    first = await remark(house, source)
    await house.clock.advance(30)
    second = await settled(house, await remark(house, source))
    assert (second.clip, second.clip_reason) == ("failed", "There is no clip: too many were wanted at once.")
    source.hold_clips.set()
    assert (await settled(house, first)).clip == "ready"


@pytest.mark.parametrize("kind", ["call", "file"])
async def test_calls_and_files_that_are_no_cameras_have_none_and_it_is_said(house: House, kind: str) -> None:
    state, reason = house.registry._clips.prospect(kind)
    assert (state, reason) == ("none", clips.NO_CLIPS[kind])


async def test_a_server_that_was_killed_says_so_of_clips_it_had_begun(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        source = await add_camera(house)
        event = await remark(house, source)
        await until(lambda: source.clips)
        for task in house.registry._clips._tasks:
            task.cancel()
        left = source.clips[0].path.with_name("evt_1.mp4.part")
    left.write_bytes(b"half of a clip")
    async with open_house(tmp_path) as again:
        event = await again.registry.events.get(event.id)
        assert (event.clip, event.clip_reason) == ("failed", clips.STOPPED)
        assert not left.exists()
