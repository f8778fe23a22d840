"""Pictures of events on a real disk: whole or not at all, told once when they cannot be, gone with their event."""

import asyncio
import os
import stat
import threading
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from timeline_world import NOW, FilesUnderTest, remark

from fakes.patience import PATIENCE_S, until
from fakes.server.small_disk import small_disk
from joyvl_server.core.errors import NotFound, StoreError
from joyvl_server.settings import TimelineSettings
from joyvl_server.timeline import files as files_module
from joyvl_server.timeline.day_folders import DayFolders
from joyvl_server.timeline.files import TimelineFiles


async def test_a_picture_lies_in_the_folder_of_its_day_for_the_owner_alone(made):
    t = made()
    event = await t.post(b"\xff\xd8one")
    await t.written()
    path = t.files.folders.path(event.id, event.wall, ".jpg")
    assert path.relative_to(t.files.folders.root).as_posix() == f"2027-01-15/{event.id}.jpg"
    assert path.read_bytes() == b"\xff\xd8one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(t.files.folders.root.stat().st_mode) == 0o700
    assert list(t.files.folders.unfinished.iterdir()) == []
    assert t.files.quota.used == 5
    assert await t.files.picture(await t.get(event)) == b"\xff\xd8one"


async def test_a_picture_can_be_read_before_it_is_written(made):
    t = made()
    event = await t.post(b"soon")
    assert await t.files.picture(event) == b"soon"
    assert not t.files.folders.root.exists()


async def test_a_picture_that_somebody_took_away_is_told_once_and_then_known(made):
    t = made()
    event, path = await t.add()
    path.unlink()
    with pytest.raises(NotFound) as caught:
        await t.files.picture(event)
    assert caught.value.code == "no_picture"
    assert (await t.get(event)).picture is False


async def test_a_deleted_event_takes_its_files_along(made, running):
    t = made()
    running(t.files.run())
    await until(lambda: t.clock.sleepers)  # what was there is measured
    event = await t.post()
    await t.written()
    other = await t.post()
    await t.written()
    clip = t.files.clip(event)
    clip.write_bytes(b"mp4")
    assert await t.events.delete([event.id]) == 1
    await t.files.removed()
    await until(lambda: not clip.exists())
    assert [p.name for p in clip.parent.iterdir()] == [f"{other.id}.jpg"]
    await t.events.delete([other.id])
    await until(lambda: not clip.parent.exists())
    assert t.files.quota.used <= 0


async def test_an_event_that_is_deleted_while_its_picture_is_written_leaves_nothing(made):
    t = made()
    event = await t.post()
    assert await t.events.delete([event.id]) == 1
    await t.files.removed()
    assert t.files.folders.days() == []


async def test_a_clip_is_taken_over_whole_and_not_for_an_event_that_is_gone(made):
    t = made()
    event = await t.post()
    await t.written()
    for gone in (False, True):
        temporary = await t.files.unfinished(event)
        if gone:
            await t.events.delete([event.id])
            await t.files.removed()
        temporary.write_bytes(b"clip")
        assert await t.files.take_over(temporary, event) == 4
        assert t.files.clip(event).exists() is not gone
        assert not temporary.exists()
    with pytest.raises(NotFound):
        await t.events.set_clip(event.id, "ready")


@pytest.mark.processes
async def test_on_a_full_disk_events_go_on_without_pictures_and_it_is_told_once(db, events, clock, tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        files = TimelineFiles(disk.path / "timeline", TimelineSettings(), events, clock)
        t = FilesUnderTest(files, events, db, clock)
        fine = await t.post(b"x" * 1000)
        await t.written()
        disk.fill()
        with capture_logs() as lines:
            lost = [await t.post(b"x" * 50_000) for _ in range(3)]
            await t.written()
        assert [line["event"] for line in lines] == ["events stay without pictures"]
        assert "No space left" in files.fault
        assert [(await t.get(event)).picture for event in [fine, *lost]] == [True, False, False, False]
        assert list(files.folders.unfinished.iterdir()) == []
        with pytest.raises(NotFound):
            await files.picture(await t.get(lost[0]))
        disk.free()
        with capture_logs() as lines:
            again = await t.post(b"x" * 50_000)
            await t.written()
        assert [line["event"] for line in lines] == ["pictures of the timeline are written again"]
        assert files.fault is None
        assert files.dropped == 3
        assert (await t.get(again)).picture


async def test_pictures_for_which_there_is_no_room_in_memory_are_dropped(made, monkeypatch):
    monkeypatch.setattr(files_module, "MAX_WAITING", 2)
    t = made()
    with capture_logs() as lines:
        posted = [await t.post() for _ in range(4)]
    assert [line["event"] for line in lines] == ["events stay without pictures"]
    await t.written()
    assert [(await t.get(event)).picture for event in posted] == [True, True, False, False]
    assert t.files.fault is None  # it keeps up again
    monkeypatch.setattr(files_module, "MAX_WAITING_BYTES", 10)
    assert not t.files.put(posted[0], b"x" * 11)


async def test_a_disk_that_hangs_holds_up_nobody(made, monkeypatch):
    monkeypatch.setattr(files_module, "DISK_S", 0.05)
    t = made()
    hangs, write = threading.Event(), t.files.folders.write

    def hanging(path, data):
        hangs.wait(PATIENCE_S)
        write(path, data)

    monkeypatch.setattr(t.files.folders, "write", hanging)
    lost = await t.post()
    await t.written()
    assert "did not answer within 0.05 s" in t.files.fault
    assert not (await t.get(lost)).picture
    monkeypatch.setattr(t.files.folders, "write", write)
    also = await t.post()
    await t.written()  # the thread is still busy
    assert not (await t.get(also)).picture
    hangs.set()
    while t.files.fault is not None:
        again = await t.post()
        await t.written()
    assert (await t.get(again)).picture


async def test_a_folder_that_is_a_file_is_a_fault_and_no_crash(made, tmp_path):
    (tmp_path / "timeline").write_text("in the way")
    t = made()
    event = await t.post()
    await t.written()
    assert "cannot be written" in t.files.fault
    assert not (await t.get(event)).picture


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "evt_", "evt_UPPER", "evt_a/b", "evt_" + "a" * 41, "evt_a\n"])
def test_only_ids_become_names_of_files(tmp_path, id):
    with pytest.raises(ValueError, match="is no id"):
        DayFolders(tmp_path).path(id, 0.0, ".jpg")


@pytest.mark.parametrize("wall", [-1e18, 1e18, float("inf"), float("nan"), -5.0, 253_402_300_800.0])
def test_times_of_clocks_that_are_far_off_have_a_folder(tmp_path, wall):
    path = DayFolders(tmp_path).path("evt_1", wall, ".jpg")
    assert path.parent.parent == tmp_path


async def test_a_deleted_event_whose_picture_waits_behind_others_leaves_nothing(made):
    t = made()
    several = [await t.post() for _ in range(files_module.BATCH)]
    last = await t.post(b"behind")
    await t.events.delete([last.id])
    await t.files.removed()
    path = t.files.folders.path(last.id, last.wall, ".jpg")
    assert not path.exists()
    assert len(list(path.parent.iterdir())) == len(several)
    assert t.files._bytes == 0


async def test_a_picture_of_a_forgotten_past_goes_at_once(made):
    t = made()
    row = "INSERT INTO erasures (scope, since, until, at_wall, done) VALUES ('', 0, ?, ?, 1)"
    await t.db.write(lambda c: c.execute(row, (NOW + 1, NOW + 1)))
    for writes_first in (False, True):
        event = remark()
        assert t.files.put(event, b"secret")
        if writes_first:
            await t.files.removed()
        t.events.post(replace(event, picture=True))
        await t.db.write(lambda connection: None)
        await asyncio.sleep(0)
        await t.files.removed()
        assert t.files.waiting == 0
        assert not t.files.folders.path(event.id, event.wall, ".jpg").exists()


async def test_a_picture_of_an_event_that_is_dropped_goes_at_once(made, monkeypatch):
    t = made()
    monkeypatch.setattr(t.db, "post", lambda *args, **more: False)
    event = await t.post()
    assert t.files.waiting == 0
    await t.files.removed()
    assert not t.files.folders.path(event.id, event.wall, ".jpg").exists()


async def test_the_same_event_twice_keeps_its_picture(made):
    t = made()
    event = await t.post()
    await t.written()
    t.events.post(replace(event, picture=True))
    await t.written()
    assert t.files.folders.path(event.id, event.wall, ".jpg").exists()


async def test_files_that_cannot_be_removed_are_tried_again(made, monkeypatch):
    t = made()
    event, path = await t.add()
    remove = t.files.folders.remove
    monkeypatch.setattr(t.files.folders, "remove", lambda paths: 0)
    await t.events.delete([event.id])
    for _ in range(2):
        with pytest.raises(StoreError):
            await t.files.removed()
    await t.files.aclose()
    monkeypatch.setattr(t.files.folders, "remove", remove)
    await t.files.removed()
    assert not path.exists()


async def test_a_file_that_came_after_it_was_given_up_goes_with_its_event(made):
    t = made()
    event = remark()
    t.events.post(event)
    await t.db.write(lambda connection: None)
    late = t.files.folders.path(event.id, event.wall, ".jpg")
    t.files.folders.write(late, b"late")
    begun = t.files.folders.temporary(event.id, ".mp4")
    begun.write_bytes(b"half")
    await t.events.delete([event.id])
    await t.files.removed()
    assert not late.exists()
    assert not begun.exists()


async def test_what_was_given_up_is_swept(made):
    t = made()
    old, new = (t.files.folders.temporary(remark().id, ".mp4") for _ in range(2))
    for path, written in ((old, NOW - 3700), (new, NOW - 60)):
        path.write_bytes(b"clip")
        os.utime(path, (written,) * 2)
    await t.files.quota.sweep(t.files._threads)
    assert not old.exists()
    assert new.exists()


async def test_a_clip_is_not_left_where_the_store_cannot_be_read(made, monkeypatch):
    t = made()
    event = await t.post()
    await t.written()

    async def broken(ids):
        raise StoreError("The store is away.")

    monkeypatch.setattr(t.events, "known", broken)
    temporary = await t.files.unfinished(event)
    temporary.write_bytes(b"clip")
    with pytest.raises(StoreError):
        await t.files.take_over(temporary, event)
    assert not t.files.clip(event).exists()
