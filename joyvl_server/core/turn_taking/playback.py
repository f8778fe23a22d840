"""What plays, and what waits to be played: one utterance at a time, the most urgent first.

A newer one never cuts a more urgent one; a more urgent one cuts a less urgent one. Of commentary only the newest waits,
and not for long. Alerts are never dropped, unless `MOST` utterances wait and all of them are alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.effects import CutPlayback, Effect, HoldPlayback, Play, PlaybackCut, ResumePlayback
from joyvl_server.core.turn_taking.words import words_heard

MOST = 32
"""utterances that wait, at most; then the oldest of the least urgent is dropped"""
START_S = 15.0
"""an engine for speech may have to start first: after so long without any report nothing is expected any more"""
GRACE_S = 5.0
"""reports may be late by this much, beyond the time that the words take"""
SIGN_S, LETTER_S = 0.35, 0.1
"""a slow voice takes this long for a Chinese character, and for a letter"""


class Rank(IntEnum):
    """How urgent it is to be heard."""

    REMARK = 0
    """commentary: stale before long"""
    RESULT = 1
    """of a delegated task, and what the server itself says"""
    ANSWER = 2
    ALERT = 3


@dataclass(slots=True)
class PlayedUtterance:
    """One utterance on its way to be heard. `written`: its text is whole, and `t` its time.

    `over` is when it played no more; then `cut` are the words that were heard before it was cut off (None: it was not),
    and `shown` says that nobody could hear it.
    """

    epoch: int
    rank: Rank
    since: float
    """it waits since; once it plays: the last sign of life"""
    watches: tuple[str, ...] = ()
    kind: str | None = None
    key: str | None = None
    first: str = ""
    """the sentence by which it is known again; empty: nobody looks for repetitions of it"""
    kept: bool = True
    """it goes into the history"""
    reported: bool = False
    written: bool = False
    t: float = 0.0
    over: float = 0.0
    cut: str | None = None
    whole: bool = False
    """its text was whole when it was cut off"""
    shown: bool = False


class Playback:
    """`advance` after every input. `finished` collects what plays no more; who looks at it takes it away."""

    def __init__(self, utterances: Utterances, stale_s: float) -> None:
        self.stale_s = stale_s
        self.current: PlayedUtterance | None = None
        self.held = False
        self.waiting: list[PlayedUtterance] = []
        self.finished: list[PlayedUtterance] = []
        self._utterances = utterances

    @property
    def pending(self) -> list[PlayedUtterance]:
        """What plays, then what waits."""
        return [*([] if self.current is None else [self.current]), *self.waiting]

    def add(self, utterance: PlayedUtterance) -> list[Effect]:
        """It wants to be heard."""
        effects = self.drop_commentary(utterance.since) if utterance.rank is Rank.REMARK else []
        self.waiting.append(utterance)
        if len(self.waiting) > MOST:
            effects += self._drop(min(self.waiting, key=lambda one: one.rank), utterance.since)
        return effects

    def drop_commentary(self, at: float) -> list[Effect]:
        """Nobody wants to hear what waits and is not urgent."""
        return self._drop_up_to(Rank.REMARK, at)

    def stop(self, at: float) -> list[Effect]:
        """Silence is wanted: only alerts of which nothing was heard yet go on waiting."""
        return [*self.cut(at), *self._drop_up_to(Rank.ANSWER, at)]

    def hold(self) -> list[Effect]:
        if self.current is None or self.held:
            return []
        self.held = True
        return [HoldPlayback(self.current.epoch)]

    def cut(self, at: float) -> list[Effect]:
        """What plays is cut off."""
        if self.current is None:
            return []
        current = self.current
        heard = words_heard(self._text(current), len(self._utterances.heard(current.epoch)))
        return [CutPlayback(current.epoch), self._end_cut(current, at, heard)]

    def grew(self, utterance: PlayedUtterance, at: float) -> None:
        """There is more text of it to play."""
        if utterance is self.current:
            utterance.since = at

    def report(self, epoch: int, at: float) -> None:
        """A sign of life of what plays."""
        if self.current is not None and self.current.epoch == epoch:
            self.current.reported, self.current.since = True, at

    def ended(self, epoch: int, at: float, *, shown: bool) -> None:
        """It plays no more; `shown`: nobody could hear it. Others than the present one are over already."""
        if self.current is not None and self.current.epoch == epoch:
            self.current.shown = shown
            self._finish(self.current, at)

    def advance(self, at: float, *, listening: bool) -> list[Effect]:
        """What follows from the time, and from who may speak: `listening` while somebody else does."""
        effects = self._expire(at)
        if self.held and not listening and self.current is not None:
            self.held = False
            self.current.since = at
            effects.append(ResumePlayback(self.current.epoch))
        best = max(self.waiting, key=lambda one: one.rank, default=None)
        if best is None or (listening and best.rank is not Rank.ALERT):
            return effects
        if self.current is None or best.rank > self.current.rank:
            effects += self.cut(at)
            self.waiting.remove(best)
            best.since = at
            self.current = best
            effects.append(Play(best.epoch))
        return effects

    def abandon(self, at: float) -> list[Effect]:
        """Nothing is played any more: all of it counts as shown."""
        effects: list[Effect] = [] if self.current is None else [CutPlayback(self.current.epoch)]
        for one in self.pending:
            one.shown = True
            self._finish(one, at)
        return effects

    # --------------------------------------------------------------------------------------------------------- helpers

    def _expire(self, at: float) -> list[Effect]:
        """A report that never came, commentary that waited too long. Time that jumped back ends both."""
        effects: list[Effect] = []
        current = self.current
        if current is not None and current.written and not self.held:
            left = self._text(current)[len(self._utterances.heard(current.epoch)) :]
            limit = GRACE_S + speaking_s(left) + (0.0 if current.reported else START_S)
            if not 0 <= at - current.since < limit:
                if self._utterances.heard(current.epoch):
                    effects += self.cut(at)
                else:
                    current.shown = True
                    effects.append(CutPlayback(current.epoch))
                    self._finish(current, at)
        for one in [one for one in self.waiting if one.rank is Rank.REMARK]:
            if not 0 <= at - one.since < self.stale_s:
                effects += self._drop(one, at)
        return effects

    def _drop_up_to(self, rank: Rank, at: float) -> list[Effect]:
        return [effect for one in list(self.waiting) if one.rank <= rank for effect in self._drop(one, at)]

    def _drop(self, utterance: PlayedUtterance, at: float) -> list[Effect]:
        return [self._end_cut(utterance, at, "")]

    def _end_cut(self, utterance: PlayedUtterance, at: float, heard: str) -> Effect:
        utterance.cut, utterance.whole = heard, utterance.written
        self._finish(utterance, at)
        return PlaybackCut(utterance.epoch, at, heard)

    def _finish(self, utterance: PlayedUtterance, at: float) -> None:
        utterance.over = at
        self.finished.append(utterance)
        if utterance is self.current:
            self.current, self.held = None, False
        else:
            self.waiting.remove(utterance)

    def _text(self, utterance: PlayedUtterance) -> str:
        return self._utterances.text(utterance.epoch) or ""


def speaking_s(text: str) -> float:
    """How long a slow voice takes to say it."""
    return sum(SIGN_S if letter >= "\u2e80" else LETTER_S for letter in text)
