"""The state machine of one session: facts come in as inputs, what is to be done goes out as effects.

```
          Tick                     Scored                first sentence whole
  IDLE ──────────────► SCORING ────────────► HOLDING ───────────────────────► SPEAKING
   ▲  Append, AskScore    │  Say                │  UtteranceDelta …              │ SaidDone:
   │                      │ silent, suppressed  │ repeated, empty                │ UtteranceDone
   └──────────────────────┴─────────────────────┴──── Settle, Decided ───────────┘
```

A failure leads back to IDLE from anywhere. There is no clock and no chance in here: recorded inputs give the same
effects again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from joyvl_server.core import events as ev
from joyvl_server.core.agenda import Agenda
from joyvl_server.core.concern import concern
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.context import Context
from joyvl_server.core.flight import Flight
from joyvl_server.core.gaze import Gaze
from joyvl_server.core.protocol import SILENCE, answer
from joyvl_server.core.queries import ANSWERED
from joyvl_server.core.remark import Remark
from joyvl_server.core.repetition import Repetition
from joyvl_server.core.turns import Look
from joyvl_server.core.utterances import Utterances

__all__ = ["Observer", "ObserverConfig", "State"]

NO_WORDS = (
    "I can't answer questions: this engine reports what moves and changes, and does not read words. "
    "An engine that follows instructions can answer."
)


class State(IntEnum):
    IDLE = 0
    SCORING = 1
    """asked for a score"""
    HOLDING = 2
    """the engine speaks, nothing is shown yet"""
    SPEAKING = 3
    """text goes out as it comes"""


class Observer:
    """One session's machine: `handle` takes one input and returns what is to be done, in order.

    Outcomes of steps that are over are ignored. An input that no shell may send in the present state raises
    `RuntimeError`: it is a mistake in the shell, not in the world.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.config = config
        self.context = Context(config)
        self._agenda = Agenda(config, self.context)
        self._gaze = Gaze(config)
        self._repetition = Repetition(config.cooldown_s, config.duplicate_window_s)
        self._utterances = Utterances()
        self._threshold = config.threshold
        self._state = State.IDLE
        self._steps = 0
        self._flight: Flight | None = None
        self._tick_wanted = False
        self._effects: list[ev.Effect] = []

    @property
    def state(self) -> State:
        return self._state

    def text_of(self, epoch: int | None) -> str | None:
        """The words of an utterance; None where there is none, or it is long forgotten."""
        return None if epoch is None else self._utterances.text(epoch)

    def heard(self, epoch: int) -> str:
        """The part of an utterance that playback acknowledged."""
        return self._utterances.heard(epoch)

    def handle(self, input: ev.Input) -> list[ev.Effect]:
        """Take one input in; returns the effects it has."""
        match input:
            case ev.Tick():
                self._effects += self._agenda.expire(input.at)
                self._tick(input)
            case ev.TickSkipped(at, wall, reason):
                self._effects += self._agenda.expire(at)
                self._steps += 1
                self._skip(at, wall, reason)
            case ev.Scored(_, step, score):
                if flight := self._in_flight(step, State.SCORING):
                    self._weigh(flight, score)
            case ev.TextDelta(_, step, text):
                if flight := self._in_flight(step, State.HOLDING, State.SPEAKING):
                    self._hear(flight, text)
            case ev.SaidDone(_, step):
                if flight := self._in_flight(step, State.HOLDING, State.SPEAKING):
                    self._finish(flight)
            case ev.EngineFailed():
                if flight := self._in_flight(input.step, *State):
                    self._fail(flight, input.message)
            case ev.QueryAsked():
                self._ask(input)
            case ev.QueryWithdrawn(_, query_id):
                self._effects += self._agenda.withdraw(query_id)
            case ev.WatchesChanged(_, book):
                self._agenda.book = book
            case ev.SensitivityChanged(_, threshold):
                self._threshold = threshold
            case ev.PlaybackAcked(_, epoch, heard):
                self._utterances.hear(epoch, heard)
            case ev.TaskChanged():
                self._agenda.task_changed(input)
                if self._agenda.urgent:
                    self._want_tick()
            case _:
                raise NotImplementedError(input)
        effects, self._effects = self._effects, []
        return effects

    # ------------------------------------------------------------------------------------------------- looking, scoring

    def _tick(self, tick: ev.Tick) -> None:
        self._steps += 1
        frame = tick.frame
        if self._flight is not None:
            self._skip(frame.t, frame.wall, ev.Skip.BUSY)
            return
        glimpse = self._gaze.judge(frame, wanted=self._agenda.waiting)
        if glimpse.look is Look.SKIP:
            self._skip(frame.t, frame.wall, ev.Skip.STILL, change=glimpse.change)
            return
        chunk, message = self._agenda.compose(self._steps, frame, glimpse.look)
        if chunk is not None:
            self._effects.append(ev.BeginChunk(chunk))
        self.context.append(message.turn)
        self._flight = Flight(message, glimpse)
        self._state = State.SCORING
        self._tick_wanted = False
        self._effects += [ev.Append(self._steps, message.turn), ev.AskScore(self._steps)]

    def _weigh(self, flight: Flight, score: ev.Score) -> None:
        flight.score = score
        about = concern(score, self._agenda.book, self._threshold, self._agenda.concerned(flight.message))
        flight.concern = about
        t, asked = flight.frame.t, about.query is not None
        if not about.speak:
            self._silence(flight, about.suppressed, detail=score.garbage or "")
        elif not asked and self._repetition.cooling(score.kind, t):
            self._silence(flight, ev.Suppressed.COOLDOWN)
        else:
            flight.remark = Remark(self.config, self._repetition, score, t, asked=asked)
            self._state = State.HOLDING
            self._effects.append(ev.Say(flight.step))

    # -------------------------------------------------------------------------------------------------------- speaking

    def _hear(self, flight: Flight, raw: str) -> None:
        remark = flight.remark
        self._show(flight, remark.hear(raw))
        if remark.suppressed or remark.over:
            self._effects.append(ev.Abort(flight.step))
            self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        """The answer is whole, or nobody wants the rest."""
        remark = flight.remark
        self._show(flight, remark.finish())
        if remark.suppressed:
            self._silence(flight, remark.suppressed, detail=remark.note or remark.question)
            return
        query = flight.concern.query if self._agenda.is_open(flight.concern.query) else None
        self._close_utterance(flight, remark.note)
        self._settle(flight, remark.written)
        t, question = flight.frame.t, remark.question
        if question:
            self._effects.append(ev.Delegate(self._agenda.hand_over(question), t, remark.note, question))
        else:
            self._effects += self._agenda.answered(query, flight.epoch)
        decision = ev.Decision.DELEGATE if question else ev.Decision.SPEAK
        self._decide(flight, decision, text=remark.note, question=question, query=query)
        self._end_step()

    def _show(self, flight: Flight, more: str) -> None:
        if not more:
            return
        if flight.epoch is None:
            flight.epoch = self._utterances.begin()
            self._state = State.SPEAKING
        self._utterances.write(flight.epoch, flight.remark.note)
        self._effects.append(ev.UtteranceDelta(flight.epoch, more))

    def _close_utterance(self, flight: Flight, note: str, *, interrupted: bool = False) -> None:
        if flight.epoch is None:
            return  # a question was handed over without a word
        t, wall, urgency = flight.frame.t, flight.frame.wall, flight.concern.urgency
        self._effects.append(ev.UtteranceDone(flight.epoch, t, wall, note, urgency, interrupted))
        self._agenda.said(t, note)

    # ----------------------------------------------------------------------------------------------- ends of a step

    def _silence(self, flight: Flight, suppressed: ev.Suppressed | None, *, detail: str = "") -> None:
        self._settle(flight, SILENCE)
        self._decide(flight, ev.Decision.SILENT, suppressed=suppressed, detail=detail)
        self._end_step()

    def _fail(self, flight: Flight, message: str) -> None:
        """The engine failed. What was shown already stays, for people and for the model."""
        if flight.epoch is None:
            self.context.rollback()
            self._effects.append(ev.Rollback(flight.step))
            self._decide(flight, ev.Decision.SILENT, skipped=ev.Skip.FAILED, detail=message)
        else:
            remark = flight.remark
            remark.break_off()
            self._close_utterance(flight, remark.note, interrupted=True)
            self._settle(flight, answer(remark.note))
            self._decide(flight, ev.Decision.SPEAK, text=remark.note, detail=message)
        self._end_step()

    def _settle(self, flight: Flight, written: str) -> None:
        self.context.settle(written)
        self._gaze.saw(flight.frame, flight.glimpse)
        self._agenda.settled(flight.message)
        self._tick_wanted = self._tick_wanted or self._agenda.urgent
        self._effects.append(ev.Settle(flight.step, written))

    def _end_step(self) -> None:
        self._flight = None
        self._state = State.IDLE
        if self._tick_wanted:
            self._want_tick()

    def _decide(self, flight: Flight, decision: ev.Decision, **about: Any) -> None:
        self._effects.append(flight.decided(decision, self._agenda.book.zones, **about))

    def _skip(self, t: float, wall: float, reason: ev.Skip, *, change: float | None = None) -> None:
        """A tick of its own, without a decision."""
        self._effects.append(
            ev.Decided(self._steps, t, wall, ev.Decision.SILENT, Look.SKIP, skipped=reason, change=change)
        )

    # --------------------------------------------------------------------------------------------------------- asking

    def _ask(self, asked: ev.QueryAsked) -> None:
        if self.config.follows_instructions:
            self._effects += self._agenda.ask(asked.id, asked.text, asked.at)
            self._want_tick()
            return
        epoch = self._utterances.begin()
        self._utterances.write(epoch, NO_WORDS)
        self._effects += [
            ev.UtteranceDelta(epoch, NO_WORDS),
            ev.UtteranceDone(epoch, asked.at, asked.wall, NO_WORDS, ev.Urgency.NOTICE),
            ev.QueryClosed(asked.id, ANSWERED, epoch),
        ]

    def _want_tick(self) -> None:
        """Now, or as soon as the step in flight has ended."""
        self._tick_wanted = self._flight is not None
        if self._flight is None:
            self._effects.append(ev.TickNow())

    def _in_flight(self, step: int, *states: State) -> Flight | None:
        """The step in flight if it is this one; None where that one is over."""
        if step > self._steps:
            raise RuntimeError(f"There is an outcome of step {step}, but the last step was {self._steps}.")
        if self._flight is None or self._flight.step != step:
            return None
        if self._state not in states:
            expected = " or ".join(state.name for state in states)
            raise RuntimeError(f"Step {step} is {self._state.name}; this outcome belongs to {expected}.")
        return self._flight
