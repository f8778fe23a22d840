"""What may run, what waits, what is refused, and what is one and the same task."""

from __future__ import annotations

import asyncio

import pytest

from fakes.agents.scripted_agent import until
from joyvl_server.agents.base import BundleFrame, TaskBundle
from joyvl_server.agents.draft import URGENT, TaskDraft
from joyvl_server.core.errors import Conflict, NotAllowed, NotFound


def asks(question: str, **changes) -> TaskDraft:
    return TaskDraft(question, **({"session_id": "ses_a"} | changes))


async def test_a_task_runs_and_its_answer_stays(make):
    t = await make()
    frame = BundleFrame(b"jpeg", 3.0, 4.0)
    given = TaskBundle("", "?", frames=(frame,), transcript=("heard: hi",))
    task = await t.queue.submit(asks(" What is it? ", note="a box", t=3.0, origin="user"), given)
    assert task.question == "What is it?"
    run = await t.run()
    assert run.folder.is_dir()
    assert not list(run.folder.iterdir())
    assert (run.bundle.task_id, run.bundle.origin, run.bundle.note) == (task.id, "user", "a box")
    assert run.bundle.frames == (frame,)
    assert run.bundle.transcript == ("heard: hi",)
    run.finishes("# It\n\nIt is **blue**.", "agent-7")
    done = await t.reaches(task.id, "completed")
    assert (done.answer, done.digest, done.agent_session) == ("# It\n\nIt is **blue**.", "It. It is blue.", "agent-7")
    assert done.delivered is None
    assert t.states(task.id) == ["queued", "running", "completed"]
    await until(lambda: not run.folder.exists())
    assert run.closed


async def test_ten_identical_delegations_in_ten_seconds_make_one_task(make):
    t = await make()
    ids = set()
    for second in range(10):
        ids.add((await t.queue.submit(asks("Who is that?" if second % 2 else " who is THAT "))).id)
        await t.clock.advance(1.0)
    assert len(ids) == 1
    other = await t.queue.submit(asks("Who is the second one?"))
    assert other.id not in ids
    assert len(await t.tasks.list()) == 2


async def test_ten_identical_delegations_at_the_same_moment_make_one_task(make):
    t = await make()
    written = await asyncio.gather(*(t.queue.submit(asks("Who is that?")) for _ in range(10)))
    assert len({task.id for task in written}) == 1
    await t.run()
    assert len(t.agent().runs) == 1


async def test_a_question_just_answered_is_not_asked_again_but_later_it_is(make):
    t = await make(same_s=60.0)
    first = await t.queue.submit(asks("Who?"))
    (await t.run()).finishes()
    await t.reaches(first.id, "completed")
    await t.clock.advance(59.0)
    assert (await t.queue.submit(asks("Who?"))).id == first.id
    await t.clock.advance(2.0)
    assert (await t.queue.submit(asks("Who?"))).id != first.id


async def test_a_question_that_failed_may_be_asked_again(make):
    t = await make()
    first = await t.queue.submit(asks("Who?"))
    (await t.run()).does(OSError("broken"))
    await t.reaches(first.id, "failed")
    assert (await t.queue.submit(asks("Who?"))).id != first.id


async def test_other_sessions_agents_and_alone_are_other_tasks(make):
    t = await make(agents=("fake", "second"))
    drafts = [asks("Who?"), asks("Who?", session_id="ses_b"), asks("Who?", agent="second"), asks("Who?", alone=True)]
    assert len({(await t.queue.submit(draft)).id for draft in drafts}) == 4


async def test_limits_of_a_session_and_of_all(make):
    t = await make(at_once=3, session_at_once=2)
    tasks = [await t.queue.submit(asks(f"Q{n}")) for n in range(4)]
    others = [await t.queue.submit(asks(f"Q{n}", session_id="ses_b")) for n in range(2)]
    await t.run(3)
    await asyncio.sleep(0.05)
    assert len(t.agent().runs) == 3
    working = {run.bundle.task_id for run in t.agent().runs}
    assert working == {tasks[0].id, tasks[1].id, others[0].id}
    t.agent().runs[2].finishes()
    await t.run(4)
    assert t.agent().runs[3].bundle.task_id in (others[1].id, tasks[2].id)


async def test_the_urgent_come_first_then_the_oldest(make):
    t = await make(at_once=1)
    await t.queue.submit(asks("first"))
    await t.run()
    for question, priority in (("b", 0), ("c", 0), ("urgent", URGENT)):
        await t.queue.submit(asks(question, priority=priority))
    for number in range(1, 5):
        (await t.run(number)).finishes()
    assert [run.bundle.question for run in t.agent().runs] == ["first", "urgent", "b", "c"]


async def test_too_many_are_refused_and_the_same_is_still_the_same(make):
    t = await make(at_once=1, session_queued=2, max_queued=3)
    await t.queue.submit(asks("runs"))
    await t.run()
    waiting = [await t.queue.submit(asks(f"Q{n}")) for n in range(2)]
    with pytest.raises(NotAllowed, match="session_queued") as refused:
        await t.queue.submit(asks("Q9"))
    assert refused.value.code == "too_many_tasks"
    assert (await t.queue.submit(asks("Q1"))).id == waiting[1].id
    await t.queue.submit(asks("other", session_id="ses_b"))
    with pytest.raises(NotAllowed, match="max_queued"):
        await t.queue.submit(asks("another", session_id="ses_c"))


async def test_what_cannot_be_asked(make):
    t = await make()
    with pytest.raises(Conflict):
        await t.queue.submit(asks("  "))
    with pytest.raises(NotFound, match="There are: fake"):
        await t.queue.submit(asks("Q", agent="nobody"))
    with pytest.raises(NotFound):
        await t.queue.submit(asks("Q", follows="tsk_none"))
    nobody = await make(agents=())
    assert not nobody.queue.able
    with pytest.raises(Conflict) as none:
        await nobody.queue.submit(asks("Q"))
    assert none.value.code == "no_agent"


async def test_a_follow_up_knows_what_came_before_and_stays_with_its_agent(make):
    t = await make(agents=("fake", "second"))
    first = await t.queue.submit(asks("Who?", agent="second", camera_id="cam_1"))
    run = await t.run(1, "second")
    with pytest.raises(Conflict, match="not ended"):
        await t.queue.submit(asks("And?", follows=first.id))
    run.finishes("A cat.", "agent-7")
    await t.reaches(first.id, "completed")
    then = await t.queue.submit(TaskDraft("And why?", follows=first.id))
    assert (then.agent, then.session_id, then.camera_id) == ("second", "ses_a", "cam_1")
    bundle = (await t.run(2, "second")).bundle
    assert bundle.earlier == (("Who?", "A cat."),)
    assert bundle.agent_session == "agent-7"
    t.agent("second").runs[1].finishes("Because.")
    await t.reaches(then.id, "completed")
    await t.queue.submit(asks("Once more?", follows=then.id, agent="fake"))
    bundle = (await t.run(1, "fake")).bundle
    assert bundle.earlier == (("Who?", "A cat."), ("And why?", "Because."))
    assert bundle.agent_session is None


async def test_a_submission_that_is_cancelled_runs_all_the_same(make):
    t = await make()
    submitting = asyncio.create_task(t.queue.submit(asks("Who?"), TaskBundle("", "?", transcript=("a",))))
    while not t.queue._unfinished:  # it may be over soon: no moment is let pass
        await asyncio.sleep(0)
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    assert (await t.run()).bundle.transcript == ("a",)


async def test_what_was_told_is_told_once(make):
    t = await make()
    task = await t.queue.submit(asks("Who?", camera_id="cam_1"))
    await t.queue.deliver(task.id, "shown")
    assert (await t.tasks.get(task.id)).delivered is None, "it has no outcome yet"
    (await t.run()).finishes()
    await t.reaches(task.id, "completed")
    assert [one.id for one in await t.queue.undelivered(session_id="ses_next", camera_id="cam_1")] == [task.id]
    await asyncio.gather(t.queue.deliver(task.id, "spoken"), t.queue.deliver(task.id, "shown"))
    assert sum(change.delivered is not None for change in t.changes) == 1
    assert await t.queue.undelivered(session_id="ses_a", camera_id="cam_1") == []
    with pytest.raises(NotFound):
        await t.queue.deliver("tsk_none", "shown")


async def test_a_listener_that_fails_hurts_nobody(make):
    t = await make()

    class Broken:
        def task_changed(self, task):
            raise RuntimeError

    end = t.queue.listen(Broken())
    task = await t.queue.submit(asks("Who?"))
    (await t.run()).finishes()
    await t.reaches(task.id, "completed")
    end()
    end()
