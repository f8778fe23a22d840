"""The step in flight: from the turn that was sent to the decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.attribution import Attribution
from joyvl_server.core.decision.choices import Candidate, Choice, RequestKind
from joyvl_server.core.decisions import Decision, Score, Share
from joyvl_server.core.effects import Decided
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze.gaze import LookDecision
from joyvl_server.core.prompt.composer import ComposedTurn
from joyvl_server.core.watches.watches import WatchSet
from joyvl_server.core.watches.zones import place


class StepState(IntEnum):
    """How a step goes:

      ```
            Tick: Append, AskScore              Scored: Say            first sentence whole
    IDLE ───────────────────────────► SCORING ───────────────► HOLDING ─────────────────────► SPEAKING
     │ Tick: Append, AskChoice         ▲   │ Scored: AskChoice   ▲      UtteranceDelta …
     ▼               Chosen: AskScore  │   ▼                     │
    CLASSIFYING ───────────────────────┤  ATTRIBUTING ───────────┘
     │ Chosen: AskChoice               │            Chosen: Say
     ▼               Chosen: AskScore  │
    ENDING ────────────────────────────┘
    SCORING, ATTRIBUTING: silent, suppressed;  HOLDING: repeated, empty;  SPEAKING: SaidDone ── Settle, Decided ──► IDLE
    every state: EngineFailed ── Rollback (Settle where something was shown), Decided ──────────────────────────► IDLE
      ```

      CLASSIFYING, ENDING and ATTRIBUTING only with engines that choose. With a voice, people may interrupt HOLDING and
      SPEAKING: Abort, Settle with what was heard, Decided.
    """

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

    def expects(self, step: int, states: tuple[StepState, ...]) -> bool:
        """Is it this step? Raises `RuntimeError` where it is, but in none of these states."""
        if self.step == step and self.state not in states:
            expected = " or ".join(state.name for state in states)
            raise RuntimeError(f"Step {step} is {self.state.name}; this outcome belongs to {expected}.")
        return self.step == step

    @property
    def said(self) -> AnswerBuffer:
        """What the engine says; there is something from `Say` on."""
        assert self.answer is not None, "the engine was not asked to speak"
        return self.answer

    def about_which(self, shares: tuple[float, ...]) -> Candidate | None:
        """The engine answered `which`: what it is about; None: not found out."""
        assert self.which is not None, "nobody asked what it is about"
        self.shares = tuple(
            Share(share) if meant is None else Share(share, meant.watch, meant.query)
            for share, meant in self.which.ranked(shares)
        )
        return self.which.taken(shares)

    def decided(self, watch_set: WatchSet, decision: Decision, **outcome: Any) -> Decided:
        """What it came to: its `outcome` (fields of `Decided`), and what is known about it."""
        score, about = self.score, self.about
        box = None if score is None else score.box
        return Decided(
            step=self.step,
            t=self.frame.t,
            wall=self.frame.wall,
            decision=decision,
            look=self.looked.look,
            score=None if score is None else score.value,
            threshold=None if about is None else about.threshold,
            kind=None if score is None else score.kind,
            zone=None if box is None else place(box, watch_set.zones),
            box=box,
            epoch=self.epoch,
            watches=() if about is None else about.watches,
            shares=self.shares,
            change=self.looked.change,
            **outcome,
        )

    @property
    def attribution(self) -> Attribution:
        """What follows from the score; it is known from then on."""
        assert self.about is not None, "the score was not weighed"
        return self.about
