"""The stream of events: in the order of writing, resumed from the store, bounded for each reader."""

import asyncio
import random
from dataclasses import replace

import pytest
from timeline_world import remark

from fakes.patience import until
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.timeline.feed import ChangedEvent, EventFeed, ReaderTooSlow


async def take(reader, count):
    return [await anext(reader) for _ in range(count)]


async def told(feed, events, made):
    """Until the feed has heard of them all."""
    for one in made:
        events.post(one)
    await until(lambda: made[-1].id in [event.id for event in feed._newest])


@pytest.fixture
async def feed(events):
    feed = EventFeed(events, backlog=10)
    await feed.start()
    return feed


async def test_a_reader_gets_what_is_written_from_now_on(feed, events):
    await told(feed, events, [remark()])
    reader = await feed.since(None, EventFilter())
    waiting = asyncio.create_task(anext(reader))
    made = [remark(session_id=f"ses_{n}") for n in range(3)]
    await told(feed, events, made)
    assert [await waiting, *await take(reader, 2)] == made
    assert not reader.unknown


@pytest.mark.parametrize("count", [3, 25, 450])
async def test_it_resumes_after_any_event_that_is_kept(feed, events, count):
    made = [remark(camera_id=f"cam_{n % 2}") for n in range(count)]
    await told(feed, events, made)
    reader = await feed.since(made[0].id, EventFilter(camera_id="cam_0"))
    wanted = [event for event in made[1:] if event.camera_id == "cam_0"]
    assert await take(reader, len(wanted)) == wanted
    more = [remark(camera_id="cam_0"), remark(camera_id="cam_1"), remark(camera_id="cam_0")]
    await told(feed, events, more)
    assert await take(reader, 2) == [more[0], more[2]]


async def test_after_a_restart_it_resumes_from_the_store(db, events, feed):
    made = [remark() for _ in range(30)]
    await told(feed, events, made)
    again = Events(db)
    restarted = EventFeed(again)
    await restarted.start()
    reader = await restarted.since(made[4].id, EventFilter())
    await told(restarted, again, later := [remark()])
    assert await take(reader, 26) == [*made[5:], *later]


async def test_an_unknown_id_is_told_and_new_events_follow(feed, events):
    made = [remark(), remark()]
    await told(feed, events, made)
    await events.delete([made[0].id])
    reader = await feed.since(made[0].id, EventFilter())
    assert reader.unknown
    await told(feed, events, later := [remark()])
    assert await take(reader, 1) == later


async def test_deleted_events_are_not_told(feed, events):
    reader = await feed.since(None, EventFilter())
    made = [remark() for _ in range(5)]
    await told(feed, events, made)
    await events.delete([made[1].id, made[4].id])
    await told(feed, events, later := [remark()])
    assert await take(reader, 4) == [made[0], made[2], made[3], *later]


async def test_a_reader_that_falls_behind_is_ended_and_can_resume(feed, events):
    reader = await feed.since(None, EventFilter())
    await told(feed, events, first := [remark()])
    assert await take(reader, 1) == first
    made = [remark() for _ in range(12)]
    await told(feed, events, made)
    with pytest.raises(ReaderTooSlow):
        await anext(reader)
    assert await take(await feed.since(first[0].id, EventFilter()), 12) == made


async def test_a_cancelled_wait_misses_nothing(feed, events):
    reader = await feed.since(None, EventFilter(types=("spoke",)))
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await told(feed, events, [remark(type="task"), wanted := remark(), remark(type="task")])
    assert await take(reader, 1) == [wanted]
    assert not feed._waiters


@pytest.mark.parametrize("seed", range(5))
async def test_every_reader_gets_each_event_once_and_in_order(db, events, seed):
    """However readers come and go, resume, and events are deleted."""
    draw = random.Random(seed)
    feed = EventFeed(events, backlog=8)
    await feed.start()
    await told(feed, events, [begin := remark()])
    made, seen, last = [], [], begin.id
    reader = await feed.since(last, EventFilter())
    for _ in range(60):
        made += (fresh := [remark() for _ in range(draw.randint(1, 12))])
        await told(feed, events, fresh)
        if draw.random() < 0.3:
            reader = await feed.since(last, EventFilter())
        for _ in range(min(draw.randint(0, 15), len(made) - len(seen))):
            try:
                seen.append(await anext(reader))
                last = seen[-1].id
            except ReaderTooSlow:
                reader = await feed.since(last, EventFilter())
    assert seen == made[: len(seen)]
    assert len(seen) > 100


async def test_changes_of_events_are_told_after_them(feed, events):
    older = remark()
    await told(feed, events, [older, remark(camera_id="cam_2")])
    reader = await feed.since(None, EventFilter(camera_id="cam_1"))
    made = remark(clip="recording", picture=True)
    await told(feed, events, [made])
    await events.set_clip(made.id, "ready", before_s=5.0)
    await events.keep(older.id, True)
    assert await take(reader, 3) == [
        replace(made, clip="ready", clip_before_s=5.0),
        ChangedEvent(replace(made, clip="ready", clip_before_s=5.0)),
        ChangedEvent(replace(older, kept=True)),
    ]
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    events.clips_gone([made.id], "It was old.")
    assert (await waiting).event.clip_reason == "It was old."
    events.pictures_gone([made.id])
    assert not (await anext(reader)).event.picture
    events.pictures_gone([made.id])  # nothing changes
    await told(feed, events, later := [remark()])
    assert await take(reader, 1) == later


async def test_who_comes_after_a_change_gets_the_event_as_it_is(feed, events):
    made = [remark(), remark(clip="recording")]
    await told(feed, events, made)
    await events.set_clip(made[1].id, "failed", "no keyframe")
    reader = await feed.since(made[0].id, EventFilter())
    assert (await anext(reader)).clip == "failed"


async def test_changes_of_another_place_or_of_what_is_deleted_are_not_told(feed, events):
    made = [remark(camera_id="cam_2"), remark()]
    await told(feed, events, made)
    reader = await feed.since(None, EventFilter(camera_id="cam_1"))
    for one in made:
        await events.keep(one.id, True)
    await events.delete([made[1].id])
    await told(feed, events, later := [remark()])
    assert await take(reader, 1) == later


async def test_one_that_misses_changes_is_sent_away(feed, events):
    made = [remark() for _ in range(12)]
    await told(feed, events, made)
    reader = await feed.since(None, EventFilter())
    patient = await feed.since(None, EventFilter())
    for _ in range(50):
        await events.keep(made[0].id, True)  # again and again the same one
    assert (await anext(patient)).event.id == made[0].id
    for one in made[1:]:
        await events.keep(one.id, True)
    assert len(feed._changes) == 10
    with pytest.raises(ReaderTooSlow):
        await anext(reader)
