"""The step in flight: from the turn that was sent to the decision about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from joyvl_server.core.agenda import Message
from joyvl_server.core.concern import Concern
from joyvl_server.core.events import Decided, Decision, Score, Skip, Suppressed
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze import Glimpse
from joyvl_server.core.remark import Remark
from joyvl_server.core.zones import Zone, place

NOBODY = Concern(speak=False)


@dataclass(slots=True)
class Flight:
    message: Message
    glimpse: Glimpse
    score: Score | None = None
    concern: Concern = NOBODY
    epoch: int | None = None
    """of its utterance, once something was shown"""
    _remark: Remark | None = None

    @property
    def step(self) -> int:
        return self.message.turn.step

    @property
    def frame(self) -> Frame:
        return self.message.turn.frame

    @property
    def remark(self) -> Remark:
        """What the engine says; there is one from `Say` on."""
        assert self._remark is not None, "the engine was not asked to speak"
        return self._remark

    @remark.setter
    def remark(self, remark: Remark) -> None:
        self._remark = remark

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
            kind=score.kind if score else None,
            zone=place(box, zones) if box else None,
            box=box,
            text=text,
            question=question,
            epoch=self.epoch,
            watches=self.concern.watches,
            query=query,
            change=self.glimpse.change,
            detail=detail,
        )
