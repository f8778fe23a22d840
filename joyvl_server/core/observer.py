"""The state machine of one session: facts come in as inputs, what is to be done goes out as effects.

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
  every state: EngineFailed ── Rollback (Settle where something was shown), Decided ────────────────────────────► IDLE
```

CLASSIFYING (what kind of sentence did somebody say?), ENDING (which of several shall stop?) and ATTRIBUTING (which one
is the remark about?) only with engines that choose. No clock, no chance: recorded inputs give the same effects again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.choices import Choice
from joyvl_server.core.decision.pending_step import PendingStep, StepState
from joyvl_server.core.decision.repetition_policy import RepetitionPolicy
from joyvl_server.core.decision.speak_policy import SpeakPolicy
from joyvl_server.core.decision.user_requests import UserRequests
from joyvl_server.core.decisions import Decision, Score, Skip, Suppressed
from joyvl_server.core.effects import (
    Abort,
    Append,
    AskChoice,
    AskScore,
    Decided,
    Delegate,
    Effect,
    QueryClosed,
    Rollback,
    Say,
    Settle,
    TickNow,
)
from joyvl_server.core.errors import ContextTooLong
from joyvl_server.core.gaze.looking import Looking
from joyvl_server.core.inputs import (
    CapabilitiesChanged,
    Chosen,
    ChunkWarmed,
    ConfigChanged,
    ContextRoomChanged,
    EngineFailed,
    EngineRestarted,
    Input,
    Passed,
    PictureLimitChanged,
    PlaybackAcked,
    PressureChanged,
    QueryAsked,
    QueryWithdrawn,
    SaidDone,
    Scored,
    TaskChanged,
    TextDelta,
    Tick,
    TickSkipped,
    WatchesChanged,
    WriteFailed,
    Written,
)
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.context import Context
from joyvl_server.core.prompt.picture_limit import PictureLimit
from joyvl_server.core.prompt.turns import SILENCE, Look
from joyvl_server.core.prompt.wire_format import answer

__all__ = ["Observer", "ObserverConfig", "StepState"]


class Observer:
    """One session's machine: `handle` takes one input and returns what is to be done, in order.

    Outcomes of steps that are over are ignored. An input that no shell may send in the present state raises
    `RuntimeError`: it is a mistake in the shell, not in the world.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.config = config
        self.context = Context(config)
        self._agenda = PromptComposer(config, self.context)
        self._looking = Looking(config)
        self._sentences = UserRequests(self._agenda)
        self._speech = RepetitionPolicy(config)
        self._weighing = SpeakPolicy(config, self._agenda, self._sentences, self._speech)
        self._steps = 0
        self._flight: PendingStep | None = None
        self._tick_wanted = False
        self._effects: list[Effect] = []

    @property
    def state(self) -> StepState:
        return StepState.IDLE if self._flight is None else self._flight.state

    def heard(self, epoch: int) -> str:
        """The part of an utterance that playback acknowledged."""
        return self._speech.utterances.heard(epoch)

    def handle(self, input: Input) -> list[Effect]:
        """Take one input in; returns the effects it has."""
        match input:
            case Tick() | Passed() | TickSkipped():
                self._effects += self._agenda.expire(input.at)
                self._steps += 1
                self._second(input)
            case Scored() | Chosen() | TextDelta() | SaidDone() | EngineFailed():
                self._outcome(input)
            case QueryAsked():
                self._asked(input)
            case QueryWithdrawn(_, query_id):
                self._effects += self._agenda.withdraw(query_id)
            case WatchesChanged(_, book):
                self._agenda.book = book
                self._looking.watch(book)
                self._speech.thresholds_changed()
            case CapabilitiesChanged(_, engine):
                self._configure(replace(self.config, engine=engine), engine_changed=True)
            case ConfigChanged(_, config):
                self._configure(config, engine_changed=config.engine != self.config.engine)
            case PlaybackAcked(_, epoch, heard):
                self._speech.utterances.hear(epoch, heard)
            case TaskChanged():
                self._agenda.task_changed(input)
                if self._agenda.urgent:
                    self._want_tick()
            case ChunkWarmed():
                self._effects += self._agenda.warmed(input)
            case Written() | WriteFailed():
                self._effects += self._agenda.written(input)
            case ContextRoomChanged(_, tokens, most):
                self._agenda.room_changed(tokens, most)
            case PictureLimitChanged(_, most, fresh):
                self._agenda.pictures_limited(PictureLimit(most, fresh))
            case EngineRestarted():
                self._agenda.engine_restarted()
            case PressureChanged(_, pressure):
                self._looking.press(pressure)
            case _:
                assert_never(input)
        effects, self._effects = self._effects, []
        for effect in effects:
            if isinstance(effect, QueryClosed):
                self._sentences.forget(effect.id)
        return effects

    def _outcome(self, outcome: Scored | Chosen | TextDelta | SaidDone | EngineFailed) -> None:
        """What an effect of the step in flight came to."""
        match outcome:
            case Scored(_, step, score):
                if flight := self._in_flight(step, StepState.SCORING):
                    self._weigh(flight, score)
            case Chosen(_, step, shares):
                if flight := self._in_flight(step, StepState.CLASSIFYING, StepState.ENDING, StepState.ATTRIBUTING):
                    self._chosen(flight, shares)
            case TextDelta(_, step, text):
                if flight := self._in_flight(step, StepState.HOLDING, StepState.SPEAKING):
                    self._hear(flight, text)
            case SaidDone(_, step):
                if flight := self._in_flight(step, StepState.HOLDING, StepState.SPEAKING):
                    self._finish(flight)
            case _:
                if flight := self._in_flight(outcome.step, *StepState):
                    self._fail(flight, outcome.message)
                    if outcome.code == ContextTooLong.code:
                        self._agenda.too_long()

    # ---------------------------------------------------------------------------------------------- looking, listening

    def _second(self, second: Tick | Passed | TickSkipped) -> None:
        if isinstance(second, TickSkipped):
            self._skip(second.at, second.wall, second.reason)
            return
        frame = second.frame
        if self._flight is not None or isinstance(second, Passed):
            reason = Skip.BUSY
            if self._flight is not None and self._flight.state in (StepState.HOLDING, StepState.SPEAKING):
                reason = self._looking.miss(second, self._flight)
            self._skip(frame.t, frame.wall, reason)
            return
        glimpse, backlog = self._looking.at(second, wanted=self._agenda.waiting)
        if glimpse.look is Look.SKIP:
            self._skip(frame.t, frame.wall, Skip.STILL, change=glimpse.change)
            return
        effects, message = self._agenda.compose(
            self._steps, frame, glimpse.look, burst=second.burst, backlog=backlog, change=glimpse.change
        )
        self.context.append(message.turn)
        flight = self._flight = PendingStep(message, glimpse)
        self._tick_wanted = False
        self._effects += [*effects, Append(flight.step, message.turn)]
        flight.kind = self._sentences.asks(message) if self.config.engine.chooses else None
        self._next(flight, flight.kind, StepState.CLASSIFYING)

    def _chosen(self, flight: PendingStep, shares: tuple[float, ...]) -> None:
        if flight.state is StepState.ATTRIBUTING:
            flight.shared = flight.shares(shares)
            self._weighing.attribute(flight, flight.meant(shares))
            self._speak(flight)
        elif flight.state is StepState.CLASSIFYING:
            kind, chooses = flight.heard(shares), self.config.engine.chooses
            effects, flight.which = self._sentences.classify(flight.message, kind, chooses=chooses)
            self._effects += effects
            self._next(flight, flight.which, StepState.ENDING)
        else:
            self._effects += self._sentences.end(flight.message, flight.meant(shares))
            self._next(flight, None, StepState.SCORING)

    def _next(self, flight: PendingStep, choice: Choice[Any] | None, state: StepState) -> None:
        """Ask `choice` where there is one, which leads to `state`; else ask for the score."""
        if choice is not None:
            flight.state = state
            self._effects.append(AskChoice(flight.step, choice.question, choice.options))
        else:
            flight.state = StepState.SCORING
            self._effects.append(AskScore(flight.step))

    # ------------------------------------------------------------------------------------------------------- speaking

    def _weigh(self, flight: PendingStep, score: Score) -> None:
        flight.which = self._weighing.weigh(flight, score)
        if flight.which is not None:
            self._next(flight, flight.which, StepState.ATTRIBUTING)
        else:
            self._speak(flight)

    def _speak(self, flight: PendingStep) -> None:
        """Speak if it may be: it is known now whom it concerns."""
        about, score = flight.concern, flight.scored
        if not about.speak:
            self._silence(flight, about.suppressed, detail=score.garbage or "")
            return
        self._looking.seen(flight)
        flight.remark = self._speech.begin(score, flight.frame.t, asked=about.query is not None)
        flight.state = StepState.HOLDING
        self._effects.append(Say(flight.step))

    def _hear(self, flight: PendingStep, raw: str) -> None:
        remark = flight.remark
        self._show(flight, remark.hear(raw))
        if remark.suppressed or remark.over:
            self._effects.append(Abort(flight.step))
            self._finish(flight)

    def _finish(self, flight: PendingStep) -> None:
        """The answer is whole, or nobody wants the rest."""
        remark = flight.remark
        self._show(flight, remark.finish())
        if remark.suppressed:
            self._silence(flight, remark.suppressed, detail=remark.note or remark.question)
            return
        query = flight.concern.query if self._agenda.is_open(flight.concern.query) else None
        t, question = flight.frame.t, remark.question
        self._effects += self._speech.end(flight, self._agenda)
        answered = [] if question else self._sentences.answered(flight.message, query, flight.epoch, remark.note)
        self._settle(flight, remark.written)
        self._effects += answered
        if question:
            self._effects.append(Delegate(self._agenda.hand_over(question), t, remark.note, question))
        decision = Decision.DELEGATE if question else Decision.SPEAK
        self._decide(flight, decision, text=remark.note, question=question, query=query)
        self._end_step()

    def _show(self, flight: PendingStep, more: str) -> None:
        if more:
            self._effects += self._speech.show(flight, more)
            flight.state = StepState.SPEAKING

    # ----------------------------------------------------------------------------------------------- ends of a step

    def _silence(self, flight: PendingStep, suppressed: Suppressed | None, *, detail: str = "") -> None:
        self._settle(flight, SILENCE)
        self._decide(flight, Decision.SILENT, suppressed=suppressed, detail=detail)
        self._end_step()

    def _fail(self, flight: PendingStep, message: str) -> None:
        """The engine failed. What was shown already stays, for people and for the model."""
        if flight.epoch is None:
            self.context.rollback()
            self._looking.lost(flight)
            self._effects.append(Rollback(flight.step))
            self._decide(flight, Decision.SILENT, skipped=Skip.FAILED, detail=message)
        else:
            remark = flight.remark
            remark.break_off()
            self._effects += self._speech.end(flight, self._agenda, interrupted=True)
            self._settle(flight, answer(remark.note))
            self._decide(flight, Decision.SPEAK, text=remark.note, detail=message)
        self._end_step()

    def _settle(self, flight: PendingStep, written: str) -> None:
        self.context.settle(written)
        self._looking.settled(flight)
        self._effects.append(Settle(flight.step, written))
        self._effects += self._agenda.settled(flight.message)
        said = None if flight.epoch is None else flight.remark.note
        self._effects += self._sentences.settled(flight.message, flight.epoch, said)
        self._tick_wanted = self._tick_wanted or self._agenda.urgent

    def _end_step(self) -> None:
        self._flight = None
        if self._tick_wanted:
            self._want_tick()

    def _decide(self, flight: PendingStep, decision: Decision, **about: Any) -> None:
        self._effects.append(flight.decided(decision, self._agenda.book.zones, **about))

    def _skip(self, t: float, wall: float, reason: Skip, *, change: float | None = None) -> None:
        """A tick of its own, without a decision."""
        self._effects.append(Decided(self._steps, t, wall, Decision.SILENT, Look.SKIP, skipped=reason, change=change))

    # -------------------------------------------------------------------------------------------- asking, configuring

    def _asked(self, asked: QueryAsked) -> None:
        if not self.config.engine.follows_instructions:
            self._effects += self._speech.decline(asked)
            return
        self._sentences.forget(asked.id)
        self._effects += self._agenda.ask(asked.id, asked.text, asked.at)
        self._want_tick()

    def _configure(self, config: ObserverConfig, *, engine_changed: bool) -> None:
        """`config` counts from now on. Raises `ConfigError`, and changes nothing, where its budget is too small."""
        self.context.configure(config)
        self.config = config
        self._effects += self._agenda.configure(config)
        self._looking.configure(config)
        self._speech.configure(config)
        self._weighing.configure(config)
        if engine_changed:
            self._agenda.engine_restarted()

    def _want_tick(self) -> None:
        """Now, or as soon as the step in flight has ended."""
        self._tick_wanted = self._flight is not None
        if self._flight is None:
            self._effects.append(TickNow())

    def _in_flight(self, step: int, *states: StepState) -> PendingStep | None:
        """The step in flight if it is this one; None where that one is over."""
        if step > self._steps:
            raise RuntimeError(f"There is an outcome of step {step}, but the last step was {self._steps}.")
        if self._flight is None or self._flight.step != step:
            return None
        if self._flight.state not in states:
            expected = " or ".join(state.name for state in states)
            raise RuntimeError(f"Step {step} is {self._flight.state.name}; this outcome belongs to {expected}.")
        return self._flight
