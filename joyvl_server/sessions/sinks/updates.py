"""One ordered, resumable stream of updates per session."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from joyvl_server.core.effects import (
    CutPlayback,
    HoldPlayback,
    PlaybackCut,
    ResumePlayback,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions import payloads
from joyvl_server.sessions.sinks.base import Described, SinkContext
from joyvl_server.sessions.sinks.messages import (
    Failure,
    HeardDone,
    HeardPartly,
    Message,
    PlaybackStarted,
    PlaybackStopped,
    QueryEnded,
    QueryOpened,
    SessionEnded,
    SessionUpdated,
    SourceChanged,
    SpeechNoticed,
    TaskUpdated,
    Ticked,
    WatchAdded,
    WatchRemoved,
    WatchUpdated,
)
from joyvl_server.store.ticks.records import TickRecord

# Every update type there is; docs/reference/updates.md describes each and a test holds the two together.
UPDATE_TYPES = (
    "session.created",
    "session.updated",
    "session.ended",
    "response.listen",
    "response.skip",
    "response.created",
    "response.output_text.delta",
    "response.output_text.done",
    "response.done",
    "query.created",
    "query.closed",
    "watch.created",
    "watch.updated",
    "watch.deleted",
    "watch.fired",
    "camera.online",
    "camera.offline",
    "task.updated",
    "output_audio_buffer.started",
    "output_audio_buffer.held",
    "output_audio_buffer.resumed",
    "output_audio_buffer.cleared",
    "output_audio_buffer.stopped",
    "conversation.item.truncated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "error",
)


@dataclass(frozen=True, slots=True)
class Update:
    """`id` is unique over restarts (log, then sequence); `seq` grows by one within a log; `wall` is Unix seconds."""

    log_id: str
    seq: int
    type: str
    wall: float
    session_id: str
    values: Mapping[str, Any]
    """what it tells; a tick as its record, which takes a quarter of the memory of what is sent"""

    @property
    def id(self) -> str:
        return f"{self.log_id}-{self.seq}"

    @property
    def data(self) -> dict[str, Any]:
        """What it tells, as it is sent."""
        return {
            name: payloads.tick(value) if isinstance(value, TickRecord) else value
            for name, value in self.values.items()
        }

    def to_dict(self) -> dict[str, Any]:
        head = {"type": self.type, "id": self.id, "seq": self.seq, "wall": self.wall, "session_id": self.session_id}
        return {**head, **self.data}


class SlowReader(Exception):
    """The reader fell so far behind that updates it never saw were dropped; it should connect once more and resume."""


class UpdateLog:
    """Keeps the last `backlog` updates; readers are positions in it, so a slow one costs nothing and blocks nobody."""

    def __init__(self, session_id: str, log_id: str, backlog: int, clock: Clock, session: Described) -> None:
        self._session_id = session_id
        self._log_id = log_id
        self._clock = clock
        self._ring: deque[Update] = deque(maxlen=backlog)
        self._session = session
        self._seq = 0
        self._closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def publish(self, type: str, **data: Any) -> Update:
        if type not in UPDATE_TYPES:
            raise ValueError(f"{type} is no update type")
        self._seq += 1
        update = self._make(self._seq, type, data)
        self._ring.append(update)
        if self._waiters:
            self._wake()
        return update

    @property
    def closed(self) -> bool:
        """Is the session over?"""
        return self._closed

    def close(self) -> None:
        """End every subscription once it has read what is there."""
        self._closed = True
        self._wake()

    def forget(self, since: float, until: float) -> None:
        """Updates between these wall times, and all before them, are not kept for clients that resume."""
        while self._ring and any(since <= update.wall < until for update in self._ring):
            self._ring.popleft()

    def since(self, last_id: str | None) -> Subscription:
        """Everything after `last_id`; without one, or with one no longer kept, a snapshot and then what comes."""
        position = self._position(last_id)
        if position is not None:
            return Subscription(self, position, None)
        snapshot = self._make(self._seq, "session.created", {"session": self._session.describe()})
        return Subscription(self, self._seq, snapshot)

    def _position(self, last_id: str | None) -> int | None:
        log_id, _, seq = (last_id or "").rpartition("-")
        if log_id != self._log_id or not seq.isdecimal():
            return None
        oldest = self._ring[0].seq if self._ring else self._seq + 1
        return int(seq) if oldest - 1 <= int(seq) <= self._seq else None

    def _make(self, seq: int, type: str, data: Mapping[str, Any]) -> Update:
        return Update(self._log_id, seq, type, self._clock.wall(), self._session_id, data)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def _next(self, position: int) -> Update | None:
        """The update after `position`, waiting for it; None when the log is closed and read to its end."""
        while position >= self._seq:
            if self._closed:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        oldest = self._ring[0].seq if self._ring else self._seq + 1
        if position + 1 < oldest:
            raise SlowReader(f"{oldest - position - 1} updates were dropped before they were read")
        return next(islice(self._ring, position + 1 - oldest, None))


class Subscription:
    """An async iterator of updates; holds nothing but a position."""

    def __init__(self, log: UpdateLog, position: int, first: Update | None) -> None:
        self._log = log
        self._position = position
        self._first = first

    def __aiter__(self) -> Subscription:
        return self

    def heartbeat(self) -> Update:
        """A sign of life. It has id and seq of the last update that was read, so resuming stays as it was."""
        return self._log._make(self._position, "heartbeat", {})

    async def __anext__(self) -> Update:
        """Raises `SlowReader` when updates were missed, StopAsyncIteration when the session is over."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        update = await self._log._next(self._position)
        if update is None:
            raise StopAsyncIteration
        self._position = update.seq
        return update


class UpdateSink:
    """Turns messages into the updates that clients get."""

    wants = (
        Ticked,
        UtteranceDelta,
        UtteranceDone,
        SessionUpdated,
        SessionEnded,
        SourceChanged,
        WatchAdded,
        WatchUpdated,
        WatchRemoved,
        QueryOpened,
        QueryEnded,
        TaskUpdated,
        PlaybackStarted,
        PlaybackStopped,
        HoldPlayback,
        ResumePlayback,
        CutPlayback,
        PlaybackCut,
        SpeechNoticed,
        HeardPartly,
        HeardDone,
        Failure,
    )

    def __init__(self, context: SinkContext) -> None:
        self._log = context.updates
        self._session = context.session
        self._speaking: set[int] = set()
        # the server itself may say something while the engine speaks

    def take(self, message: Message) -> None:
        publish = self._log.publish
        match message:
            case Ticked():
                self._ticked(message)
            case UtteranceDelta(epoch, text):
                if epoch not in self._speaking:
                    self._speaking.add(epoch)
                    publish("response.created", epoch=epoch)
                publish("response.output_text.delta", epoch=epoch, delta=text)
            case UtteranceDone():
                self._speaking.discard(message.epoch)
                publish("response.output_text.done", **asdict(message))
            case SessionUpdated():
                publish("session.updated", session=self._session.describe())
            case SessionEnded(reason, code):
                publish("session.ended", reason=reason, code=code)
                self._log.close()
            case SourceChanged(state):
                publish(f"camera.{message.kind}", state=payloads.source(state))
            case WatchAdded() | WatchUpdated() | WatchRemoved():
                self._watch(message)
            case QueryOpened(query):
                publish("query.created", query=payloads.query(query))
            case QueryEnded(query):
                publish("query.closed", query=payloads.query(query))
            case TaskUpdated(task):
                publish("task.updated", task=payloads.task(task))
            case Failure():
                publish("error", error=asdict(message))
            case SpeechNoticed() | HeardPartly() | HeardDone():
                self._heard(message)
            case _:
                self._played(message)

    def _ticked(self, ticked: Ticked) -> None:
        if ticked.spoken:
            self._log.publish("response.done", tick=ticked.record)
            for watch_id in ticked.decided.watches:
                self._log.publish("watch.fired", watch_id=watch_id, tick=ticked.record)
        else:
            skipped = ticked.decided.skipped is not None
            self._log.publish("response.skip" if skipped else "response.listen", tick=ticked.record)

    def _played(self, message: Message) -> None:
        publish = self._log.publish
        match message:
            case PlaybackStarted(epoch, by_client):
                publish("output_audio_buffer.started", epoch=epoch, by_client=by_client)
            case HoldPlayback(epoch):
                publish("output_audio_buffer.held", epoch=epoch)
            case ResumePlayback(epoch):
                publish("output_audio_buffer.resumed", epoch=epoch)
            case CutPlayback(epoch):
                publish("output_audio_buffer.cleared", epoch=epoch)
            case PlaybackStopped(epoch, heard):
                publish("output_audio_buffer.stopped", epoch=epoch, heard=heard)
            case PlaybackCut(epoch, t, heard):
                publish("conversation.item.truncated", epoch=epoch, t=t, heard=heard)

    def _heard(self, message: SpeechNoticed | HeardPartly | HeardDone) -> None:
        publish = self._log.publish
        match message:
            case SpeechNoticed(speech_id, t, begins):
                publish(f"input_audio_buffer.speech_{'started' if begins else 'stopped'}", item_id=speech_id, t=t)
            case HeardPartly(speech_id, text):
                publish("conversation.item.input_audio_transcription.delta", item_id=speech_id, transcript=text)
            case HeardDone(speech_id, text, addressed):
                publish(
                    "conversation.item.input_audio_transcription.completed",
                    item_id=speech_id, transcript=text, addressed=addressed,
                )  # fmt: skip

    def _watch(self, message: WatchAdded | WatchUpdated | WatchRemoved) -> None:
        if isinstance(message, WatchRemoved):
            self._log.publish("watch.deleted", watch_id=message.watch_id)
            return
        asked = {} if message.query_id is None else {"query_id": message.query_id}
        type = "watch.created" if isinstance(message, WatchAdded) else "watch.updated"
        self._log.publish(type, watch=payloads.watch(message.watch, message.note), **asked)
