"""Which of the things that people say have to do with the past, and a question of the server's own about one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from joyvl_server.core.decision.choices import RequestKind
from joyvl_server.core.decision.request_words import request_kind
from joyvl_server.core.past.questions import PastQuestion, past_question
from joyvl_server.core.past.spans import Calendar
from joyvl_server.core.past.wishes import Forget, Remember, Undo, read_wish
from joyvl_server.sessions.delegation.permission_words import said_yes
from joyvl_server.store.memories.records import MemoryRecord

CONFIRM_S = 120.0
"""a yes that comes later is meant for something else"""
MOST_SAID = 500
"""characters in which two wishes are told apart"""


_JOINT = re.compile(
    r"(?:[,;.!]\s+|\s+(?=(?:and|und)\s)|[，。；！、]\s*)(?:(?:and|und)\s+)?(?:(?:also|then|dann)\s+|并且|而且|然后)?",
    re.IGNORECASE,
)


def parts(text: str) -> tuple[str, ...]:
    """What is said in one breath: a fact that is to be remembered, and what is wanted from now on. Else all of it."""
    if isinstance(read_wish(text), Remember):
        for joint in reversed(list(_JOINT.finditer(text[:MOST_SAID]))):
            fact, wanted = text[: joint.start()].strip(), text[joint.end() :].strip()
            if request_kind(wanted) is RequestKind.STANDING and isinstance(read_wish(fact), Remember):
                return fact, wanted
    return (text,)


@dataclass(frozen=True, slots=True)
class Confirm:
    """A yes or no to whether these facts are to be forgotten; no facts: all that is remembered here."""

    yes: bool
    facts: tuple[MemoryRecord, ...]


@dataclass(frozen=True, slots=True)
class OfFacts:
    """It is not about the past, but may be answered by what somebody wanted remembered."""


@dataclass(frozen=True, slots=True)
class Asker:
    """`across`: hears what other cameras have seen, and what all share is theirs to forget. `erases`: may have
    everything forgotten that a camera has seen. `allows`: their yes is one to what an agent asks for."""

    across: bool = True
    erases: bool = True
    allows: bool = True


ANYBODY = Asker()
"""Who speaks before a camera or in a call: nobody knows who it is."""


PastRequest = PastQuestion | Remember | Forget | Undo | Confirm | OfFacts


class PastRequests:
    """Of one session. `asking`: what the server has asked back, by `asked_wall` (Unix seconds)."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._asking: tuple[MemoryRecord, ...] | None = None
        self._asked_wall = 0.0

    def ask_back(self, facts: tuple[MemoryRecord, ...], wall: float) -> None:
        """The next yes or no is about these."""
        self._asking, self._asked_wall = facts, wall

    def read(self, text: str, wall: float, *, reads_words: bool) -> PastRequest | None:
        """None: it is about now, or from now on. `wall` in Unix seconds. `reads_words`: the engine does."""
        asking, self._asking = self._asking, None
        if asking is not None and wall - self._asked_wall <= CONFIRM_S and (yes := said_yes(text)) is not None:
            return Confirm(yes, asking)
        if request_kind(text) is not RequestKind.ONCE:
            return None
        own = read_wish(text) or past_question(text, wall, self.calendar)
        return OfFacts() if own is None and not reads_words else own
