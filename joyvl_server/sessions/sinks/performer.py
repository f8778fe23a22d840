"""Carries out what a session's machine asks for beside its engine: tells clients, keeps the timeline, keeps watches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import (
    AddWatch,
    Decided,
    Delegate,
    Effect,
    EndWatch,
    QueryClosed,
    TickNow,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.inputs import TaskChanged
from joyvl_server.core.prompt.queries import WITHDRAWN
from joyvl_server.sessions import payloads
from joyvl_server.sessions.machine.runner import MachineRunner
from joyvl_server.sessions.machine.tick_timer import Timings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.query_list import QueryList
from joyvl_server.sessions.sinks.journal import Journal
from joyvl_server.sessions.sinks.updates import UpdateLog
from joyvl_server.sessions.unique_numbers import UniqueNumbers
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.watches import WatchRecord

log = structlog.get_logger(__name__)

TICKS_KEPT = 900
MOST_DEEDS = 64
"""watches to keep or to pause that wait for the disk; a session has at most so many watches"""


class Performs(Protocol):
    """The session, as its performer needs it."""

    @property
    def driver(self) -> MachineRunner: ...
    @property
    def now(self) -> float: ...
    async def add_watch(self, draft: WatchDraft) -> WatchRecord: ...
    async def change_watch(
        self, watch_id: str, changes: dict[str, Any], *, query_id: str | None = None
    ) -> WatchRecord: ...
    def watches(self) -> list[WatchRecord]: ...
    async def remove_watch(self, watch_id: str) -> None: ...


class Performer:
    def __init__(
        self,
        session: Performs,
        session_id: str,
        journal: Journal,
        questions: QueryList,
        updates: UpdateLog,
        metrics: Metrics,
        numbers: UniqueNumbers,
        wake: Callable[[], None],
    ) -> None:
        self.last_remark: TickRecord | None = None
        self.ticks: deque[TickRecord] = deque(maxlen=TICKS_KEPT)
        self._session = session
        self._session_id = session_id
        self._journal = journal
        self._questions = questions
        self._updates = updates
        self._metrics = metrics
        self._numbers = numbers
        self._wake = wake
        self._speaking: int | None = None
        self._deeds: asyncio.Queue[AddWatch | EndWatch | QueryClosed] = asyncio.Queue(MOST_DEEDS)

    async def run(self) -> None:
        """Keep and pause watches as the machine asks, one after the other, until cancelled: that takes the disk."""
        while True:
            deed = await self._deeds.get()
            try:
                match deed:
                    case AddWatch(query_id, text):
                        record = await self._session.add_watch(WatchDraft(text, query_id=query_id))
                        self._questions.concerns(query_id, record.id)
                    case EndWatch(query_id, watch_id):
                        await self._session.change_watch(watch_id, {"paused": True}, query_id=query_id)
                        self._questions.concerns(query_id, watch_id)
                    case QueryClosed(query_id):
                        await self._undo(query_id)
            except JoyvlError as error:
                self._not_kept(str(error))

    async def _undo(self, query_id: str) -> None:
        """The sentence was withdrawn: what it did to a watch, if anything, is undone."""
        watch_id = self._questions.get(query_id).watch_id
        watch = next((watch for watch in self._session.watches() if watch.id == watch_id), None)
        if watch is None:
            return
        if watch.query_id == query_id:
            await self._session.remove_watch(watch.id)
        else:
            await self._session.change_watch(watch.id, {"paused": False}, query_id=query_id)

    def perform(self, effect: Effect) -> None:
        match effect:
            case TickNow():
                self._wake()
            case UtteranceDelta(epoch, text):
                if self._speaking != epoch:
                    self._speaking = epoch
                    self._numbers.used(epoch)
                    self._updates.publish("response.created", epoch=epoch)
                self._updates.publish("response.output_text.delta", epoch=epoch, delta=text)
            case UtteranceDone():
                self._speaking = None
                self._updates.publish("response.output_text.done", **asdict(effect))
            case Delegate():
                self._delegate(effect)
            case QueryClosed():
                self._query_closed(effect)
                if effect.reason == WITHDRAWN:
                    self._do(effect)
            case AddWatch() | EndWatch():
                self._do(effect)
            case Decided():
                self._decided(effect)

    def _do(self, deed: AddWatch | EndWatch | QueryClosed) -> None:
        try:
            self._deeds.put_nowait(deed)
        except asyncio.QueueFull:
            self._not_kept("Too many sentences came at once.")

    def _not_kept(self, why: str) -> None:
        log.warning("watch of a sentence not kept", session=self._session_id, error=why)
        message = f"What you said could not be kept as a watch. {why}"
        self._updates.publish("error", error={"code": "watch_not_kept", "message": message})

    def _delegate(self, effect: Delegate) -> None:
        """Until an agent can be configured a delegated task fails at once, saying so."""
        reason = "No agent is configured, so nobody can look into it."
        task = {"id": effect.task_id, "status": "failed", "question": effect.question, "error": reason}
        self._updates.publish("task.updated", task=task)
        self._journal.note("task", effect.question, task=task)
        self._session.driver.take(TaskChanged(self._session.now, effect.task_id, "failed", reason))

    def _query_closed(self, closed: QueryClosed) -> None:
        view = self._questions.close(closed.id, closed.reason, closed.answer)
        if view is not None:
            self._updates.publish("query.closed", query=payloads.query(view))
            self._journal.note(
                "query_closed", closed.answer or "", query_id=closed.id, reason=closed.reason, epoch=closed.epoch
            )

    def _decided(self, decided: Decided) -> None:
        if decided.suppressed is not None:
            self._metrics.suppressed.labels(decided.suppressed.value).inc()
        if decided.skipped is not None:
            self._metrics.skipped.labels(decided.skipped.value).inc()
            # A tick that was skipped while another was in flight must not show that one's timings.
            kind, timings = "response.skip", Timings()
        else:
            self._metrics.decisions.labels(decided.decision.value).inc()
            timings = self._session.driver.stopwatch.decided()
            kind = "response.listen" if decided.decision is Decision.SILENT else "response.done"
        tick = self._journal.tick(decided, timings)
        self.ticks.append(tick)
        self._updates.publish(kind, tick=tick)
        if kind == "response.done":
            self.last_remark = tick
            self._journal.remark(decided, tick)
            for watch_id in decided.watches:
                self._updates.publish("watch.fired", watch_id=watch_id, tick=tick)
