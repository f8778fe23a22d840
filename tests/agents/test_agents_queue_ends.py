"""How tasks end when they do not end well: cancelled, late, broken, stopped, and with a database that fails."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from fakes.agents.scripted_agent import QueueUnderTest, until
from joyvl_server.agents.base import AgentError, Finished, TaskBundle
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.states import RETRY_S
from joyvl_server.agents.working import CUT, MAX_ANSWER
from joyvl_server.core.errors import NotFound, StoreError


def asks(question: str, **changes) -> TaskDraft:
    return TaskDraft(question, **({"session_id": "ses_a"} | changes))


class FailingDisk:
    """Makes every write of tasks fail while it is `full`."""

    def __init__(self, db, monkeypatch):
        self.full = False
        self.refused = 0
        write = db.write

        async def failing(work):
            if self.full:
                self.refused += 1
                raise StoreError("The disk is full.")
            return await write(work)

        monkeypatch.setattr(db, "write", failing)


@pytest.fixture
def disk(db, monkeypatch):
    return FailingDisk(db, monkeypatch)


# ------------------------------------------------------------------------------------------------------------ cancelled


async def test_a_task_that_waits_is_cancelled_and_never_runs(make):
    t = await make(at_once=1)
    await t.queue.submit(asks("runs"))
    await t.run()
    waits = await t.queue.submit(asks("waits"), TaskBundle("", "?"))
    assert (await t.queue.cancel(waits.id)).status == "cancelled"
    assert t.bundles() == []
    t.agent().runs[0].finishes()
    last = await t.queue.submit(asks("last"))
    assert (await t.run(2)).bundle.task_id == last.id
    assert t.states(waits.id) == ["queued", "cancelled"]


@pytest.mark.parametrize("asking", [False, True])
async def test_cancelling_waits_until_the_agent_has_ended_everything(make, asking):
    t = await make()
    t.agent().closes_at_once = False
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    if asking:
        run.does(type(run).asks)
        await t.reaches(task.id, "waiting")
    cancels = [asyncio.create_task(t.queue.cancel(task.id)) for _ in range(3)]
    await until(lambda: run.closing)
    await asyncio.sleep(0.05)
    assert not any(cancel.done() for cancel in cancels), "its agent has not ended yet, however often one cancels"
    assert run.folder.exists()
    run.may_close.set()
    ended = await asyncio.gather(*cancels)
    assert [one.status for one in ended] == ["cancelled"] * 3
    assert run.closed
    assert not run.folder.exists()
    assert (ended[0].permission, ended[0].code) == (None, "cancelled")
    assert t.states(task.id)[-1] == "cancelled"


async def test_cancelling_goes_on_when_the_caller_leaves(make):
    t = await make()
    t.agent().closes_at_once = False
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    cancelling = asyncio.create_task(t.queue.cancel(task.id))
    await asyncio.sleep(0)
    cancelling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelling
    run.may_close.set()
    await until(lambda: run.closed)
    assert (await t.tasks.get(task.id)).status == "cancelled"


async def test_cancelled_at_the_moment_of_its_start_nothing_runs_on(make, monkeypatch):
    """Whichever comes first, the agent does not work on a task that is cancelled."""
    t = await make(at_once=4, session_at_once=4)
    for number in range(30):
        task = await t.queue.submit(asks(f"Q{number}"))
        for _ in range(number % 6):
            await asyncio.sleep(0.001)
        assert (await t.queue.cancel(task.id)).status == "cancelled"
        assert t.states(task.id)[-1] == "cancelled"
    assert all(run.closed for run in t.agent().runs)
    assert t.queue._running == {}


async def test_what_has_ended_stays_as_it_is(make):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    (await t.run()).finishes()
    await t.reaches(task.id, "completed")
    assert (await t.queue.cancel(task.id)).status == "completed"
    with pytest.raises(NotFound):
        await t.queue.cancel("tsk_none")


async def test_cancelled_while_it_is_ended_for_its_time_the_agent_still_ends_first(make):
    t = await make(timeout_s=30.0)
    t.agent().closes_at_once = False
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    await t.clock.advance(30.0)
    await until(lambda: run.closing)
    cancelling = asyncio.create_task(t.queue.cancel(task.id))
    await asyncio.sleep(0.05)
    assert not cancelling.done()
    run.may_close.set()
    assert (await cancelling).status == "cancelled"
    assert run.closed


# ------------------------------------------------------------------------------------------------------ late or broken


async def test_a_task_that_takes_too_long(make):
    t = await make(timeout_s=30.0)
    task = await t.queue.submit(asks("Who?", timeout_s=500.0))
    run = await t.run()
    await t.clock.advance(29.0)
    assert not run.closing
    await t.clock.advance(1.0)
    failed = await t.reaches(task.id, "failed")
    assert (failed.code, failed.error) == ("timeout", "It did not end within 30 s.")
    assert run.closed


@pytest.mark.parametrize(
    ("step", "code", "error"),
    [
        (AgentError("It wants a login.", code="login"), "login", "It wants a login."),
        (ValueError("secret"), "internal", "It failed: ValueError."),
        (RecursionError(), "internal", "It failed: RecursionError."),
        (StopAsyncIteration(), "internal", "It failed: RuntimeError."),
    ],
)
async def test_an_agent_that_fails(make, step, code, error):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    (await t.run()).does(step)
    failed = await t.reaches(task.id, "failed")
    assert (failed.code, failed.error) == (code, error)
    await t.queue.submit(asks("next"))
    await t.run(2)


async def test_an_agent_that_ends_without_an_answer(make, monkeypatch):
    t = await make()

    async def nothing(bundle, folder, ask):
        return
        yield

    monkeypatch.setattr(t.agent(), "run", nothing)
    task = await t.queue.submit(asks("Who?"))
    assert (await t.reaches(task.id, "failed")).code == "died"


async def test_an_agent_that_is_there_no_more_fails_its_tasks(make, db, tmp_path, monkeypatch):
    t = await make(at_once=1)
    await t.queue.submit(asks("runs"))
    await t.run()
    waits = await t.queue.submit(asks("waits"))
    await t.queue.aclose()
    later = QueueUnderTest(tmp_path / "agents", db, monkeypatch, agents=("other",))
    await later.queue.start()
    failed = await later.reaches(waits.id, "failed")
    assert "There is no agent fake" in failed.error
    await later.queue.aclose()


async def test_an_answer_that_is_too_long_is_cut_and_says_so(make):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    (await t.run()).finishes("x" * (MAX_ANSWER + 1))
    answer = (await t.reaches(task.id, "completed")).answer
    assert len(answer) == MAX_ANSWER
    assert answer.endswith(CUT)


# ------------------------------------------------------------------------------------------------- database that fails


async def test_no_answer_is_lost_while_the_database_fails(make, disk):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    disk.full = True
    run.says("working")
    run.finishes("A cat.")
    await until(lambda: disk.refused >= 2 and t.clock.sleepers > 0)
    assert (await t.tasks.get(task.id)).status == "running"
    disk.full = False
    await t.clock.advance(RETRY_S)
    assert (await t.reaches(task.id, "completed")).answer == "A cat."


async def test_a_failure_is_written_once_the_database_works(make, disk):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    disk.full = True
    run.does(AgentError("Gone.", code="died"))
    await until(lambda: disk.refused > 0)
    await t.clock.settle()
    disk.full = False
    await until(lambda: t.clock.sleepers > 0)
    await t.clock.advance(RETRY_S)
    assert (await t.reaches(task.id, "failed")).error == "Gone."


async def test_a_permission_that_cannot_be_shown_to_anybody_is_denied(make, disk):
    t = await make()
    await t.queue.submit(asks("Who?"))
    run = await t.run()
    disk.full = True
    run.does(type(run).asks)
    await until(lambda: run.answers == [None])


async def test_what_waits_starts_once_the_database_works(make, disk):
    t = await make(at_once=1)
    await t.queue.submit(asks("first"))
    run = await t.run()
    await t.queue.submit(asks("second"))
    run.finishes()
    disk_refused = disk.refused
    disk.full = True
    await until(lambda: disk.refused > disk_refused)
    disk.full = False
    await until(lambda: t.clock.sleepers > 0 or len(t.agent().runs) > 1)
    await t.clock.advance(RETRY_S)
    await t.clock.advance(RETRY_S)
    assert (await t.run(2)).bundle.question == "second"


async def cancelled_unwritten(t, disk):
    """A task that runs is cancelled while the disk is full: (the task, its run)."""
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    disk.full = True
    with pytest.raises(StoreError):
        await t.queue.cancel(task.id)
    return task, run


async def test_cancelling_ends_the_agent_even_if_nothing_can_be_written(make, disk):
    t = await make()
    task, run = await cancelled_unwritten(t, disk)
    assert run.closed
    disk.full = False
    assert (await t.queue.cancel(task.id)).status == "cancelled"


async def test_files_that_cannot_be_kept_cost_the_files_alone(make, monkeypatch):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    (run.folder / "a.txt").write_text("x")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("joyvl_server.agents.task_files.shutil.move", full)
    run.finishes("A cat.")
    done = await t.reaches(task.id, "completed")
    assert done.answer.startswith("A cat.")
    assert "could not be kept" in done.answer
    assert done.files == ()


# ---------------------------------------------------------------------------------------------- stopped and restarted


async def test_what_runs_when_the_server_stops_has_failed_and_what_waits_runs_at_the_next_start(
    make, db, tmp_path, monkeypatch
):
    t = await make(at_once=1)
    t.agent().closes_at_once = False
    runs = await t.queue.submit(asks("runs"))
    run = await t.run()
    waits = await t.queue.submit(asks("waits", note="a box", origin="model"))
    closing = asyncio.create_task(t.queue.aclose())
    await until(lambda: run.closing)
    assert not closing.done()
    run.may_close.set()
    await closing
    assert run.closed
    assert t.agent().closed == 1
    assert (await t.tasks.get(runs.id)).code == "interrupted"
    await t.queue.aclose()
    later = QueueUnderTest(tmp_path / "agents", db, monkeypatch)
    await later.queue.start()
    bundle = (await later.run()).bundle
    assert (bundle.task_id, bundle.question, bundle.note, bundle.origin) == (waits.id, "waits", "a box", "model")
    later.agent().runs[0].finishes()
    await later.reaches(waits.id, "completed")
    await later.queue.aclose()


async def test_what_ran_when_the_server_was_killed_has_failed_and_listeners_know(make, db, tmp_path, monkeypatch):
    t = await make(at_once=2, session_at_once=2)
    tasks = [await t.queue.submit(asks(f"Q{n}")) for n in range(2)]
    (await t.run(2)).does(type(t.agent().runs[1]).asks)
    await until(lambda: any(change.status == "waiting" for change in t.changes))
    left = t.agent().runs[0].folder
    (left / "half.txt").write_text("x")
    # A second queue on the same data, while the first never gets to end anything: as after kill -9.
    later = QueueUnderTest(tmp_path / "agents", db, monkeypatch)
    await later.queue.start()
    for task in tasks:
        failed = await later.tasks.get(task.id)
        assert (failed.status, failed.code, failed.permission) == ("failed", "interrupted", None)
        assert later.states(task.id) == ["failed"]
    assert {one.id for one in await later.queue.undelivered(session_id="ses_a", camera_id=None)} == {
        task.id for task in tasks
    }
    assert not left.exists()
    for run in t.agent().runs:
        run.finishes("late")
    await t.clock.advance(t.settings.permission_timeout_s)
    await until(lambda: t.queue._running == {})
    assert [(await later.tasks.get(task.id)).status for task in tasks] == ["failed", "failed"]
    await later.queue.aclose()


async def test_an_answer_that_is_being_written_when_the_server_stops_is_kept(make, db, monkeypatch):
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    gate, write = asyncio.Event(), db.write
    waiting = asyncio.Event()

    async def slow(work):
        waiting.set()
        await gate.wait()
        return await write(work)

    monkeypatch.setattr(db, "write", slow)
    run.finishes("A cat.")
    await waiting.wait()
    closing = asyncio.create_task(t.queue.aclose())
    await asyncio.sleep(0.05)
    gate.set()
    await closing
    done = await t.tasks.get(task.id)
    assert (done.status, done.answer) == ("completed", "A cat.")


async def test_sqlite_itself_refuses_in_the_middle(make, db):
    """Not a stand-in: the table is locked by somebody else for a while, and all comes to a good end."""
    t = await make()
    task = await t.queue.submit(asks("Who?"))
    run = await t.run()
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    run.steps.put_nowait(Finished("A cat."))
    await asyncio.sleep(0.2)
    assert (await t.tasks.get(task.id)).status == "running"
    other.execute("ROLLBACK")
    other.close()
    for _ in range(40):
        await t.clock.advance(RETRY_S)
        await asyncio.sleep(0.05)
        if (await t.tasks.get(task.id)).ended:
            break
    assert (await t.tasks.get(task.id)).answer == "A cat."


async def test_cancelled_while_the_database_fails_the_end_is_written_when_it_works_again(make, disk):
    t = await make()
    task, run = await cancelled_unwritten(t, disk)
    assert run.closed, "its agent has ended all the same"
    assert t.queue._running == {}
    assert (await t.tasks.get(task.id)).status == "running"
    refused = disk.refused
    await t.clock.advance(RETRY_S)
    await until(lambda: disk.refused > refused)
    wall = t.clock.wall()
    disk.full = False
    await t.clock.advance(RETRY_S)
    done = await t.reaches(task.id, "cancelled")
    assert (done.code, done.error) == ("cancelled", "It was cancelled.")
    assert done.ended_wall < wall, "when it ended, not when that could be written"
    assert t.states(task.id) == ["queued", "running", "cancelled"]
    await t.queue.submit(asks("next"))
    await t.run(2)


async def test_what_could_not_be_written_until_the_server_stops_is_written_then(make, disk, db):
    t = await make()
    task, _ = await cancelled_unwritten(t, disk)
    disk.full = False
    await t.queue.aclose()
    assert (await t.tasks.get(task.id)).status == "cancelled"


async def test_what_could_never_be_written_has_failed_at_the_next_start(make, disk, db, tmp_path, monkeypatch):
    t = await make()
    task, _ = await cancelled_unwritten(t, disk)
    await t.queue.aclose()
    disk.full = False
    later = QueueUnderTest(tmp_path / "agents", db, monkeypatch)
    await later.queue.start()
    assert ((await later.tasks.get(task.id)).status, later.states(task.id)) == ("failed", ["failed"])
    await later.queue.aclose()
