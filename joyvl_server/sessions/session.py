"""One live observation of one source: feeds its observer, carries out what it answers, tells its clients."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import structlog

from joyvl_server.core.events import (
    Decided,
    Decision,
    Delegate,
    Effect,
    QueryAsked,
    QueryClosed,
    QueryWithdrawn,
    SensitivityChanged,
    TaskChanged,
    TickNow,
    TickSkipped,
    UtteranceDelta,
    UtteranceDone,
    WatchesChanged,
)
from joyvl_server.core.frame import Frame
from joyvl_server.core.zones import Zone
from joyvl_server.engines.base import Capabilities, Engine, EngineSpec
from joyvl_server.ingest.base import Source, SourceState, SourceStatus
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import payloads
from joyvl_server.sessions.driver import Driver
from joyvl_server.sessions.journal import Journal
from joyvl_server.sessions.latency import Timings
from joyvl_server.sessions.questions import QueryView, Questions
from joyvl_server.sessions.standing import Standing, WatchDraft
from joyvl_server.sessions.surroundings import Surroundings, observer_config
from joyvl_server.sessions.ticker import Ticker
from joyvl_server.sessions.updates import UpdateLog
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord

log = structlog.get_logger(__name__)

TICKS_KEPT = 900


class Session:
    """Build it and let a supervisor `run` it. Every public coroutine may raise `JoyvlError`."""

    def __init__(
        self,
        record: SessionRecord,
        source: Source,
        engine: Engine,
        ticker: Ticker,
        around: Surroundings,
        *,
        threshold: float | None = None,
        zones: tuple[Zone, ...] = (),
        watches: Iterable[WatchRecord] = (),
    ) -> None:
        self.id = record.id
        self.record = record
        self.source = source
        self.engine_name = engine.name
        self.capabilities: Capabilities = engine.capabilities
        self.tick_s = around.settings.tick_s
        self.threshold = around.settings.threshold if threshold is None else threshold
        self.end_reason = "the source has ended"
        self._around = around
        self._ticker = ticker
        self._state = source.state
        around.metrics.sources.labels(source.state.status.value).inc()
        self._standing = Standing(self.id, around.watches, watches, zones)
        self._questions = Questions()
        self._journal = Journal(record, around.events, around.metrics, around.clock, lambda: source.now)
        self.last_remark: dict[str, Any] | None = None
        self._ticks: deque[dict[str, Any]] = deque(maxlen=TICKS_KEPT)
        self._speaking: int | None = None
        self.updates = UpdateLog(
            self.id, new_id("log"), around.updates_backlog, around.clock.wall, lambda: payloads.session(self)
        )
        self._driver = Driver(
            engine,
            EngineSpec(session_id=self.id, tick_s=self.tick_s),
            observer_config(around.settings, self.capabilities, self.threshold),
            engine_timeout_s=around.settings.engine_timeout_s,
            record_dir=around.settings.record_dir,
            clock=around.clock,
            metrics=around.metrics,
            now=lambda: source.now,
            perform=self._perform,
        )
        self._driver.take(WatchesChanged(0.0, self._standing.book()))

    # ------------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Tick until the source ends or the caller cancels; then engine session, recorder and source are given back."""
        self._journal.note("session_started", self.record.name)
        try:
            async with asyncio.TaskGroup() as tasks:
                lane = tasks.create_task(self._driver.run())
                await self._ticker.run(self)
                if self.record.kind == "camera":
                    await asyncio.Event().wait()  # a registered camera stays, and shows that its file has ended
                lane.cancel()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give source and recorder back; `run` does it by itself."""
        await self.source.aclose()
        await self._driver.aclose()

    def finish(self) -> None:
        """The last update and the last entry; nothing comes after them."""
        self._around.metrics.sources.labels(self._state.status.value).dec()
        self.updates.publish("session.ended", reason=self.end_reason)
        self.updates.close()
        self._journal.note("session_ended", self.end_reason)

    @property
    def state(self) -> SourceState:
        return self._state

    def on_source_state(self, state: SourceState) -> None:
        """The source came or went. Told once per change of status, not at every failed try."""
        before, self._state = self._state, state
        self._around.metrics.sources.labels(before.status.value).dec()
        self._around.metrics.sources.labels(state.status.value).inc()
        if state.status == before.status or state.status is SourceStatus.CONNECTING:
            return
        kind = "online" if state.status is SourceStatus.ONLINE else "offline"
        shown = payloads.source(state)
        self.updates.publish(f"camera.{kind}", state=shown)
        self._journal.note(f"camera_{kind}", state.error or "", state=shown)

    # --------------------------------------------------------------------------------------------- what the ticker does

    async def look(self, at: float | None = None) -> Frame:
        """The newest picture with what this session's engine and fidelity need of it. Raises `NoFrame`."""
        every = self.capabilities.needs_every_frame
        glance = self._around.settings.fidelity == "adaptive" and not every
        return await self.source.look(at=at, glance=glance, trail=every)

    @property
    def busy(self) -> bool:
        return self._driver.busy

    async def idle(self) -> None:
        await self._driver.idle()

    def tick(self, frame: Frame, due: float, speed: float) -> None:
        """A second has come; `due` is monotonic, `speed` stream seconds per second."""
        self._driver.tick(frame, due, max(0.0, (self.source.now - frame.t) / speed))

    def skip(self, skipped: TickSkipped) -> None:
        self._driver.take(skipped)

    # -------------------------------------------------------------------------------------------------- for clients

    @property
    def zones(self) -> tuple[Zone, ...]:
        return self._standing.zones

    def ticks(self, limit: int = 600) -> list[dict[str, Any]]:
        """The newest ticks, oldest first, in the shape of the updates."""
        return list(self._ticks)[-limit:] if limit > 0 else []

    def latency(self) -> dict[str, float | int | None]:
        return self._driver.stopwatch.summary()

    async def snapshot(self) -> Frame:
        return await self.source.look()

    def watches(self) -> list[WatchRecord]:
        return self._standing.all()

    async def add_watch(self, draft: WatchDraft) -> WatchRecord:
        record = await self._standing.add(draft, self._around.clock.wall())
        self._watches_changed("watch.created", watch=payloads.watch(record, self.note))
        return record

    async def change_watch(self, watch_id: str, changes: dict[str, Any]) -> WatchRecord:
        """`changes` may hold name, text, zones, threshold, paused."""
        record = await self._standing.change(watch_id, changes)
        self._watches_changed("watch.updated", watch=payloads.watch(record, self.note))
        return record

    async def remove_watch(self, watch_id: str) -> None:
        await self._standing.remove(watch_id)
        self._watches_changed("watch.deleted", watch_id=watch_id)

    @property
    def note(self) -> str | None:
        """What the engine makes of a watch's words, where that is not what people expect."""
        if self.capabilities.follows_instructions:
            return None
        return (
            f"The engine {self.engine_name} does not read words: this watch fires at anything it reports in its zones."
        )

    def queries(self) -> list[QueryView]:
        return self._questions.all()

    async def ask(self, text: str) -> QueryView:
        wall = self._around.clock.wall()
        view = self._questions.ask(text, wall)
        self.updates.publish("query.created", query=payloads.query(view))
        self._journal.note("query_asked", text, query_id=view.id)
        self._driver.take(QueryAsked(self.source.now, view.id, text, wall))
        return self._questions.get(view.id)

    async def withdraw(self, query_id: str) -> None:
        self._questions.get(query_id)
        self._driver.take(QueryWithdrawn(self.source.now, query_id))

    def set_threshold(self, value: float) -> None:
        self.threshold = value
        self._driver.take(SensitivityChanged(self.source.now, value))
        self._updated()

    def adjust(self, name: str, threshold: float | None, zones: tuple[Zone, ...]) -> None:
        """Its camera was changed in a way that needs no new session."""
        self.record = replace(self.record, name=name)
        self.threshold = self._around.settings.threshold if threshold is None else threshold
        self._standing.zones = zones
        self._driver.take(SensitivityChanged(self.source.now, self.threshold))
        self._driver.take(WatchesChanged(self.source.now, self._standing.book()))
        self._updated()

    def _watches_changed(self, type: str, **data: Any) -> None:
        self._driver.take(WatchesChanged(self.source.now, self._standing.book()))
        self.updates.publish(type, **data)

    def _updated(self) -> None:
        self.updates.publish("session.updated", session=payloads.session(self))

    # ------------------------------------------------------------------------------------------- the machine's effects

    def _perform(self, effect: Effect) -> None:
        match effect:
            case TickNow():
                self._ticker.wake()
            case UtteranceDelta(epoch, text):
                if self._speaking != epoch:
                    self._speaking = epoch
                    self.updates.publish("response.created", epoch=epoch)
                self.updates.publish("response.output_text.delta", epoch=epoch, delta=text)
            case UtteranceDone():
                self._speaking = None
                self.updates.publish("response.output_text.done", **asdict(effect))
            case Delegate():
                self._delegate(effect)
            case QueryClosed():
                self._query_closed(effect)
            case Decided():
                self._decided(effect)

    def _delegate(self, effect: Delegate) -> None:
        """Until an agent can be configured a delegated task fails at once, saying so."""
        reason = "No agent is configured, so nobody can look into it."
        task = {"id": effect.task_id, "status": "failed", "question": effect.question, "error": reason}
        self.updates.publish("task.updated", task=task)
        self._journal.note("task", effect.question, task=task)
        self._driver.take(TaskChanged(self.source.now, effect.task_id, "failed", reason))

    def _query_closed(self, closed: QueryClosed) -> None:
        answer = self._driver.text_of(closed.epoch)
        view = self._questions.close(closed.id, closed.reason, answer)
        if view is not None:
            self.updates.publish("query.closed", query=payloads.query(view))
            self._journal.note("query_closed", answer or "", query_id=closed.id, reason=closed.reason)

    def _decided(self, decided: Decided) -> None:
        metrics = self._around.metrics
        if decided.suppressed is not None:
            metrics.suppressed.labels(decided.suppressed.value).inc()
        if decided.skipped is not None:
            metrics.skipped.labels(decided.skipped.value).inc()
            # A tick that was skipped while another was in flight must not show that one's timings.
            kind, timings = "response.skip", Timings()
        else:
            metrics.decisions.labels(decided.decision.value).inc()
            timings = self._driver.stopwatch.decided()
            kind = "response.listen" if decided.decision is Decision.SILENT else "response.done"
        tick = payloads.tick(decided, timings)
        self._ticks.append(tick)
        self.updates.publish(kind, tick=tick)
        if kind == "response.done":
            self.last_remark = tick
            self._journal.remark(decided, tick)
            for watch_id in decided.watches:
                self.updates.publish("watch.fired", watch_id=watch_id, tick=tick)
