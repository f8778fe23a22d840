"""Keeps what happens in a session: entries of the timeline, and every tick with its score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import Decided
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import payloads
from joyvl_server.sessions.machine.tick_timer import Timings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.unique_numbers import UniqueNumbers
from joyvl_server.store.events import EventRecord, Events
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.ticks.ticks import Ticks

# What a remark's event keeps of its tick.
KEPT = ("score", "kind", "zone", "box", "watches", "query", "epoch", "question")


class Journal:
    """Never waits: the writer thread takes it from here. Without `ticks` no tick is kept.

    `now` gives stream seconds, `threshold` the score from which the session speaks.
    """

    def __init__(
        self,
        record: SessionRecord,
        events: Events,
        metrics: Metrics,
        clock: Clock,
        now: Callable[[], float],
        numbers: UniqueNumbers,
        threshold: Callable[[], float],
        ticks: Ticks | None = None,
    ) -> None:
        self._record = record
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._numbers = numbers
        self._threshold = threshold
        self._ticks = ticks

    def note(
        self, type: str, text: str = "", *, t: float | None = None, wall: float | None = None, **data: Any
    ) -> None:
        """One entry; `t` (stream seconds) and `wall` are now unless it is about an earlier moment."""
        record = EventRecord(
            id=new_id("evt"),
            session_id=self._record.id,
            camera_id=self._record.camera_id,
            type=type,
            t=self._now() if t is None else t,
            wall=self._clock.wall() if wall is None else wall,
            text=text,
            data=data,
        )
        self._events.post(record)
        self._metrics.events.labels(type).inc()

    def tick(self, decided: Decided, timings: Timings) -> TickRecord:
        """Keep one second, spoken or not, and return it as it is kept."""
        record = payloads.tick_record(self._record.id, self._numbers.next(), decided, timings, self._threshold())
        if self._ticks is not None:
            self._ticks.post(record)
        return record

    def remark(self, decided: Decided, tick: TickRecord) -> None:
        """What was said, and each watch that it fired."""
        shown = payloads.kept_tick(tick)
        about = {key: shown[key] for key in KEPT}
        type = "spoke" if decided.decision is Decision.SPEAK else "delegated"
        self.note(type, decided.text, t=decided.t, wall=decided.wall, **about)
        for watch_id in decided.watches:
            self.note("watch_fired", decided.text, t=decided.t, wall=decided.wall, watch_id=watch_id, **about)
