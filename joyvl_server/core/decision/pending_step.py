"""The step in flight: from the turn that was sent to the decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.attribution import Attribution
from joyvl_server.core.decision.choices import Candidate, Choice, RequestKind
from joyvl_server.core.decisions import Score, Share
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze.gaze import LookDecision
from joyvl_server.core.prompt.composer import ComposedTurn


class StepState(IntEnum):
    IDLE = 0
    CLASSIFYING = 1
    """asked what kind of request somebody made"""
    ENDING = 2
    """asked which watch or query somebody wants to end"""
    SCORING = 3
    """asked for a score"""
    ATTRIBUTING = 4
    """asked which watch or query a remark is about"""
    HOLDING = 5
    """the engine speaks, nothing is shown yet"""
    SPEAKING = 6
    """text goes out as it comes"""


@dataclass(slots=True)
class PendingStep:
    """Only the observer changes it; what it asks for advice returns values."""

    step: int
    frame: Frame
    composed: ComposedTurn
    looked: LookDecision
    state: StepState = StepState.SCORING
    seen: bool = False
    """the model has weighed its frame"""
    kind: Choice[RequestKind] | None = None
    """what it asked about the request in its turn"""
    which: Choice[Candidate] | None = None
    """what it asked about watches and open queries"""
    shares: tuple[Share, ...] = ()
    """what a remark is about, as the engine answered"""
    score: Score | None = None
    about: Attribution | None = None
    """what follows from the score"""
    answer: AnswerBuffer | None = None
    """what the engine says, from `Say` on"""
    epoch: int | None = None
    """of its utterance, once something was shown"""

    @property
    def said(self) -> AnswerBuffer:
        """What the engine says; there is something from `Say` on."""
        assert self.answer is not None, "the engine was not asked to speak"
        return self.answer

    @property
    def attribution(self) -> Attribution:
        """What follows from the score; it is known from then on."""
        assert self.about is not None, "the score was not weighed"
        return self.about
