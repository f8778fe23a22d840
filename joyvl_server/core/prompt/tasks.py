"""The questions that were handed over, until their results are there. Bounded."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.inputs import TaskChanged
from joyvl_server.core.prompt.prefix import MAX_LINE
from joyvl_server.core.prompt.wire_format import clean

MAX_TASKS = 64
MAX_RESULT = 2000


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What the model is told of it, and what stays in the history."""

    notice: str
    text: str
    known: bool
    """it was handed over in this session, not so long ago that it is forgotten"""


class DelegatedTasks:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._questions: dict[str, str] = {}
        self._count = 0

    def hand_over(self, question: str) -> str:
        """The id of a new task; of too many, the oldest is forgotten."""
        self._count += 1
        task_id = f"{self._prefix}{self._count}"
        self._questions[task_id] = clean(question, MAX_LINE)
        if len(self._questions) > MAX_TASKS:
            del self._questions[next(iter(self._questions))]
        return task_id

    def changed(self, change: TaskChanged) -> TaskOutcome | None:
        """The outcome worth telling; None where there is none yet, or nobody wants it any more."""
        if change.status not in ("completed", "failed", "cancelled"):
            return None
        question = self._questions.pop(change.task_id, "")
        if change.status == "cancelled":
            return None
        found = "Result of" if change.status == "completed" else "No result of"
        result = clean(change.result, MAX_RESULT)
        text = f"{question}: {result}" if question else result
        return TaskOutcome(f"[{found} the question handed over] {text}", text, question != "")
