"""The step in flight: from the turn that was sent to the decision about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.attribution import NOBODY, Attribution
from joyvl_server.core.decision.choices import Candidate, Choice, RequestKind
from joyvl_server.core.decisions import Decision, Score, Share, Skip, Suppressed
from joyvl_server.core.effects import Decided
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze.gaze import Glimpse
from joyvl_server.core.prompt.composer import ComposedTurn
from joyvl_server.core.watches.zones import Zone, place


class StepState(IntEnum):
    IDLE = 0
    CLASSIFYING = 1
    """asked what kind of sentence somebody said"""
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
    message: ComposedTurn
    glimpse: Glimpse
    seen: bool = False
    """the gaze was told that the model got its frame"""
    kind: Choice[RequestKind] | None = None
    """what it asked about the sentence in its turn"""
    which: Choice[Candidate] | None = None
    """what it asked about watches and open queries"""
    score: Score | None = None
    concern: Attribution = NOBODY
    level: float = 0.0
    """the threshold that its score was compared with"""
    shared: tuple[Share, ...] = ()
    """how likely it is about what, where the engine was asked"""
    epoch: int | None = None
    """of its utterance, once something was shown"""
    state: StepState = StepState.SCORING
    _remark: AnswerBuffer | None = None

    @property
    def step(self) -> int:
        return self.message.turn.step

    @property
    def frame(self) -> Frame:
        return self.message.turn.frame

    @property
    def scored(self) -> Score:
        """Its score; there is one once it is weighed."""
        assert self.score is not None, "the engine was not asked for a score"
        return self.score

    @property
    def remark(self) -> AnswerBuffer:
        """What the engine says; there is one from `Say` on."""
        assert self._remark is not None, "the engine was not asked to speak"
        return self._remark

    @remark.setter
    def remark(self, remark: AnswerBuffer) -> None:
        self._remark = remark

    def heard(self, shares: Sequence[float]) -> RequestKind | None:
        """The kind of its sentence, from the answer to `kind`."""
        assert self.kind is not None, "nobody asked what kind of sentence it is"
        return self.kind.taken(shares)

    def meant(self, shares: Sequence[float]) -> Candidate | None:
        """The watch or query that is meant, from the answer to `which`."""
        assert self.which is not None, "nobody asked which one is meant"
        return self.which.taken(shares)

    def shares(self, shares: Sequence[float]) -> tuple[Share, ...]:
        """The answer to `which`, the largest share first."""
        assert self.which is not None, "nobody asked which one is meant"
        return tuple(
            Share(share) if about is None else Share(share, about.watch, about.query)
            for share, about in self.which.ranked(shares)
        )

    def decided(
        self,
        decision: Decision,
        zones: Iterable[Zone],
        *,
        skipped: Skip | None = None,
        suppressed: Suppressed | None = None,
        text: str = "",
        question: str = "",
        query: str | None = None,
        detail: str = "",
    ) -> Decided:
        """The decision with all that is known about the step."""
        score, frame = self.score, self.frame
        box = score.box if score else None
        return Decided(
            step=self.step,
            t=frame.t,
            wall=frame.wall,
            decision=decision,
            look=self.glimpse.look,
            skipped=skipped,
            suppressed=suppressed,
            score=score.value if score else None,
            threshold=self.level if score else None,
            kind=score.kind if score else None,
            zone=place(box, zones) if box else None,
            box=box,
            text=text,
            question=question,
            epoch=self.epoch,
            watches=self.concern.watches,
            query=query,
            shares=self.shared,
            change=self.glimpse.change,
            detail=detail,
        )
