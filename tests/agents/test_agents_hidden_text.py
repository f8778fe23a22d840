"""Whatever kind an agent is of: its words reach nobody with characters that hide something, or turn directions."""

from __future__ import annotations

from joyvl_server.agents.base import AgentError, PermissionOption, PermissionRequest
from joyvl_server.agents.draft import TaskDraft

ODD = "a\u202eb\x1b[2J"
SHOWN = "a\ufffdb\ufffd[2J"
CHOICES = (PermissionOption("yes", ODD, "allow_once"), PermissionOption("no", "No", "reject_once"))


async def test_progress_permissions_and_answers_show_what_was_hidden(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Which van?"))
    run = await t.run()
    run.says(f"{ODD}\nlooks")
    told = f"{SHOWN} looks"

    async def asks(run):
        await run.asks(PermissionRequest(ODD, f"rm {ODD}\nls", CHOICES))

    run.does(asks)
    asked = (await t.reaches(task.id, "waiting")).permission
    assert asked is not None
    assert (asked["title"], asked["detail"], asked["options"][0]["name"]) == (SHOWN, f"rm {SHOWN}\nls", SHOWN)
    await t.queue.answer_permission(task.id, asked["id"], "yes")
    run.finishes(f"**{ODD}**\r\nnext \U0001f469\u200d\U0001f52c")
    done = await t.reaches(task.id, "completed")
    assert done.answer == f"**{SHOWN}**\nnext \U0001f469\u200d\U0001f52c"
    assert "\u202e" not in done.digest
    assert told in [line.text for line in await t.tasks.log.of(task.id)]


async def test_a_failure_does_so_too(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Which van?"))
    (await t.run()).does(AgentError(f"It said: {ODD}", code="refused"))
    assert (await t.reaches(task.id, "failed")).error == f"It said: {SHOWN}"
