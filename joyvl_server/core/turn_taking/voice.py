"""The voice of a session: what it says is played, others may interrupt it, and what was heard is what counts.

It follows the machine's effects: each utterance that begins joins the playback. What plays no more and is whole goes
into the history as far as it was heard, and cooldown and repetition run on that. The prompt only grows: where the model
has more in its context than was heard, a notice says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.attribution import Attribution
from joyvl_server.core.decision.pending_step import PendingStep, StepState
from joyvl_server.core.decision.repetition import RepetitionPolicy
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Urgency
from joyvl_server.core.effects import Decided, Effect, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import (
    Input,
    PlaybackAcked,
    PlaybackEnded,
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptFailed,
)
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.turn_taking.playback import Playback, PlayedUtterance, Rank
from joyvl_server.core.turn_taking.user_speech import SpeechVerdict, UserSpeech
from joyvl_server.core.turn_taking.words import words_heard

RANKS = {
    Urgency.REMARK: Rank.REMARK,
    Urgency.NOTICE: Rank.RESULT,
    Urgency.ANSWER: Rank.ANSWER,
    Urgency.ALERT: Rank.ALERT,
}


class VoiceOutput:
    """`take` every input after the machine has; then `interruption` says whether the step in flight ends with it."""

    def __init__(
        self, config: ObserverConfig, composer: PromptComposer, repetition: RepetitionPolicy, utterances: Utterances
    ) -> None:
        self._composer = composer
        self._repetition = repetition
        self._utterances = utterances
        self._after = utterances.latest
        self._playback = Playback(utterances, config.stale_s)
        self._speech = UserSpeech()
        self._unwritten: dict[int, PlayedUtterance] = {}
        self._stopped = False
        self._on = False
        self.configure(config, 0.0)

    def configure(self, config: ObserverConfig, at: float) -> list[Effect]:
        """`config` counts from now on. What is still to be heard when the voice goes counts as shown."""
        effects: list[Effect] = []
        if config.voice and not self._on:
            self._after, self._speech = self._utterances.latest, UserSpeech()
        elif self._on and not config.voice:
            effects = self._playback.abandon(at)
            self._conclude()
            self._unwritten.clear()
            self._playback.finished.clear()
        self._on = config.voice
        self._half_duplex = config.half_duplex
        self._speech.addressed_only = config.addressed_only
        self._playback.stale_s = config.stale_s
        return effects

    @property
    def playing(self) -> bool:
        """Does something play, or is it held?"""
        return self._playback.current is not None

    def holds_back(self, kind: str | None, about: Attribution) -> bool:
        """Is a remark nobody asked for not to be made, as long as another one is still to be heard?

        An alert waits only for one of its own watches.
        """
        alert = about.urgency is Urgency.ALERT
        for other in self._playback.pending:
            if other.kind == kind and not alert:
                return True
            if other.rank is Rank.ALERT and other.kind == kind and set(other.watches) & set(about.watches):
                return True
        return False

    def take(self, input: Input, effects: Iterable[Effect], step: PendingStep | None) -> list[Effect]:
        """`effects` of the machine to this input, and the `step` that was in flight before it; returns those of the
        voice."""
        self._stopped = False
        done = self.follow(effects, step, input.at)
        done += self._heard(input)
        for verdict in self._speech.pass_time(input.at):
            done += self._obey(verdict, input.at)
        done += self._playback.advance(input.at, listening=self._speech.floor)
        self._conclude()
        return done

    def interruption(self, step: PendingStep) -> str | None:
        """The words that were heard, where the step is to be aborted; None: it goes on."""
        if step.epoch is not None:
            cut = self._unwritten.get(step.epoch)
            return None if cut is None else cut.cut
        alert = step.about is not None and step.about.urgency is Urgency.ALERT
        return "" if self._stopped and step.state is StepState.HOLDING and not alert else None

    @property
    def stopped(self) -> bool:
        """Did the last input ask for silence?"""
        return self._stopped

    def follow(self, effects: Iterable[Effect], step: PendingStep | None, at: float) -> list[Effect]:
        """Utterances begin and become whole. What began before there was a voice is not played."""
        found = list(effects)
        done: list[Effect] = []
        for effect in found:
            if isinstance(effect, UtteranceDelta) and effect.epoch > self._after:
                if effect.epoch not in self._unwritten:
                    utterance = self._unwritten[effect.epoch] = self._begun(effect.epoch, step, found, at)
                    done += self._playback.add(utterance)
                self._playback.grew(self._unwritten[effect.epoch], at)
            elif isinstance(effect, UtteranceDone):
                self._written(effect, step, at)
        self._conclude()
        return done

    # --------------------------------------------------------------------------------------------------------- helpers

    def _begun(self, epoch: int, step: PendingStep | None, effects: list[Effect], at: float) -> PlayedUtterance:
        """The model's own where the step in flight has this epoch; else the server says it, all in one."""
        if step is not None and step.epoch == epoch:
            about, score = step.attribution, step.score
            rank = RANKS[about.urgency]
            if rank is Rank.REMARK and any(note.task for note in step.composed.notes):
                rank = Rank.RESULT
            assert score is not None, "it speaks without a score"
            return PlayedUtterance(epoch, rank, at, about.watches, score.kind, score.key, step.said.first)
        urgency = next(done.urgency for done in effects if isinstance(done, UtteranceDone) and done.epoch == epoch)
        said = PlayedUtterance(epoch, RANKS[urgency], at, kept=False)
        for decided in effects:
            if isinstance(decided, Decided) and decided.epoch == epoch:
                said.watches, said.kind, said.kept = decided.watches, decided.kind, True
        return said

    def _written(self, done: UtteranceDone, step: PendingStep | None, at: float) -> None:
        utterance = self._unwritten.pop(done.epoch, None)
        if utterance is not None:
            utterance.written, utterance.t = True, done.t
            self._playback.grew(utterance, at)
        else:
            assert step is not None, "nothing was being written"
            self._composer.said(done.t, done.text, step.attribution.watches)

    def _heard(self, input: Input) -> list[Effect]:
        """What somebody says, and what is known of the playback."""
        match input:
            case PlaybackAcked(at, epoch, _):
                self._playback.report(epoch, at)
            case PlaybackEnded(at, epoch, heard):
                self._playback.ended(epoch, at, shown=heard is None)
            case SpeechStarted() | SpeechContinued():
                return self._speaks(input)
            case SpeechLasted() | SpeechPaused() | SpeechStopped() | Transcript() | TranscriptFailed():
                return self._obey(self._speech.take(input), input.at)
        return []

    def _speaks(self, input: SpeechStarted | SpeechContinued) -> list[Effect]:
        """Somebody speaks from now on."""
        current = self._playback.current
        if current is not None and self._half_duplex:
            return []
        playing = None if current is None else current.epoch
        if isinstance(input, SpeechStarted):
            self._speech.began(input, playing)
        elif not self._speech.continued(input, playing):
            return []
        return self._playback.hold()

    def _obey(self, verdict: SpeechVerdict, at: float) -> list[Effect]:
        """An alert of which nothing was heard yet is not interrupted: it goes on once everybody is silent."""
        if verdict.stop:
            self._stopped = True
            self._repetition.recent.spoke(None, at)
            return self._playback.stop(at)
        effects: list[Effect] = []
        current = self._playback.current
        if current is not None and current.epoch == verdict.interrupted:
            begun = current.rank is not Rank.ALERT or bool(self._utterances.heard(current.epoch))
            effects = self._playback.cut(at) if begun else []
        return effects + (self._playback.drop_commentary(at) if verdict.words else [])

    def _conclude(self) -> None:
        """What is whole, and plays no more."""
        for one in [one for one in self._playback.finished if one.written]:
            self._playback.finished.remove(one)
            text = self._utterances.text(one.epoch) or ""
            if one.shown:
                heard = text.strip()
            elif one.cut is not None:
                heard = one.cut
            else:
                heard = words_heard(text, len(self._utterances.heard(one.epoch)))
            if heard and one.kept:
                self._composer.said(one.t, heard, one.watches)
            if heard != text.strip() and (one.cut is None or one.whole):
                self._composer.interrupted(text, heard)
            if one.first:
                self._repetition.heard(one.kind, one.key, one.first, heard, one.over)
