"""Keeps what happens in a session: entries of the timeline, and every tick with its score."""

from __future__ import annotations

from typing import Any

from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import PlaybackCut
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import payloads
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import (
    DecisionsResumed,
    DecisionsStopped,
    HeardDone,
    Message,
    PlaybackStopped,
    QueryEnded,
    QueryOpened,
    SessionEnded,
    SessionStarted,
    SourceChanged,
    TaskUpdated,
    Ticked,
)
from joyvl_server.store.events import EventRecord

KEPT_OF_REMARK = ("score", "kind", "zone", "box", "watches", "query", "epoch", "question")
"""what a remark's event keeps of its tick"""


class TimelineSink:
    """Never waits: the writer's thread takes it from here."""

    wants = (
        Ticked,
        SessionStarted,
        SessionEnded,
        SourceChanged,
        DecisionsStopped,
        DecisionsResumed,
        QueryOpened,
        QueryEnded,
        TaskUpdated,
        HeardDone,
        PlaybackStopped,
        PlaybackCut,
    )

    def __init__(self, context: SinkContext) -> None:
        self._record = context.record
        self._machine = context.machine
        self._clock = context.deps.clock
        self._events = context.deps.events
        self._counter = context.deps.metrics.events
        self._stored = context.deps.ticks
        self._recent = context.ticks

    def take(self, message: Message) -> None:
        match message:
            case Ticked():
                self._recent.newest.append(message.record)
                self._stored.post(message.record)
                if message.spoken:
                    self._recent.last_remark = message.record
                    self._remark(message)
            case SessionStarted(name):
                self._note("session_started", name)
            case SessionEnded(reason, code):
                self._note("session_ended", reason, code=code)
            case SourceChanged(state):
                self._note(f"camera_{message.kind}", state.error or "", state=payloads.source(state))
            case DecisionsStopped(state):
                self._engine("engine_offline", payloads.engine_state(state))
            case DecisionsResumed(state):
                self._engine("engine_online", payloads.engine_state(state))
            case QueryOpened(query):
                self._note("query_asked", query.text, query_id=query.id)
            case QueryEnded(query, epoch):
                self._note("query_closed", query.answer or "", query_id=query.id, reason=query.status, epoch=epoch)
            case TaskUpdated(task) if task.status == "queued" or task.ended:
                self._note("task", task.question, task=payloads.task(task, brief=True))
            case HeardDone(speech_id, text, addressed) if text:
                self._note("heard", text, item_id=speech_id, addressed=addressed)
            case PlaybackStopped(epoch, heard) if heard:
                self._note("played", epoch=epoch, heard=heard)
            case PlaybackCut(epoch, _, heard):
                self._note("cut_off", heard, epoch=epoch)

    def _engine(self, type: str, shown: dict[str, Any]) -> None:
        self._note(type, shown["reason"] or "", engine_state=shown)

    def _remark(self, ticked: Ticked) -> None:
        """What was said, and each watch that it fired, at the moment of the picture."""
        decided, shown = ticked.decided, payloads.tick(ticked.record)
        about = {key: shown[key] for key in KEPT_OF_REMARK}
        type = "spoke" if decided.decision is Decision.SPEAK else "delegated"
        self._note(type, decided.text, t=decided.t, wall=decided.wall, **about)
        for watch_id in decided.watches:
            self._note("watch_fired", decided.text, t=decided.t, wall=decided.wall, watch_id=watch_id, **about)

    def _note(
        self, type: str, text: str = "", *, t: float | None = None, wall: float | None = None, **data: Any
    ) -> None:
        """One entry; `t` (stream seconds) and `wall` are now unless it is about an earlier moment."""
        self._events.post(
            EventRecord(
                id=new_id("evt"),
                session_id=self._record.id,
                camera_id=self._record.camera_id,
                type=type,
                t=self._machine.now if t is None else t,
                wall=self._clock.wall() if wall is None else wall,
                text=text,
                data=data,
            )
        )
        self._counter.labels(type).inc()
