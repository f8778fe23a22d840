"""What came of delegated tasks, until people are told: by the model at a moment of its choice, else by the server.

The model reads each outcome at the tail of its next turn. If it speaks then, or later in words of it, people are told
that way. If it stays silent for `PATIENCE_S`, or does not read words at all, the server says it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from joyvl_server.core.decision.repetition import normal
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Urgency
from joyvl_server.core.effects import Effect, TaskTold, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import TaskChanged
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.notices import Notice
from joyvl_server.core.prompt.wire_format import clean

PATIENCE_S = 8.0
"""after the model has read an outcome it may wait so long for a good moment"""
UNREAD_S = 15.0
"""it does not read it at all: the engine is away, or busy"""
MOST = 16
LONGEST = 600
SHARED, LEAST = 0.5, 4
"""an utterance tells an outcome where this share of its words, and at least this many of them, are also in that"""
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W_]{3,}")


@dataclass(slots=True)
class _Outcome:
    text: str
    since: float
    read: bool = False


class TaskResults:
    """Of one session. Bounded: of too many, the oldest are said at once."""

    def __init__(self, composer: PromptComposer, utterances: Utterances) -> None:
        self._composer = composer
        self._utterances = utterances
        self.waiting: dict[str, _Outcome] = {}
        """by task, oldest first; read only"""

    def changed(self, change: TaskChanged, *, reads: bool) -> list[Effect]:
        """A task moved on; `reads`: the engine reads words. What it asks for is said at once."""
        self._composer.task_changed(change)
        text = clean(change.result, LONGEST)
        if change.status == "waiting":
            return self._say(text, change.at, change.wall) if text else []
        if change.status not in ("completed", "failed"):
            self.waiting.pop(change.task_id, None)
            return []
        self.waiting[change.task_id] = _Outcome(text, change.at)
        if not reads:
            return self._say_outcome(change.task_id, change.at, change.wall)
        if len(self.waiting) > MOST:
            return self._say_outcome(next(iter(self.waiting)), change.at, change.wall)
        return []

    def read(self, notes: tuple[Notice, ...], at: float) -> None:
        """The model has read these: their turn has settled at stream time `at`."""
        for note in notes:
            if (outcome := self.waiting.get(note.task)) is not None:
                outcome.read, outcome.since = True, at

    def spoke(self, notes: tuple[Notice, ...], text: str, epoch: int) -> list[Effect]:
        """The model said something, in the turn that had these notes."""
        answered = {note.task for note in notes}
        words = _words(text)
        told = [
            task_id
            for task_id, outcome in self.waiting.items()
            if task_id in answered or (outcome.read and _tells(words, outcome.text))
        ]
        for task_id in told:
            del self.waiting[task_id]
        return [TaskTold(tuple(told), epoch)] if told else []

    def pass_time(self, at: float, wall: float) -> list[Effect]:
        """The server says what the model keeps to itself, one at a time. Where time jumps back, it waits again."""
        for task_id, outcome in self.waiting.items():
            if at < outcome.since:
                outcome.since = at
            elif at - outcome.since >= (PATIENCE_S if outcome.read else UNREAD_S):
                return self._say_outcome(task_id, at, wall)
        return []

    def _say_outcome(self, task_id: str, at: float, wall: float) -> list[Effect]:
        said = self._say(self.waiting.pop(task_id).text, at, wall)
        return [*said, TaskTold((task_id,), self._utterances.latest)] if said else []

    def _say(self, text: str, at: float, wall: float) -> list[Effect]:
        if not text:
            return []
        epoch = self._utterances.begin()
        self._utterances.write(epoch, text)
        return [UtteranceDelta(epoch, text), UtteranceDone(epoch, at, wall, text, Urgency.NOTICE)]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(normal(text)))


def _tells(said: set[str], outcome: str) -> bool:
    shared = len(said & _words(outcome))
    return shared >= LEAST and shared >= SHARED * len(said)
