"""Writes down what stays of a session: what was said and heard, alerts, answers of agents, summaries.

A question that was typed is none of it: it would be found in place of what it asks for.
"""

from __future__ import annotations

from typing import Any

from joyvl_server.core.effects import SummaryKept
from joyvl_server.core.errors import StoreError
from joyvl_server.core.past.questions import is_question
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.memory.text import clean
from joyvl_server.sessions.memory.requests import OfFacts
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import EventNoted, Message, QueryOpened
from joyvl_server.store.events import EventRecord
from joyvl_server.store.memories.records import MemoryKind

KINDS: dict[str, MemoryKind] = {"watch_fired": "watch_fired", "spoke": "said", "delegated": "said", "heard": "heard"}
"""events that are remembered as they are"""
SAME_S = 10.0
"""what was heard and asked within this time is one memory"""


class MemorySink(QueuedSink):
    """Nothing waits for the disk; what it does not take now is written later."""

    wants = (EventNoted, SummaryKept, QueryOpened)
    capacity = 512

    def __init__(self, context: SinkContext) -> None:
        self._record = context.record
        self._memory = context.deps.memory
        self._machine = context.machine
        self._clock = context.deps.clock
        self._collection = context.past.collection
        self._heard: tuple[str, float] = ("", 0.0)

    async def handle(self, message: Message) -> None:
        """Raises `StoreError` where too much waits for the disk: the bus tells it once."""
        draft = self._draft(message)
        if draft is not None and not self._memory.post(draft):
            raise StoreError("Too much waits for the disk: what is to be remembered is lost.", code="store_busy")

    def _draft(self, message: Message) -> MemoryDraft | None:
        match message:
            case EventNoted(event):
                return self._of_event(event)
            case SummaryKept(_, start, end, text, block):
                now, wall = self._machine.now, self._clock.wall()
                began, ended = wall - max(0.0, now - start), wall - max(0.0, now - end)
                return self._make("block" if block else "summary", text, began, until_wall=ended, t=start)
            case QueryOpened(query, None | OfFacts()):
                if is_question(query.text):
                    return None
                if query.text == self._heard[0] and query.asked_wall - self._heard[1] <= SAME_S:
                    return None
                return self._make("heard", query.text, query.asked_wall, t=self._machine.now)
        return None

    def _of_event(self, event: EventRecord) -> MemoryDraft | None:
        task = event.data.get("task")
        if event.type == "task" and isinstance(task, dict) and task.get("status") == "completed":
            text = f"{event.text} {task.get('digest') or ''}"
            return self._make("task", text, event.wall, t=event.t, event_id=event.id)
        kind = KINDS.get(event.type)
        if kind is None or not event.text.strip():
            return None
        text = event.text
        if kind == "heard":
            self._heard = (text, event.wall)
        names = [name for name in event.data.get("watch_names") or () if name]
        if names and not any(name in text for name in names):
            text = f"{', '.join(names)}: {text}"
        return self._make(kind, text, event.wall, t=event.t, event_id=event.id)

    def _make(self, kind: MemoryKind, text: str, wall: float, **more: Any) -> MemoryDraft | None:
        if not clean(text):
            return None
        return MemoryDraft(
            self._collection, kind, text, wall, camera_id=self._record.camera_id, session_id=self._record.id,
            source=self._record.name, **more,
        )  # fmt: skip
