"""What somebody wants an agent to find out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from joyvl_server.store.tasks import TaskOrigin

URGENT, USUAL = 10, 0
"""priorities"""
_BLANK = re.compile(r"(?:(?![-+]\d|[<>=%])\W)+")
"""between words; a number's sign and comparisons make another question"""


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """What somebody wants to know. `agent`: None for the one that the settings choose. `t`: stream seconds of the
    moment it is about. `follows`: the task that this one goes on with. `alone`: never joined with one that is the same.
    """

    question: str
    session_id: str | None = None
    camera_id: str | None = None
    agent: str | None = None
    origin: TaskOrigin = "user"
    note: str = ""
    t: float | None = None
    follows: str | None = None
    priority: int = USUAL
    timeout_s: float | None = None
    alone: bool = False

    def same_as(self, agent: str, question: str) -> str:
        """Two tasks that have this in common are one: marks, case and spaces do not count."""
        words = _BLANK.sub(" ", question.casefold()).strip()
        return "\n".join((self.session_id or "", agent, self.follows or "", words))
