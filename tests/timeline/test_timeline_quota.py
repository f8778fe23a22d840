"""Files within a quota: the oldest go first, what is kept stays, a clock that jumps deletes nothing."""

import os

import pytest
from structlog.testing import capture_logs
from timeline_world import NOW

from joyvl_server.timeline.quota import STEADY_S

DAY = 86_400.0
KB = 10_000


@pytest.fixture
async def steady(made, clock):
    """The clock has run evenly for long enough."""

    async def make(**settings):
        t = made(**settings)
        await clock.advance(STEADY_S)
        return t

    return make


async def keep_to(t):
    await t.files.quota.sweep(t.files._threads)
    await t.files.quota.keep_to(t.files._threads)


async def test_the_oldest_go_until_the_rest_has_room(made):
    t = made(max_gb=0.01)
    files = [await t.add(b"x" * 1_000_000, wall=NOW + n * DAY / 4, written=NOW) for n in range(12)]
    kept, _ = files[1]
    await t.events.keep(kept.id, True)
    await keep_to(t)
    left = [n for n, (_, path) in enumerate(files) if path.exists()]
    assert left == [1, 4, 5, 6, 7, 8, 9, 10, 11]
    assert t.files.quota.used == 9_000_000
    assert [(await t.get(event)).picture for event, _ in files[:4]] == [False, True, False, False]


async def test_clips_go_too_and_say_why(made):
    t = made(max_gb=0.01)
    event, path = await t.add(b"x" * 6_000_000, wall=NOW - DAY)
    clip = t.files.clip(event)
    clip.write_bytes(b"x" * 6_000_000)
    await t.events.set_clip(event.id, "ready", bytes=6_000_000, before_s=5.0)
    await keep_to(t)
    stored = await t.get(event)
    assert (path.exists(), clip.exists(), stored.picture, stored.clip) == (False, True, False, "ready")
    assert stored.clip_before_s == 5.0
    await t.add(b"x" * 6_000_000)
    await keep_to(t)
    stored = await t.get(event)
    assert (clip.exists(), stored.clip, stored.clip_before_s) == (False, "deleted", None)
    assert "0.01 GB (timeline.max_gb)" in stored.clip_reason


async def test_what_is_kept_may_exceed_the_quota_and_that_is_told_once(made):
    t = made(max_gb=0.01)
    for _ in range(3):
        event, _ = await t.add(b"x" * 5_000_000)
        await t.events.keep(event.id, True)
    with capture_logs() as lines:
        await keep_to(t)
        await keep_to(t)
    assert [line["event"] for line in lines] == ["what is kept of the timeline is larger than its quota"]
    assert t.files.quota.used == 15_000_000


async def test_files_beyond_their_days_go(steady):
    t = await steady(days=2)
    now = t.clock.wall()
    old, fresh = await t.add(wall=now - 3 * DAY, written=now - 3 * DAY), await t.add(wall=now - DAY, written=now - DAY)
    kept = await t.add(wall=now - 9 * DAY, written=now - 9 * DAY)
    await t.events.keep(kept[0].id, True)
    await keep_to(t)
    assert [path.exists() for _, path in (old, fresh, kept)] == [False, True, True]
    assert len(await t.events.list()) == 3
    assert not old[1].parent.exists()


async def test_a_clock_that_jumps_ahead_deletes_nothing(steady):
    t = await steady(days=2)
    _, path = await t.add(written=t.clock.wall())
    t.clock._offset += 400 * DAY
    await keep_to(t)
    await t.clock.advance(STEADY_S - 1)
    await t.files.quota.keep_to(t.files._threads)
    assert path.exists()
    t.clock._offset -= 400 * DAY  # it is right again
    await t.files.quota.keep_to(t.files._threads)
    await t.clock.advance(STEADY_S + 3600)
    await t.files.quota.keep_to(t.files._threads)
    assert path.exists()
    await t.clock.advance(3 * DAY)
    await t.files.quota.keep_to(t.files._threads)
    assert not path.exists()


async def test_files_without_event_are_swept_but_not_those_of_events_on_their_way(made):
    t = made()
    _, path = await t.add()
    now = t.clock.wall()
    lost, coming, other = (path.with_name(name) for name in ("evt_lost.jpg", "evt_coming.mp4", "notes.txt"))
    for file, age in ((lost, 700.0), (coming, 10.0), (other, 9000.0)):
        file.write_bytes(b"x")
        os.utime(file, (now - age, now - age))
    (path.parent / "evt_dir.jpg").mkdir()
    (path.parent / "evt_link.jpg").symlink_to("/etc/hostname")
    await t.files.quota.sweep(t.files._threads)
    assert {p.name for p in path.parent.iterdir()} == {
        path.name, "evt_coming.mp4", "notes.txt", "evt_dir.jpg", "evt_link.jpg",
    }  # fmt: skip
    assert t.files.quota.used == 5


async def test_what_an_earlier_run_did_not_finish_is_removed(made):
    t = made()
    event, _ = await t.add()
    half = await t.files.unfinished(event)
    half.write_bytes(b"half")
    await t.files.clear_unfinished()
    assert not half.exists()


async def test_where_all_is_kept_folders_are_not_looked_through_for_each_picture(made, clock, monkeypatch):
    t = made(max_gb=0.01)
    event, path = await t.add(b"x" * 11_000_000)
    await t.events.keep(event.id, True)
    await keep_to(t)
    looks, days = [], t.files.folders.days
    monkeypatch.setattr(t.files.folders, "days", lambda: looks.append(1) or days())
    for _ in range(5):
        await t.files.quota.keep_to(t.files._threads)
    assert looks == []
    await t.events.keep(event.id, False)
    await clock.advance(301)
    await t.files.quota.keep_to(t.files._threads)
    assert not path.exists()
