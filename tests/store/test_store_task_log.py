"""The log of a task: bounded, in order, gone with its task."""

from __future__ import annotations

import pytest

from joyvl_server.core.errors import NotFound
from joyvl_server.store.task_log import MAX_LINES, TaskLogLine
from joyvl_server.store.tasks import TaskRecord, Tasks


async def test_lines_stay_in_order_are_bounded_and_go_with_their_task(db):
    tasks = Tasks(db)
    for name in ("tsk_a", "tsk_b"):
        task = TaskRecord(
            name, "ses", None, "fake", "completed", "model", "Who?", "", name, None, 0, 60.0, None, 1.0, ended_wall=2.0
        )
        await tasks.add(task, same_since=0.0)
    for start in range(0, 250, 50):
        await tasks.log.add("tsk_a", [TaskLogLine(n, f"line {n}") for n in range(start, start + 50)])
    await tasks.log.add("tsk_b", [TaskLogLine(1.5, "other")])
    kept = await tasks.log.of("tsk_a")
    assert [line.text for line in kept] == [f"line {n}" for n in range(250 - MAX_LINES, 250)]
    assert await tasks.log.of("tsk_b") == [TaskLogLine(1.5, "other")]
    await tasks.delete("tsk_a")
    assert await tasks.log.of("tsk_a") == []
    await tasks.log.add("tsk_a", [TaskLogLine(3.0, "late")])  # its agent was still ending
    assert await tasks.log.of("tsk_a") == []
    with pytest.raises(NotFound):
        await tasks.get("tsk_a")
