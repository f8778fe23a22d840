"""Whether a score makes the session speak, and about what: thresholds, attribution, cooldown, hysteresis."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.attribution import NOBODY, Attribution, attributed, concern
from joyvl_server.core.decision.choices import Candidate, Choice, about_which
from joyvl_server.core.decision.pending_step import PendingStep
from joyvl_server.core.decision.repetition_policy import RepetitionPolicy
from joyvl_server.core.decision.user_requests import UserRequests
from joyvl_server.core.decisions import Score, Suppressed
from joyvl_server.core.prompt.composer import ComposedTurn, PromptComposer


class SpeakPolicy:
    """`weigh` a score; where it asks something, `attribute` the answer. Then the flight's concern is final."""

    def __init__(
        self, config: ObserverConfig, agenda: PromptComposer, sentences: UserRequests, speech: RepetitionPolicy
    ) -> None:
        self.threshold = config.threshold
        """the session's"""
        self._chooses = config.engine.chooses
        self._agenda = agenda
        self._sentences = sentences
        self._speech = speech

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        self.threshold = config.threshold
        self._chooses = config.engine.chooses

    def weigh(self, flight: PendingStep, score: Score) -> Choice[Candidate] | None:
        """Take the score in; the question which of several it is about, where that has to be known."""
        flight.score = score
        t = flight.frame.t
        self._speech.see(score, t)
        flight.concern = self._concern(flight)
        flight.level = self._agenda.book.threshold(self.threshold)
        offered = self._candidates(flight.message) if flight.concern.speak and score.kind is None else ()
        if len(offered) > 1:
            lowest = self._agenda.book.threshold(self.threshold)
            waiting = any(candidate.query is not None for candidate in offered)
            if waiting or self._speech.held_back(score, lowest, t) is None:
                return about_which(offered)  # else it would be held back whatever it is about
        self._hold_back(flight)
        return None

    def attribute(self, flight: PendingStep, about: Candidate | None) -> None:
        """It is about this one (None: not found out). Watches and queries may have ended since it was asked."""
        if about is None:
            flight.concern = self._concern(flight)
        elif about.query is not None and not self._agenda.is_open(about.query):
            flight.concern = NOBODY
        else:
            flight.concern = attributed(flight.scored, about, self._agenda.book, self.threshold)
        self._hold_back(flight)

    def _concern(self, flight: PendingStep) -> Attribution:
        query = self._agenda.concerned(flight.message)
        return concern(flight.scored, self._agenda.book, self.threshold, query)

    def _candidates(self, message: ComposedTurn) -> tuple[Candidate, ...]:
        """What a remark of this turn may be about; who tells the session what to do is answered, without a choice."""
        if not self._chooses or not self._sentences.is_question(message):
            return ()
        return self._sentences.candidates(self.threshold, message)

    def _hold_back(self, flight: PendingStep) -> None:
        """A remark that nobody asked for may come too soon after another one."""
        about = flight.concern
        if about.speak or about.suppressed is Suppressed.BELOW:
            flight.level = self._agenda.book.threshold_of(about.watches, self.threshold)
        if not about.speak or about.query is not None:
            return
        held = self._speech.held_back(flight.scored, flight.level, flight.frame.t)
        if held is not None:
            flight.concern = replace(about, speak=False, suppressed=held)
