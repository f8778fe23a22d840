"""The record of delegated tasks: one end counts, one delivery counts, the same is one, nothing untold is deleted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import INTERRUPTED, TaskFile, TaskOutline, TaskRecord, Tasks


def task(number: int, **changes) -> TaskRecord:
    base = TaskRecord(
        id=f"tsk_{number:03}",
        session_id="ses_a",
        camera_id="cam_a",
        agent="fake",
        status="queued",
        origin="model",
        question=f"Q{number}",
        note="",
        same_as=f"same {number}",
        follows=None,
        priority=0,
        timeout_s=60.0,
        t=1.5,
        created_wall=100.0 + number,
    )
    return replace(base, **changes)


@pytest.fixture
def tasks(db):
    return Tasks(db)


async def add(tasks, *records):
    for record in records:
        await tasks.add(record, same_since=0.0)


async def test_every_field_comes_back_as_it_was_written(tasks):
    permission = {"id": "prm_1", "options": [{"id": "yes", "name": "Ja 🙂"}]}
    full = task(
        1, status="waiting", note="a\nb", follows="tsk_000", priority=10, t=None, started_wall=1.5, progress="p",
        permission=permission, answer="# A\u2028", digest="d", error="e", code="c", files=(TaskFile("a/b.txt", 7),),
        agent_session="s",
    )  # fmt: skip
    await add(tasks, full)
    assert await tasks.get("tsk_001") == full
    assert await tasks.list() == [TaskOutline(replace(full, answer=""), answer_chars=4)]
    with pytest.raises(NotFound):
        await tasks.get("tsk_none")


async def test_the_same_is_one_while_it_is_open_or_was_just_answered(tasks):
    first = task(1, same_as="x")
    await add(tasks, first)
    for status in ("queued", "running", "waiting"):
        await tasks.update("tsk_001", status=status)
        assert (await tasks.add(task(2, same_as="x"), same_since=50.0)).id == "tsk_001"
    await tasks.update("tsk_001", status="completed", ended_wall=50.0)
    assert (await tasks.same("x", since=50.0)).id == "tsk_001"
    assert await tasks.same("x", since=50.1) is None
    assert await tasks.same("y", since=0.0) is None
    assert (await tasks.add(task(2, same_as="x"), same_since=50.0)).id == "tsk_001"
    assert (await tasks.add(task(2, same_as="x"), same_since=50.1)).id == "tsk_002"
    assert len(await tasks.list()) == 2


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_what_failed_or_was_cancelled_may_be_asked_again(tasks, status):
    await add(tasks, task(1, same_as="x"))
    await tasks.update("tsk_001", status=status, ended_wall=50.0)
    assert (await tasks.add(task(2, same_as="x"), same_since=0.0)).id == "tsk_002"


async def test_an_id_is_used_once(tasks):
    await add(tasks, task(1))
    with pytest.raises(Conflict):
        await tasks.add(task(1, same_as="other"), same_since=0.0)


async def test_of_two_ends_the_first_counts(tasks):
    await add(tasks, task(1))
    ends = [tasks.update("tsk_001", status=status) for status in ("completed", "cancelled", "failed")]
    changed = await asyncio.gather(*ends)
    assert [one is not None for one in changed] == [True, False, False]
    assert (await tasks.get("tsk_001")).status == "completed"
    assert await tasks.update("tsk_001", progress="late") is None
    with pytest.raises(NotFound):
        await tasks.update("tsk_none", status="failed")


async def test_changes_wait_for_the_status_they_are_for(tasks):
    await add(tasks, task(1))
    assert await tasks.update("tsk_001", since=("running",), progress="x") is None
    assert (await tasks.get("tsk_001")).progress == ""


async def test_one_delivery_counts(tasks):
    await add(tasks, task(1))
    assert not await tasks.deliver("tsk_001", "spoken", 1.0), "there is nothing to tell yet"
    await tasks.update("tsk_001", status="failed", ended_wall=2.0)
    first, second = await asyncio.gather(
        tasks.deliver("tsk_001", "spoken", 3.0), tasks.deliver("tsk_001", "shown", 4.0)
    )
    assert (first, second) == (True, False)
    found = await tasks.get("tsk_001")
    assert (found.delivered, found.delivered_wall) == ("spoken", 3.0)
    with pytest.raises(NotFound):
        await tasks.deliver("tsk_none", "shown", 1.0)


async def test_what_is_untold_of_a_session_or_its_camera(tasks):
    await add(
        tasks,
        task(1, status="completed", ended_wall=9.0),
        task(2, status="failed", ended_wall=8.0, session_id="ses_old"),
        task(3, status="completed", ended_wall=7.0, camera_id=None),
        task(4, status="completed", ended_wall=7.0, session_id="ses_other", camera_id="cam_b"),
        task(5, status="cancelled", ended_wall=7.0),
        task(6, status="running"),
        task(7, status="completed", ended_wall=6.0, delivered="shown"),
        task(8, status="completed", ended_wall=7.0, session_id="ses_other", camera_id=None),
    )

    async def untold(session_id, camera_id):
        return [one.question for one in await tasks.undelivered(session_id=session_id, camera_id=camera_id)]

    assert await untold("ses_a", "cam_a") == ["Q3", "Q2", "Q1"]
    assert await untold("ses_a", None) == ["Q3", "Q1"]
    assert await untold("ses_new", "cam_a") == ["Q2", "Q1"]
    assert await untold("ses_new", None) == []


async def test_the_urgent_wait_in_front_then_the_oldest(tasks):
    await add(
        tasks, task(1), task(2, priority=10), task(3, priority=-5), task(4, priority=10), task(5, status="running")
    )
    assert [one.question for one in await tasks.queued()] == ["Q2", "Q4", "Q1", "Q3"]


async def test_lists_have_filters_and_pages(tasks):
    await add(
        tasks,
        *(
            task(
                n,
                session_id="ses_b" if n % 2 else "ses_a",
                status="completed" if n < 4 else "queued",
                agent="codex" if n == 6 else "fake",
            )
            for n in range(8)
        ),
    )

    async def listed(**filters):
        return [int(one.task.question[1:]) for one in await tasks.list(**filters)]

    assert await listed() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert await listed(session_id="ses_a") == [6, 4, 2, 0]
    assert await listed(session_id="ses_b", status="completed") == [3, 1]
    assert await listed(camera_id="cam_x") == []
    assert await listed(agent="codex") == [6]
    assert await listed(limit=3, before="tsk_005") == [4, 3, 2]
    assert await listed(limit=0) == [7]


async def test_what_ran_when_the_server_was_killed(tasks):
    await add(
        tasks,
        task(1),
        task(2, status="running", progress="x"),
        task(3, status="waiting", permission={"id": "prm_1"}),
        task(4, status="completed", ended_wall=1.0, answer="a"),
    )
    failed = await tasks.fail_interrupted(500.0)
    assert [one.question for one in failed] == ["Q2", "Q3"]
    for one in failed:
        assert (one.status, one.error, one.code, one.ended_wall) == ("failed", INTERRUPTED, "interrupted", 500.0)
        assert (one.permission, one.progress) == (None, "")
        assert await tasks.get(one.id) == one
    assert [(await tasks.get(f"tsk_00{n}")).status for n in (1, 4)] == ["queued", "completed"]
    assert await tasks.fail_interrupted(600.0) == []


async def test_what_a_task_goes_on_with(tasks):
    await add(tasks, *(task(n, follows=f"tsk_{n - 1:03}" if n else None) for n in range(6)))
    last = await tasks.get("tsk_005")
    assert [one.question for one in await tasks.earlier(last, 3)] == ["Q2", "Q3", "Q4"]
    assert await tasks.earlier(await tasks.get("tsk_000"), 3) == []
    assert await tasks.earlier(replace(last, follows="tsk_gone"), 3) == []


async def test_what_has_ended_may_be_deleted(tasks):
    await add(tasks, task(1), task(2, status="completed", ended_wall=1.0))
    await tasks.delete("tsk_002")
    with pytest.raises(NotFound):
        await tasks.delete("tsk_002")
    with pytest.raises(Conflict):
        await tasks.delete("tsk_001")


async def test_the_oldest_that_were_told_are_deleted_and_no_other(db):
    tasks = Tasks(db, kept=2)
    await add(tasks, task(0, status="completed", ended_wall=1.0), task(1))
    for number in range(2, 7):
        await add(tasks, task(number, status="completed", ended_wall=1.0, delivered="shown"))
    assert [one.task.question for one in await tasks.list()] == ["Q6", "Q5", "Q1", "Q0"]


async def test_all_of_it_survives_a_restart(db, tasks):
    await add(tasks, task(1, answer="a", files=(TaskFile("x", 1),)))
    await db.aclose()
    again = await Database.open(db.path)
    assert await Tasks(again).get("tsk_001") == task(1, answer="a", files=(TaskFile("x", 1),))
    await again.aclose()
