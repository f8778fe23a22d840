"""What the session says: when it holds back, and what people see of an answer as it comes."""

from __future__ import annotations

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.hysteresis import Hysteresis
from joyvl_server.core.decision.pending_step import PendingStep
from joyvl_server.core.decision.repetition import Repetition
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Score, Suppressed, Urgency
from joyvl_server.core.effects import Effect, QueryClosed, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import QueryAsked
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.queries import ANSWERED

NO_WORDS = (
    "I can't answer questions: this engine reports what moves and changes, and does not read words. "
    "An engine that follows instructions can answer."
)


class RepetitionPolicy:
    """One session's utterances, and its memory of what was said lately. Scores that name what they see (`kind`) have
    keys of their own and are exempt from hysteresis."""

    def __init__(self, config: ObserverConfig) -> None:
        self.utterances = Utterances(config.first_epoch)
        self._config = config
        self._repetition = Repetition(config.cooldown_s, config.duplicate_window_s)
        self._hysteresis = Hysteresis(config.hysteresis, config.duplicate_window_s)

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        if config.threshold != self._config.threshold:
            self.thresholds_changed()
        self._config = config
        self._repetition.configure(config.cooldown_s, config.duplicate_window_s)
        self._hysteresis.configure(config.hysteresis, config.duplicate_window_s)

    def thresholds_changed(self) -> None:
        self._hysteresis.reset()

    def see(self, score: Score, t: float) -> None:
        """Every score of the session is seen, before it is weighed."""
        if score.kind is None and score.garbage is None:
            self._hysteresis.see(score.value, t)

    def held_back(self, score: Score, level: float, t: float) -> Suppressed | None:
        """Why a remark nobody asked for, whose score reached the threshold `level`, is not to be made now."""
        if self._repetition.cooling(score.kind, t):
            return Suppressed.COOLDOWN
        if score.kind is None and self._hysteresis.holds(score.value, level):
            return Suppressed.HOVERING
        return None

    def begin(self, score: Score, t: float, *, asked: bool) -> AnswerBuffer:
        return AnswerBuffer(self._config, self._repetition, score, t, asked=asked)

    def show(self, flight: PendingStep, more: str) -> list[Effect]:
        """Text that may be shown now; the first of it begins the utterance."""
        if flight.epoch is None:
            flight.epoch = self.utterances.begin()
        self.utterances.write(flight.epoch, flight.remark.note)
        return [UtteranceDelta(flight.epoch, more)]

    def end(self, flight: PendingStep, agenda: PromptComposer, *, interrupted: bool = False) -> list[Effect]:
        """The utterance is whole, or broken off; `agenda` keeps it for later chunks."""
        about, note, t = flight.concern, flight.remark.note, flight.frame.t
        if flight.scored.kind is None and about.query is None and not interrupted:
            self._hysteresis.spoke(flight.level, t)
        if flight.epoch is None:
            return []  # a question was handed over without a word
        agenda.said(t, note)
        if names := agenda.book.names(about.watches):
            agenda.watch_event(t, f"{', '.join(names)}: {note}")
        return [UtteranceDone(flight.epoch, t, flight.frame.wall, note, about.urgency, interrupted)]

    def decline(self, asked: QueryAsked) -> list[Effect]:
        """The server itself answers where the engine reads no words."""
        epoch = self.utterances.begin()
        self.utterances.write(epoch, NO_WORDS)
        return [
            UtteranceDelta(epoch, NO_WORDS),
            UtteranceDone(epoch, asked.at, asked.wall, NO_WORDS, Urgency.NOTICE),
            QueryClosed(asked.id, ANSWERED, epoch, NO_WORDS),
        ]
