"""What a session's bus carries: what its machine did, and facts about the session. All frozen; nobody answers one.

Effects of the machine that are not for its engine are messages as they are (`core.effects`); a decision comes as
`Ticked`, and once more is said about the end of a query: `QueryEnded`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from joyvl_server.core.effects import (
    AddWatch,
    CutPlayback,
    Decided,
    Delegate,
    EndWatch,
    HoldPlayback,
    Play,
    PlaybackCut,
    QueryClosed,
    ResumePlayback,
    SummaryKept,
    TaskTold,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.ingest.base import SourceState
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.memory.requests import ANYBODY, Asker, PastRequest
from joyvl_server.sessions.query_list import QueryView
from joyvl_server.store.events import EventRecord
from joyvl_server.store.tasks import TaskRecord
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.watches import WatchRecord


@dataclass(frozen=True, slots=True)
class SessionStarted:
    name: str


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """Something about it is different now; `SinkContext.session` says how it is."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last message. `reason` is a sentence for people, `code` a stable word."""

    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The source came online, or is offline or over. Told once per change of status, not at every failed try."""

    state: SourceState

    @property
    def kind(self) -> str:
        return "online" if self.state.status.value == "online" else "offline"


@dataclass(frozen=True, slots=True)
class DecisionsStopped:
    """The engine decides nothing for this session any more; `state` says why."""

    state: EngineState


@dataclass(frozen=True, slots=True)
class DecisionsResumed:
    state: EngineState


@dataclass(frozen=True, slots=True)
class Ticked:
    """One second is over, decided or skipped. `record` is how it is kept and shown."""

    decided: Decided
    record: TickRecord
    spoken: bool
    """something was said"""
    picture: bytes = field(default=b"", repr=False)
    """the JPEG that made it speak; empty where nothing was said, or nothing seen"""


@dataclass(frozen=True, slots=True)
class WatchAdded:
    """`note`: what the engine makes of its words, where that is not what people expect. `query_id`: what was said."""

    watch: WatchRecord
    note: str | None
    query_id: str | None = None


@dataclass(frozen=True, slots=True)
class WatchUpdated:
    watch: WatchRecord
    note: str | None
    query_id: str | None = None


@dataclass(frozen=True, slots=True)
class WatchRemoved:
    watch_id: str


@dataclass(frozen=True, slots=True)
class QueryOpened:
    """`request`: what of it has to do with the past; None: nothing, the machine has been asked."""

    query: QueryView
    request: PastRequest | None = None
    asker: Asker = ANYBODY


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """`epoch` is the utterance that answered it, if one did."""

    query: QueryView
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class RequestWithdrawn:
    """Somebody took back what they had said: what came of it is undone."""

    query_id: str


@dataclass(frozen=True, slots=True)
class EventNoted:
    """An entry of the timeline is on its way to the disk."""

    event: EventRecord


@dataclass(frozen=True, slots=True)
class TaskUpdated:
    """A delegated task moved on."""

    task: TaskRecord


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """An utterance is being played; `by_client`: the client is to speak it with a voice of its own."""

    epoch: int
    by_client: bool


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """It plays no more; `heard`: this many characters of it were heard."""

    epoch: int
    heard: int


@dataclass(frozen=True, slots=True)
class UtteranceShown:
    """A client that reads what is said has got all of it."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SpeechNoticed:
    """Somebody began to speak at stream time `t`, or has finished."""

    id: str
    t: float
    begins: bool


@dataclass(frozen=True, slots=True)
class HeardPartly:
    """What somebody has said so far; it only grows."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class HeardDone:
    """What somebody said. `addressed`: it was meant for us. Empty `text`: no words."""

    id: str
    text: str
    addressed: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that somebody wanted did not work: a stable code and a sentence."""

    code: str
    message: str


Message = (
    UtteranceDelta
    | UtteranceDone
    | Play
    | HoldPlayback
    | ResumePlayback
    | CutPlayback
    | PlaybackCut
    | Delegate
    | TaskTold
    | AddWatch
    | EndWatch
    | QueryClosed
    | SummaryKept
    | SessionStarted
    | SessionUpdated
    | SessionEnded
    | SourceChanged
    | DecisionsStopped
    | DecisionsResumed
    | Ticked
    | WatchAdded
    | WatchUpdated
    | WatchRemoved
    | QueryOpened
    | QueryEnded
    | RequestWithdrawn
    | EventNoted
    | TaskUpdated
    | PlaybackStarted
    | PlaybackStopped
    | UtteranceShown
    | SpeechNoticed
    | HeardPartly
    | HeardDone
    | Failure
)
