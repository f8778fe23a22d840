"""What goes along with tasks that wait: it outlives the server, belongs to them alone, and goes with them."""

from __future__ import annotations

import json
import shutil

import pytest

from fakes.agents.scripted_agent import QueueUnderTest, until
from joyvl_server.agents.base import BundleFrame, TaskBundle
from joyvl_server.agents.bundles import FACTS, WaitingBundles
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.errors import StoreError

FRAMES = (BundleFrame(b"\xff\xd8one", 1.5, 1_800_000_001.25), BundleFrame(b"\xff\xd8two", 2.0, 1_800_000_002.0))
GIVEN = TaskBundle("", "Who?", source="door", language="de", frames=FRAMES, transcript=("person: hi",), memories=("m",))


async def begun(make):
    """A queue with one task that runs and one that waits."""
    t = await make(at_once=1)
    await t.queue.submit(TaskDraft("runs"), GIVEN)
    await t.run()
    return t, await t.queue.submit(TaskDraft("waits"), GIVEN)


async def restarted(t, db, monkeypatch, make_agents=("fake",)) -> QueueUnderTest:
    later = QueueUnderTest(t.folder, db, monkeypatch, agents=make_agents)
    await later.queue.start()
    return later


async def test_a_task_that_waits_has_it_after_a_restart(make, db, monkeypatch):
    t, waits = await begun(make)
    assert t.bundles() == sorted([waits.id, t.agent().runs[0].bundle.task_id])
    await t.queue.aclose()
    assert t.bundles() == [waits.id], "what ran has ended"
    later = await restarted(t, db, monkeypatch)
    run = await later.run()
    assert (run.bundle.task_id, run.bundle.question) == (waits.id, "waits")
    for name in ("source", "language", "frames", "transcript", "memories"):
        assert getattr(run.bundle, name) == getattr(GIVEN, name)
    run.finishes()
    await later.reaches(waits.id, "completed")
    await until(lambda: later.bundles() == [])
    await later.queue.aclose()


async def test_what_belongs_to_no_task_that_waits_is_swept_at_the_start(make, db, monkeypatch):
    t, waits = await begun(make)
    await t.queue.aclose()
    for left in ("tsk_gone", ".tsk_half"):
        (t.folder / "waiting" / left).mkdir()
    (t.folder / "waiting" / "tsk_gone" / "frame_1.jpg").write_bytes(b"x")
    later = await restarted(t, db, monkeypatch)
    await later.run()
    assert later.bundles() == [waits.id]
    await later.queue.aclose()


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"frames": [[1.0, 2.0]]}', "\udcff"])
async def test_what_cannot_be_read_costs_the_pictures_and_not_the_task(make, db, monkeypatch, broken):
    t, waits = await begun(make)
    await t.queue.aclose()
    (t.folder / "waiting" / waits.id / FACTS).write_text(broken, errors="surrogateescape")
    later = await restarted(t, db, monkeypatch)
    run = await later.run()
    assert (run.bundle.question, run.bundle.frames) == ("waits", ())
    await later.queue.aclose()


async def test_a_disk_that_takes_nothing_costs_nothing_while_the_server_runs(make):
    t = await make()
    t.folder.mkdir(exist_ok=True)
    (t.folder / "waiting").write_text("no folder")
    await t.queue.submit(TaskDraft("runs"), GIVEN)
    assert (await t.run()).bundle.frames == FRAMES


async def test_a_task_that_is_not_written_leaves_nothing(make, monkeypatch):
    t = await make()

    async def fails(*args, **more):
        raise StoreError("The disk is full.")

    monkeypatch.setattr(t.tasks, "add", fails)
    with pytest.raises(StoreError):
        await t.queue.submit(TaskDraft("What?"), GIVEN)
    assert t.bundles() == []


async def test_one_that_is_joined_with_another_leaves_nothing(make):
    t = await make(at_once=1)
    await t.queue.submit(TaskDraft("runs"))
    await t.run()
    first = await t.queue.submit(TaskDraft("waits"), GIVEN)
    assert (await t.queue.submit(TaskDraft("waits"), GIVEN)).id == first.id
    assert t.bundles() == [first.id]


def test_killed_in_the_middle_it_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    bundles = WaitingBundles(tmp_path)
    monkeypatch.setattr(json, "dumps", lambda told: exec("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        bundles.keep("tsk_1", GIVEN)
    assert bundles.read("tsk_1") is None
    assert WaitingBundles(tmp_path).read("tsk_1") is None
    monkeypatch.undo()
    bundles.sweep({"tsk_1"})
    assert list(tmp_path.iterdir()) == []
    bundles.keep("tsk_1", GIVEN)
    assert (tmp_path / "tsk_1").stat().st_mode & 0o777 == 0o700
    assert WaitingBundles(tmp_path).read("tsk_1").frames == FRAMES
    shutil.rmtree(tmp_path / "tsk_1")
    bundles.remove("tsk_1")
