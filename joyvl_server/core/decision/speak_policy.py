"""Whether a score makes the session speak, and about what: thresholds, attribution, cooldown, hysteresis.

One score serves many watches: where the engine can choose, it is asked which of them it means; where it cannot, all
whose own threshold is reached are concerned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.attribution import Attribution, attribute, attributed
from joyvl_server.core.decision.choices import Candidate, Choice, about_which
from joyvl_server.core.decision.repetition import RepetitionPolicy
from joyvl_server.core.decision.user_requests import UserRequests
from joyvl_server.core.decisions import Score, Suppressed
from joyvl_server.core.prompt.composer import ComposedTurn, PromptComposer


class HoldsBack(Protocol):
    def holds_back(self, kind: str | None, about: Attribution) -> bool:
        """Is a remark that nobody asked for not to be made, as long as another one is still to be heard?"""


class SpeakPolicy:
    """`weigh` a score; where it asks something, `settle` it with the answer. Then the attribution is final."""

    def __init__(
        self, config: ObserverConfig, composer: PromptComposer, requests: UserRequests, repetition: RepetitionPolicy
    ) -> None:
        self.voice: HoldsBack | None = None
        """what plays may hold a remark back"""
        self._composer = composer
        self._requests = requests
        self._repetition = repetition
        self.configure(config)

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        self._threshold = config.threshold
        self._chooses = config.engine.chooses
        self.watches_changed()

    def watches_changed(self) -> None:
        """The composer has other watches."""
        self._lowest = self._composer.watch_set.threshold(self._threshold)

    def weigh(self, composed: ComposedTurn, score: Score) -> tuple[Attribution, Choice[Candidate] | None]:
        """The attribution, or the question which of several it is about, where that has to be known."""
        t = composed.turn.frame.t
        if self._repetition.hot:
            self._repetition.see(score, t)
        query = self._composer.query_for(composed) if self._composer.queries.open else None
        if query is None and (score.garbage is not None or not score.value >= self._lowest):
            return Attribution(False, self._lowest), None
        about = attribute(score, self._composer.watch_set, self._threshold, query)
        offered = self._candidates(composed) if about.speak and score.kind is None else ()
        if len(offered) > 1:
            waiting = any(candidate.query is not None for candidate in offered) or _brings_outcome(composed)
            if waiting or self._repetition.held_back(score, self._lowest, t) is None:
                return about, about_which(offered)  # else it would be held back whatever it is about
        return self._unless_too_soon(composed, about, score), None

    def settle(self, composed: ComposedTurn, score: Score, about: Candidate | None) -> Attribution:
        """It is about this one (None: not found out). Watches and queries may have ended since it was asked."""
        watch_set = self._composer.watch_set
        if about is None:
            found = attribute(score, watch_set, self._threshold, self._composer.query_for(composed))
        elif about.query is not None and not self._composer.queries.is_open(about.query):
            found = Attribution(False, self._threshold)
        else:
            found = attributed(score, about, watch_set, self._threshold)
        return self._unless_too_soon(composed, found, score)

    def _candidates(self, composed: ComposedTurn) -> tuple[Candidate, ...]:
        """What a remark of this turn may be about; who tells the session what to do is answered, without a choice."""
        if not self._chooses or not self._requests.is_question(composed):
            return ()
        return self._requests.candidates(self._threshold, composed)

    def _unless_too_soon(self, composed: ComposedTurn, about: Attribution, score: Score) -> Attribution:
        """A remark that nobody asked for may come too soon after another one. What came of a question that was handed
        over has been asked for."""
        if not about.speak or about.query is not None or _brings_outcome(composed):
            return about
        reason = self._repetition.held_back(score, about.threshold, composed.turn.frame.t)
        if reason is None and self.voice is not None and self.voice.holds_back(score.kind, about):
            reason = Suppressed.COOLDOWN
        return about if reason is None else replace(about, speak=False, suppressed=reason)


def _brings_outcome(composed: ComposedTurn) -> bool:
    """Does the model read in this turn what came of a delegated task?"""
    return any(note.task for note in composed.notes)
