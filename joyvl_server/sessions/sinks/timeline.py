"""Keeps what happens in a session: entries of the timeline, and every tick with its score."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import PlaybackCut
from joyvl_server.core.errors import NotFound, StoreError
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import endings, payloads
from joyvl_server.sessions.query_list import QueryView
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import (
    DecisionsResumed,
    DecisionsStopped,
    EventNoted,
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
from joyvl_server.store.events import ClipState, EventRecord, Events
from joyvl_server.store.ticks.ticks import Ticks

KEPT_OF_REMARK = ("score", "threshold", "kind", "zone", "box", "watches", "query", "epoch", "question")
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
        self._bus = context.bus
        self._machine = context.machine
        self._clock = context.deps.clock
        self._timeline = context.deps.timeline
        self._clips = context.deps.clips
        self._source = context.source
        self._watches = context.watches
        self._queries = context.queries
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
                about = {"query_id": query.id, "reason": query.status, "epoch": epoch, **_grounds(query)}
                self._note("query_closed", query.answer or "", **about)
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
        """What was said, and which watches it is about, at the moment of the picture: one entry."""
        decided, shown = ticked.decided, payloads.tick(ticked.record)
        about = {key: shown[key] for key in KEPT_OF_REMARK}
        if about["query"] is not None:
            with suppress(NotFound):
                about |= _grounds(self._queries.get(about["query"]))
        if decided.watches:
            type, about["watch_names"] = "watch_fired", self._names(decided.watches)
        else:
            type = "spoke" if decided.decision is Decision.SPEAK else "delegated"
        clip = self._clips.prospect(self._record.kind)
        event = self._note(type, decided.text, ticked.picture, clip=clip, t=decided.t, wall=decided.wall, **about)
        if event.clip == "recording":
            self._clips.begin(event, self._source)

    def _names(self, watches: Iterable[str]) -> list[str]:
        """As they are called now: a watch may be renamed or deleted later."""
        names = {watch.id: watch.name for watch in self._watches.all()}
        return [names.get(id, "") for id in watches]

    def _note(
        self,
        type: str,
        text: str = "",
        picture: bytes = b"",
        *,
        clip: tuple[ClipState, str] = ("none", ""),
        t: float | None = None,
        wall: float | None = None,
        **data: Any,
    ) -> EventRecord:
        """One entry; `t` (stream seconds) and `wall` are now unless it is about an earlier moment."""
        event = EventRecord(
            id=new_id("evt"),
            session_id=self._record.id,
            camera_id=self._record.camera_id,
            type=type,
            t=self._machine.now if t is None else t,
            wall=self._clock.wall() if wall is None else wall,
            text=text,
            data=data,
            clip=clip[0],
            clip_reason=clip[1],
        )
        event = self._timeline.post(event, picture)
        self._bus.publish(EventNoted(event))
        self._counter.labels(type).inc()
        return event


def _grounds(query: QueryView) -> dict[str, Any]:
    """What an answer rests on, and what it was given without; forgetting one of these takes the answer too."""
    return {name: value for name, value in (("rests_on", list(query.rests_on)), ("note", query.note)) if value}


async def close_left_open(events: Events, ticks: Ticks) -> None:
    """Sessions that were running when the server was killed end where they were last seen. Raises `StoreError`.

    Cancelled, it may have ended some.
    """
    for seen in await events.left_open():
        t, wall = seen.t, seen.wall
        with suppress(StoreError):
            tick = await ticks.newest(seen.session_id)
            if tick is not None and tick.wall > wall:
                t, wall = tick.t, tick.wall
        events.post(
            EventRecord(
                id=new_id("evt"),
                session_id=seen.session_id,
                camera_id=seen.camera_id,
                type="session_ended",
                t=t,
                wall=wall,
                text=endings.KILLED,
                data={"code": endings.end_code(endings.KILLED)},
            )
        )
