"""What a sink is: it takes a session's messages and does one thing with them. It knows no other sink.

Sinks outside joyvl-server are found in the entry-point group `joyvl.sinks`: the entry is a callable
`(SinkContext) -> QueuedSink`, called once for each session.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from joyvl_server.core.inputs import Input
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import Source
from joyvl_server.sessions.query_list import QueryList
from joyvl_server.sessions.sinks.messages import Message
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.ticks.records import TickRecord

if TYPE_CHECKING:
    from joyvl_server.sessions.delegation.session_delegation import SessionDelegation
    from joyvl_server.sessions.deps import SessionDeps
    from joyvl_server.sessions.memory.session_past import SessionPast
    from joyvl_server.sessions.sinks.bus import Bus
    from joyvl_server.sessions.sinks.updates import UpdateLog
    from joyvl_server.sessions.speech.speaker import Speaker
    from joyvl_server.sessions.watch_list import WatchList

TICKS_KEPT = 900


class Machine(Protocol):
    """The session's machine, as a sink needs it: it may send inputs."""

    @property
    def now(self) -> float:
        """Stream seconds."""

    @property
    def capabilities(self) -> Capabilities:
        """What its engine can do now."""

    def take(self, input: Input) -> None: ...


class Described(Protocol):
    """A session, as clients see it."""

    def describe(self) -> dict[str, Any]:
        """How it is now; the shape is that of `GET /v1/sessions/{id}`."""


class Sink(Protocol):
    """Takes each message at once, on the event loop: it must not wait. What it raises ends nothing."""

    @property
    def wants(self) -> tuple[type, ...]:
        """The classes of the messages that it takes."""

    def take(self, message: Message) -> None: ...


class QueuedSink:
    """A sink that may wait. It has a queue and a task of its own, and hears of one message after the other."""

    wants: ClassVar[tuple[type, ...]] = ()
    """the classes of the messages that it takes"""
    capacity: ClassVar[int] = 256
    """messages that may wait; further ones are dropped, counted and told"""

    async def handle(self, message: Message) -> None:
        """What it raises is told and counted, and it hears of the next message. Cancelled where it takes too long, and
        when the session ends and does not wait any longer."""
        raise NotImplementedError

    def dropped(self, message: Message) -> None:
        """There was no room for this one."""

    async def aclose(self) -> None:
        """The session is over; nothing follows. Cancelled where it takes too long."""


@dataclass(slots=True)
class RecentTicks:
    """What a session remembers of its ticks."""

    newest: deque[TickRecord] = field(default_factory=lambda: deque(maxlen=TICKS_KEPT))
    """oldest first"""
    last_remark: TickRecord | None = None

    def forget(self, since: float, until: float) -> None:
        """What was said between these wall times; the scores stay."""
        for n, tick in enumerate(self.newest):
            if since <= tick.wall < until and (tick.text or tick.question or tick.detail):
                self.newest[n] = replace(tick, text="", question="", detail="")
        if self.last_remark is not None and since <= self.last_remark.wall < until:
            self.last_remark = None


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know of its session, and what it may use."""

    record: SessionRecord
    session: Described
    source: Source
    deps: SessionDeps
    bus: Bus
    machine: Machine
    watches: WatchList
    queries: QueryList
    updates: UpdateLog
    ticks: RecentTicks
    speaker: Speaker
    delegation: SessionDelegation
    past: SessionPast
