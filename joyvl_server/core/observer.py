"""The state machine of one session: facts come in as inputs, what is to be done goes out as effects.

`StepState` shows how one step goes. There is no clock and no chance: the same inputs give the same effects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from joyvl_server.core import effects as out
from joyvl_server.core import inputs as into
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.attribution import Attribution
from joyvl_server.core.decision.choices import Choice
from joyvl_server.core.decision.pending_step import PendingStep, StepState
from joyvl_server.core.decision.repetition import RepetitionPolicy
from joyvl_server.core.decision.speak_policy import SpeakPolicy
from joyvl_server.core.decision.task_results import TaskResults
from joyvl_server.core.decision.user_requests import UserRequests
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Decision, Score, Skip, Suppressed
from joyvl_server.core.errors import ContextTooLong
from joyvl_server.core.gaze.gaze import FrameSampler
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.context import Context
from joyvl_server.core.prompt.picture_limit import PictureLimit
from joyvl_server.core.prompt.turns import SILENCE, Look
from joyvl_server.core.prompt.wire_format import answer
from joyvl_server.core.turn_taking.sounds import SoundWatches
from joyvl_server.core.turn_taking.voice import VoiceOutput

__all__ = ["Observer", "ObserverConfig", "StepState"]


class Observer:
    """One session's machine: `handle` takes one input and returns what is to be done, in order.

    Outcomes of steps that are over are ignored. An input that no shell may send in the present state raises
    `RuntimeError`: it is a mistake in the shell, not in the world.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.config = config
        self.context = Context(config)
        self._composer = PromptComposer(config, self.context)
        self.remembered, self.open_queries = self._composer.remembered, self._composer.queries.open
        self._sampler = FrameSampler(config)
        self._requests = UserRequests(self._composer)
        self._repetition = RepetitionPolicy(config)
        self._utterances = Utterances(config.first_epoch)
        self._results = TaskResults(self._composer, self._utterances)
        self._sounds = SoundWatches(self._composer, self._utterances)
        self._voice = VoiceOutput(config, self._composer, self._repetition, self._utterances)
        self._policy = SpeakPolicy(config, self._composer, self._requests, self._repetition)
        self._policy.voice = self._voice
        self._steps = 0
        self._pending: PendingStep | None = None
        self._tick_wanted = False
        self._effects: list[out.Effect] = []

    @property
    def state(self) -> StepState:
        return StepState.IDLE if self._pending is None else self._pending.state

    def heard(self, epoch: int) -> str:
        """The part of an utterance that playback acknowledged."""
        return self._utterances.heard(epoch)

    @property
    def playing(self) -> bool:
        """Does something play that somebody may interrupt, or is it held?"""
        return self._voice.playing

    def handle(self, input: into.Input) -> list[out.Effect]:
        """Take one input in; returns the effects it has. Raises `ConfigError` for a config that cannot be used."""
        step = self._pending
        self._take(input)
        if self.config.voice:
            self._listen(input, step)
        effects, self._effects = self._effects, []
        for effect in effects:
            if isinstance(effect, out.QueryClosed):
                self._requests.forget(effect.id)
        return effects

    def _take(self, input: into.Input) -> None:
        match input:
            case into.Tick() | into.Passed() | into.TickSkipped():
                if self._composer.queries.open:
                    self._effects += self._composer.expire(input.at)
                self._steps += 1
                if self._results.waiting and self._pending is None:
                    self._effects += self._results.pass_time(input.at, input.wall)
                self._second(input)
            case into.Scored() | into.Chosen() | into.TextDelta() | into.SaidDone() | into.EngineFailed():
                self._outcome(input)
            case into.QueryAsked():
                self._asked(input)
            case into.PastKnown() | into.PastForgotten() | into.QueryWithdrawn():
                self._effects += self._composer.take(input)
            case into.WatchesChanged(_, watch_set):
                self._composer.watches_changed(watch_set)
                self._sampler.gaze.watch(watch_set)
                self._policy.watches_changed()
                self._repetition.thresholds_changed()
            case into.CapabilitiesChanged(_, engine):
                self._configure(replace(self.config, engine=engine), engine_changed=True)
            case into.ConfigChanged(_, config):
                self._configure(config, engine_changed=config.engine != self.config.engine)
                self._effects += self._voice.configure(config, input.at)
            case into.PlaybackAcked(_, epoch, heard) | into.PlaybackEnded(_, epoch, heard):
                self._utterances.hear(epoch, heard or 0)
            case into.SoundHeard():
                said = self._sounds.heard(input, self._steps + 1, self.config)
                self._effects += said
                self._steps += bool(said)
            case into.OfSpeech():
                pass  # `_listen` does
            case into.TaskChanged():
                self._effects += self._results.changed(input, reads=self.config.engine.follows_instructions)
                if self._composer.urgent:
                    self._want_tick()
            case into.ChunkWarmed(_, number, turns):
                self.context.warmed(number, turns)
            case into.Written() | into.WriteFailed():
                self._effects += [*self._composer.written(input), *self._composer.summed_up()]
            case into.ContextLimitChanged(_, tokens, most):
                self.context.set_limit(tokens, most)
            case into.PictureLimitChanged(_, most, fresh):
                self.context.limit_pictures(PictureLimit(most, fresh))
            case into.EngineRestarted():
                self.context.restart()
            case into.PressureChanged(_, pressure):
                self._sampler.gaze.press(pressure)
            case _:
                assert_never(input)

    def _outcome(self, outcome: into.Scored | into.Chosen | into.TextDelta | into.SaidDone | into.EngineFailed) -> None:
        """What an effect of the step in flight came to."""
        match outcome:
            case into.Scored(_, step, score):
                if pending := self._in_flight(step, StepState.SCORING):
                    self._weigh(pending, score)
            case into.Chosen(_, step, shares):
                if pending := self._in_flight(step, StepState.CLASSIFYING, StepState.ENDING, StepState.ATTRIBUTING):
                    self._chosen(pending, shares)
            case into.TextDelta(_, step, text):
                if pending := self._in_flight(step, StepState.HOLDING, StepState.SPEAKING):
                    self._read(pending, text)
            case into.SaidDone(_, step):
                if pending := self._in_flight(step, StepState.HOLDING, StepState.SPEAKING):
                    self._finish(pending)
            case _:
                if pending := self._in_flight(outcome.step, *StepState):
                    self._fail(pending, outcome.message)
                    if outcome.code == ContextTooLong.code:
                        self.context.too_long()

    # ---------------------------------------------------------------------------------------------- seconds, requests

    def _second(self, second: into.Tick | into.Passed | into.TickSkipped) -> None:
        if isinstance(second, into.TickSkipped):
            self._skip(second.at, second.wall, second.reason)
            return
        frame, pending = second.frame, self._pending
        if pending is not None or isinstance(second, into.Passed):
            reason = Skip.BUSY
            if pending is not None and pending.state in (StepState.HOLDING, StepState.SPEAKING):
                reason = self._sampler.miss(second, pending.frame.t)
            self._skip(frame.t, frame.wall, reason)
            return
        looked, backlog = self._sampler.select(second, wanted=self._composer.waiting)
        if looked.look is Look.SKIP:
            self._skip(frame.t, frame.wall, Skip.STILL, change=looked.change)
            return
        effects, composed = self._composer.compose(
            self._steps, frame, looked.look, burst=second.burst, backlog=backlog, change=looked.change
        )
        self.context.append(composed.turn)
        pending = self._pending = PendingStep(self._steps, frame, composed, looked)
        self._tick_wanted = False
        self._effects += [*effects, out.Append(self._steps, composed.turn)]
        if composed.query is not None:
            effects, pending.kind = self._requests.begin(composed, chooses=self.config.engine.chooses)
            self._effects += effects
        self._next(pending, pending.kind, StepState.CLASSIFYING)

    def _chosen(self, pending: PendingStep, shares: tuple[float, ...]) -> None:
        if pending.state is StepState.ATTRIBUTING:
            assert pending.score is not None, "the engine was not asked for a score"
            about = self._policy.settle(pending.composed, pending.score, pending.about_which(shares))
            pending.about = about
            self._speak(pending, about, pending.score)
        elif pending.state is StepState.CLASSIFYING:
            assert pending.kind is not None, "nobody asked what kind of request it is"
            kind, chooses = pending.kind.taken(shares), self.config.engine.chooses
            effects, pending.which = self._requests.classify(pending.composed, kind, chooses=chooses)
            self._effects += effects
            self._next(pending, pending.which, StepState.ENDING)
        else:
            assert pending.which is not None, "nobody asked which one is to end"
            self._effects += self._requests.end(pending.composed, pending.which.taken(shares))
            self._next(pending, None, StepState.SCORING)

    def _next(self, pending: PendingStep, choice: Choice[Any] | None, state: StepState) -> None:
        """Ask `choice` where there is one, which leads to `state`; else ask for the score."""
        if choice is not None:
            pending.state = state
            self._effects.append(out.AskChoice(pending.step, choice.question, choice.options))
        else:
            pending.state = StepState.SCORING
            self._effects.append(out.AskScore(pending.step))

    # ------------------------------------------------------------------------------------------------------- speaking

    def _weigh(self, pending: PendingStep, score: Score) -> None:
        pending.score = score
        about, pending.which = self._policy.weigh(pending.composed, score)
        pending.about = about
        if pending.which is not None:
            self._next(pending, pending.which, StepState.ATTRIBUTING)
        else:
            self._speak(pending, about, score)

    def _speak(self, pending: PendingStep, about: Attribution, score: Score) -> None:
        """Speak if it may be: it is known now whom it concerns."""
        if not about.speak:
            self._silence(pending, about.suppressed, detail=score.garbage or "")
            return
        self._see(pending)
        pending.answer = AnswerBuffer(
            self.config, self._repetition.recent, score, pending.frame.t, asked=about.query is not None
        )
        pending.state = StepState.HOLDING
        self._effects.append(out.Say(pending.step))

    def _read(self, pending: PendingStep, raw: str) -> None:
        said = pending.said
        self._show(pending, said, said.hear(raw))
        if said.suppressed or said.over:
            self._effects.append(out.Abort(pending.step))
            self._finish(pending)

    def _finish(self, pending: PendingStep) -> None:
        """The answer is whole, or nobody wants the rest."""
        said, about = pending.said, pending.attribution
        self._show(pending, said, said.finish())
        if said.suppressed:
            self._silence(pending, said.suppressed, detail=said.note or said.question)
            return
        query = about.query if self._composer.queries.is_open(about.query) else None
        question = said.question
        self._end_utterance(pending)
        answered = [] if question else self._requests.answered(pending.composed, query, pending.epoch, said.note)
        self._settle(pending, said.written)
        self._effects += answered
        if question:
            task_id = self._composer.hand_over(question)
            self._effects.append(out.Delegate(task_id, pending.frame.t, said.note, question))
        decision = Decision.DELEGATE if question else Decision.SPEAK
        self._decide(pending, decision, text=said.note, question=question, query=query)
        self._end_step()

    def _show(self, pending: PendingStep, said: AnswerBuffer, more: str) -> None:
        """Text that may be shown now; the first of it begins the utterance."""
        if more:
            if pending.epoch is None:
                pending.epoch = self._utterances.begin()
            self._utterances.write(pending.epoch, said.note)
            self._effects.append(out.UtteranceDelta(pending.epoch, more))
            pending.state = StepState.SPEAKING

    def _end_utterance(self, pending: PendingStep, *, interrupted: bool = False) -> None:
        """It is whole, or broken off; the composer keeps it for later chunks."""
        about, note, t = pending.attribution, pending.said.note, pending.frame.t
        if pending.score is not None and about.query is None and not interrupted:
            self._repetition.spoke(pending.score, about.threshold, t)
        if pending.epoch is None:
            return  # a question was handed over without a word
        if not self.config.voice:  # else what was heard of it is kept, once that is known
            self._composer.said(t, note, about.watches)
        self._effects.append(out.UtteranceDone(pending.epoch, t, pending.frame.wall, note, about.urgency, interrupted))
        self._effects += self._results.spoke(pending.composed.notes, note, pending.epoch)

    def _listen(self, input: into.Input, step: PendingStep | None) -> None:
        """What is played, and who speaks; `step` was in flight before the input."""
        self._effects += self._voice.take(input, self._effects, step)
        pending = self._pending
        if pending is not None and (heard := self._voice.interruption(pending)) is not None:
            before = len(self._effects)
            self._interrupt(pending, heard, stop=self._voice.stopped)
            self._voice.follow(self._effects[before:], pending, input.at)

    def _interrupt(self, pending: PendingStep, heard: str, *, stop: bool) -> None:
        """The model keeps what was heard. A question of whose answer that is nothing stays open, but after a `stop`."""
        note, query = pending.said.note, pending.attribution.query
        self._effects.append(out.Abort(pending.step))
        if stop and not heard and query is not None:
            self._effects += self._composer.withdraw(query)
        if pending.epoch is None:
            self._silence(pending, None, detail="interrupted")
            return
        query = query if self._composer.queries.is_open(query) else None
        self._end_utterance(pending, interrupted=True)
        answered = self._requests.answered(pending.composed, query, pending.epoch, note) if heard else []
        self._settle(pending, answer(heard) if heard else SILENCE)
        self._effects += answered
        self._decide(pending, Decision.SPEAK, text=note, query=query, detail="interrupted")
        self._end_step()

    # ----------------------------------------------------------------------------------------------- ends of a step

    def _silence(self, pending: PendingStep, suppressed: Suppressed | None, *, detail: str = "") -> None:
        self._settle(pending, SILENCE)
        self._decide(pending, Decision.SILENT, suppressed=suppressed, detail=detail)
        self._end_step()

    def _fail(self, pending: PendingStep, message: str) -> None:
        """The engine failed. What was shown already stays, for people and for the model."""
        if pending.epoch is None:
            self.context.rollback()
            self._sampler.lost(seen=pending.seen)
            self._effects.append(out.Rollback(pending.step))
            self._decide(pending, Decision.SILENT, skipped=Skip.FAILED, detail=message)
        else:
            said = pending.said
            said.break_off()
            self._end_utterance(pending, interrupted=True)
            self._settle(pending, answer(said.note))
            self._decide(pending, Decision.SPEAK, text=said.note, detail=message)
        self._end_step()

    def _settle(self, pending: PendingStep, written: str) -> None:
        self.context.settle(written)
        self._see(pending)
        self._sampler.settled()
        self._effects.append(out.Settle(pending.step, written))
        self._effects += self._composer.settled(pending.composed)
        if pending.composed.notes:
            self._results.read(pending.composed.notes, pending.frame.t)
        if pending.composed.query is not None:
            said = None if pending.epoch is None else pending.said.note
            self._effects += self._requests.settled(pending.composed, pending.epoch, said)
        self._tick_wanted = self._tick_wanted or self._composer.urgent

    def _see(self, pending: PendingStep) -> None:
        """The model has weighed the frame."""
        if not pending.seen:
            pending.seen = True
            self._sampler.gaze.saw(pending.frame, pending.looked)

    def _end_step(self) -> None:
        self._pending = None
        if self._tick_wanted:
            self._want_tick()

    def _decide(self, pending: PendingStep, decision: Decision, **outcome: Any) -> None:
        """The decision, with its `outcome`: fields of `Decided`."""
        self._effects.append(pending.decided(self._composer.watch_set, decision, **outcome))

    def _skip(self, t: float, wall: float, reason: Skip, *, change: float | None = None) -> None:
        """A tick of its own, without a decision."""
        skipped = out.Decided(self._steps, t, wall, Decision.SILENT, Look.SKIP, skipped=reason, change=change)
        self._effects.append(skipped)

    # -------------------------------------------------------------------------------------------- asking, configuring

    def _asked(self, asked: into.QueryAsked) -> None:
        self._requests.forget(asked.id)
        if (reply := self._requests.own_reply(asked, self.config.engine)) is not None:
            self._effects += self._utterances.reply(asked, reply)
            return
        self._effects += self._composer.ask(asked.id, asked.text, asked.at, asked.memories)
        self._want_tick()

    def _configure(self, config: ObserverConfig, *, engine_changed: bool) -> None:
        """`config` counts from now on. Raises `ConfigError`, and changes nothing, where its budget is too small."""
        self.context.configure(config)
        self.config = config
        self._effects += self._composer.configure(config)
        self._sampler.configure(config)
        self._repetition.configure(config)
        self._policy.configure(config)
        if engine_changed:
            self.context.restart()

    def _want_tick(self) -> None:
        """Now, or as soon as the step in flight has ended."""
        self._tick_wanted = self._pending is not None
        if self._pending is None:
            self._effects.append(out.TickNow())

    def _in_flight(self, step: int, *states: StepState) -> PendingStep | None:
        """The step in flight if it is this one; None where that one is over."""
        if step > self._steps:
            raise RuntimeError(f"There is an outcome of step {step}, but the last step was {self._steps}.")
        return self._pending if self._pending is not None and self._pending.expects(step, states) else None
