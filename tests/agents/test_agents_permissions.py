"""What an agent asks for while it works, and what it says of its work."""

from __future__ import annotations

import asyncio

import pytest

from fakes.agents.scripted_agent import DELETE, until
from joyvl_server.agents.base import AnswerDelta, PermissionOption, PermissionRequest
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.errors import Conflict, NotFound


async def asked(t, number=1):
    """A task whose agent asks for a permission: the task as it waits, and the run."""
    task = await t.queue.submit(TaskDraft(f"Q{number}", session_id=f"ses_{number}"))
    run = await t.run(number)
    run.does(type(run).asks)
    return await t.reaches(task.id, "waiting"), run


@pytest.mark.parametrize("option", ["yes", "no", None])
async def test_a_permission_is_answered_by_a_person(make, option):
    t = await make()
    task, run = await asked(t)
    assert task.permission == {
        "id": task.permission["id"],
        "title": "Delete a file",
        "detail": "rm notes.txt",
        "options": [
            {"id": "yes", "name": "Allow", "kind": "allow_once"},
            {"id": "no", "name": "Reject", "kind": "reject_once"},
        ],
        "until": t.clock.wall() + t.settings.permission_timeout_s,
    }
    await t.queue.answer_permission(task.id, task.permission["id"], option)
    await until(lambda: run.answers == [option])
    run.finishes()
    assert (await t.reaches(task.id, "completed")).permission is None
    assert t.states(task.id) == ["queued", "running", "waiting", "running", "completed"]
    outcome = {"yes": "allowed once", "no": "denied", None: "denied"}[option]
    [line] = await t.queue.records.log(task.id)
    assert (line.wall, line.text) == (t.clock.wall(), f"Delete a file: rm notes.txt → {outcome}")


async def test_a_permission_that_nobody_answers_is_denied(make):
    t = await make(permission_timeout_s=20.0)
    task, run = await asked(t)
    await t.clock.advance(19.0)
    assert run.answers == []
    await t.clock.advance(1.0)
    await until(lambda: run.answers == [None])
    with pytest.raises(Conflict, match="not asked for any more"):
        await t.queue.answer_permission(task.id, task.permission["id"], "yes")
    run.finishes()
    await t.reaches(task.id, "completed")
    [line] = await t.queue.records.log(task.id)
    assert line.text.endswith("→ nobody answered, so it was denied")


async def test_answers_that_do_not_fit_change_nothing(make):
    t = await make()
    task, run = await asked(t)
    asked_id = task.permission["id"]
    with pytest.raises(NotFound):
        await t.queue.answer_permission(task.id, asked_id, "always")
    with pytest.raises(Conflict):
        await t.queue.answer_permission(task.id, "prm_other", "yes")
    with pytest.raises(NotFound):
        await t.queue.answer_permission("tsk_none", asked_id, "yes")
    assert run.answers == []
    await t.queue.answer_permission(task.id, asked_id, "yes")
    with pytest.raises(Conflict):
        await t.queue.answer_permission(task.id, asked_id, "no")
    await until(lambda: run.answers == ["yes"])


async def test_two_permissions_at_once_are_asked_one_after_the_other(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Q"))
    run = await t.run()

    async def both(run):
        second = PermissionRequest("Send a mail", "mail", DELETE.options)
        run.answers.extend(await asyncio.gather(run.ask(DELETE), run.ask(second)))

    run.does(both)
    first = (await t.reaches(task.id, "waiting")).permission
    assert first["title"] == "Delete a file"
    await t.queue.answer_permission(task.id, first["id"], "yes")
    await until(lambda: any((change.permission or {}).get("title") == "Send a mail" for change in t.changes))
    second = (await t.tasks.get(task.id)).permission
    with pytest.raises(Conflict):
        await t.queue.answer_permission(task.id, first["id"], "yes")
    await t.queue.answer_permission(task.id, second["id"], "no")
    await until(lambda: run.answers == ["yes", "no"])


async def test_two_tasks_that_ask_do_not_mix_their_answers(make):
    t = await make()
    first, one = await asked(t, 1)
    second, two = await asked(t, 2)
    with pytest.raises(Conflict):
        await t.queue.answer_permission(first.id, second.permission["id"], "yes")
    await t.queue.answer_permission(second.id, second.permission["id"], "yes")
    await until(lambda: two.answers == ["yes"])
    assert one.answers == []


async def test_what_an_agent_asks_is_bounded(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Q"))
    run = await t.run()
    options = tuple(PermissionOption(str(n), "n" * 10_000, "allow_once") for n in range(1000))
    run.does(lambda run: run.asks(PermissionRequest("t" * 10_000, "d" * 1_000_000, options)))
    permission = (await t.reaches(task.id, "waiting")).permission
    assert len(str(permission)) < 15_000
    with pytest.raises(NotFound):
        await t.queue.answer_permission(task.id, permission["id"], "999")


async def test_progress_is_told_twice_a_second_at_most_and_the_newest_counts(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Q"))
    run = await t.run()
    run.says("one\n  line")
    await until(lambda: any(change.progress == "one line" for change in t.changes))
    run.says(*(f"step {n}" for n in range(1000)))
    await until(lambda: run.steps.empty())
    for _ in range(4):
        await asyncio.sleep(0.03)
        await t.clock.advance(0.5)
    await until(lambda: t.changes[-1].progress == "step 999")
    told = [change.progress for change in t.changes if change.progress]
    assert len(told) <= 3
    run.finishes()
    assert (await t.reaches(task.id, "completed")).progress == ""
    lines = [line.text for line in await t.queue.records.log(task.id)]
    assert lines == [f"step {n}" for n in range(800, 1000)]


async def test_progress_of_an_answer_shows_what_is_being_written(make):
    t = await make()
    await t.queue.submit(TaskDraft("Q"))
    run = await t.run()
    for word in ("It ", "is ", "a ", "cat."):
        run.does(AnswerDelta(word))
    await until(lambda: run.steps.empty())
    await asyncio.sleep(0.03)
    await t.clock.advance(0.5)
    await until(lambda: t.changes[-1].progress == "… It is a cat.")


async def test_an_agent_that_says_a_lot_is_bounded(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Q"))
    run = await t.run()
    run.says("x" * 5_000_000)
    for _ in range(20):
        run.does(AnswerDelta("y" * 1_000_000))
    run.finishes()
    await t.reaches(task.id, "completed")
    assert max(len(change.progress) for change in t.changes) <= 300
