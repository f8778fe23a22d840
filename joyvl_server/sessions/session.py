"""One live observation of one source: feeds its observer, carries out what it answers, tells its clients."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.events import (
    Decided,
    Decision,
    Delegate,
    Effect,
    EngineFailed,
    Input,
    QueryAsked,
    QueryClosed,
    QueryWithdrawn,
    SaidDone,
    Score,
    Scored,
    SensitivityChanged,
    TaskChanged,
    TextDelta,
    Tick,
    TickNow,
    TickSkipped,
    UtteranceDelta,
    UtteranceDone,
    WatchesChanged,
)
from joyvl_server.core.frame import Frame
from joyvl_server.core.observer import Observer
from joyvl_server.core.zones import Zone
from joyvl_server.engines.base import Capabilities, Engine, EngineSpec
from joyvl_server.ingest.base import Source, SourceState, SourceStatus
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import payloads
from joyvl_server.sessions.journal import Journal
from joyvl_server.sessions.lane import ENGINE_EFFECTS, EngineLane, Outcomes
from joyvl_server.sessions.latency import Stopwatch, Timings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.questions import QueryView, Questions
from joyvl_server.sessions.recorder import Recorder
from joyvl_server.sessions.standing import Standing, WatchDraft
from joyvl_server.sessions.ticker import Ticker
from joyvl_server.sessions.updates import UpdateLog
from joyvl_server.settings import SessionSettings
from joyvl_server.store.events import Events
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import Watches, WatchRecord

log = structlog.get_logger(__name__)

TICKS_KEPT = 900


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session of a server shares."""

    clock: Clock
    settings: SessionSettings
    metrics: Metrics
    watches: Watches
    events: Events
    updates_backlog: int = 1024


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
        self._stopwatch = Stopwatch(around.clock, around.metrics)
        self._journal = Journal(record, around.events, around.metrics, around.clock, lambda: source.now)
        self.last_remark: dict[str, Any] | None = None
        self._ticks: deque[dict[str, Any]] = deque(maxlen=TICKS_KEPT)
        self._inbox: deque[Input] = deque()
        self._handling = False
        self._speaking: int | None = None
        self.updates = UpdateLog(
            self.id, new_id("log"), around.updates_backlog, around.clock.wall, lambda: payloads.session(self)
        )
        config = observer_config(around.settings, self.capabilities, self.threshold)
        self._observer = Observer(config)
        self._recorder = Recorder.open(around.settings.record_dir, self.id, config)
        self._lane = EngineLane(
            engine,
            EngineSpec(session_id=self.id, tick_s=self.tick_s),
            around.settings.engine_timeout_s,
            Outcomes(self._on_asked, self._on_scored, self._on_text, self._on_said, self._on_failed),
        )
        self._dispatch(WatchesChanged(0.0, self._standing.book()))

    # ------------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Tick until the source ends or the caller cancels; then engine session, recorder and source are given back."""
        self._journal.note("session_started", self.record.name)
        try:
            async with asyncio.TaskGroup() as tasks:
                lane = tasks.create_task(self._lane.run())
                await self._ticker.run(self)
                if self.record.kind == "camera":
                    await asyncio.Event().wait()  # a registered camera stays, and shows that its file has ended
                lane.cancel()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give source and recorder back; `run` does it by itself."""
        await self.source.aclose()
        await self._recorder.aclose()

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
        return self._lane.busy

    async def idle(self) -> None:
        await self._lane.idle()

    def tick(self, frame: Frame, due: float, speed: float) -> None:
        """A second has come; `due` is monotonic, `speed` stream seconds per second."""
        self._stopwatch.due(due, max(0.0, (self.source.now - frame.t) / speed))
        self._dispatch(Tick(self.source.now, frame))

    def skip(self, skipped: TickSkipped) -> None:
        self._dispatch(skipped)

    # -------------------------------------------------------------------------------------------------- for clients

    @property
    def zones(self) -> tuple[Zone, ...]:
        return self._standing.zones

    def ticks(self, limit: int = 600) -> list[dict[str, Any]]:
        """The newest ticks, oldest first, in the shape of the updates."""
        return list(self._ticks)[-limit:] if limit > 0 else []

    def latency(self) -> dict[str, float | int | None]:
        return self._stopwatch.summary()

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
        self._dispatch(QueryAsked(self.source.now, view.id, text, wall))
        return self._questions.get(view.id)

    async def withdraw(self, query_id: str) -> None:
        self._questions.get(query_id)
        self._dispatch(QueryWithdrawn(self.source.now, query_id))

    def set_threshold(self, value: float) -> None:
        self.threshold = value
        self._dispatch(SensitivityChanged(self.source.now, value))
        self._updated()

    def adjust(self, name: str, threshold: float | None, zones: tuple[Zone, ...]) -> None:
        """Its camera was changed in a way that needs no new session."""
        self.record = replace(self.record, name=name)
        self.threshold = self._around.settings.threshold if threshold is None else threshold
        self._standing.zones = zones
        self._dispatch(SensitivityChanged(self.source.now, self.threshold))
        self._dispatch(WatchesChanged(self.source.now, self._standing.book()))
        self._updated()

    def _watches_changed(self, type: str, **data: Any) -> None:
        self._dispatch(WatchesChanged(self.source.now, self._standing.book()))
        self.updates.publish(type, **data)

    def _updated(self) -> None:
        self.updates.publish("session.updated", session=payloads.session(self))

    # -------------------------------------------------------------------------------------------- the engine's outcomes

    def _on_asked(self, step: int) -> None:
        self._stopwatch.asked()

    def _on_scored(self, step: int, score: Score) -> None:
        self._stopwatch.scored()
        if score.garbage is not None:
            self._around.metrics.garbage.inc()
            log.warning("answer outside the protocol, taken as silence", session=self.id, answer=score.garbage)
        self._dispatch(Scored(self.source.now, step, score))

    def _on_text(self, step: int, text: str) -> None:
        self._dispatch(TextDelta(self.source.now, step, text))

    def _on_said(self, step: int) -> None:
        self._dispatch(SaidDone(self.source.now, step))

    def _on_failed(self, step: int, code: str, message: str) -> None:
        self._around.metrics.engine_failures.labels(self.engine_name, code).inc()
        self._dispatch(EngineFailed(self.source.now, step, code, message))

    # ----------------------------------------------------------------------------------------------------- the machine

    def _dispatch(self, input: Input) -> None:
        """Hand one input to the machine and carry its effects out. What an effect brings about queues behind it."""
        self._inbox.append(input)
        if self._handling:
            return
        self._handling = True
        try:
            while self._inbox:
                current = self._inbox.popleft()
                effects = self._observer.handle(current)
                self._recorder.write(current, effects)
                for effect in effects:
                    self._perform(effect)
        finally:
            self._handling = False

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, ENGINE_EFFECTS):
            self._lane.put(effect)
            return
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
        self._dispatch(TaskChanged(self.source.now, effect.task_id, "failed", reason))

    def _query_closed(self, closed: QueryClosed) -> None:
        answer = self._observer.text_of(closed.epoch)
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
            timings = self._stopwatch.decided()
            kind = "response.listen" if decided.decision is Decision.SILENT else "response.done"
        tick = payloads.tick(decided, timings)
        self._ticks.append(tick)
        self.updates.publish(kind, tick=tick)
        if kind == "response.done":
            self.last_remark = tick
            self._journal.remark(decided, tick)
            for watch_id in decided.watches:
                self.updates.publish("watch.fired", watch_id=watch_id, tick=tick)


def observer_config(settings: SessionSettings, can: Capabilities, threshold: float) -> ObserverConfig:
    """The machine's settings: the session's, and what the engine can do."""
    return ObserverConfig(
        threshold=threshold,
        cooldown_s=settings.cooldown_s,
        duplicate_window_s=settings.duplicate_window_s,
        query_ttl_s=settings.query_ttl_s,
        fidelity=settings.fidelity,
        context_tokens=settings.context_tokens,
        chunk_s=settings.chunk_s,
        follows_instructions=can.follows_instructions,
        reports_kinds=can.reports_kinds,
        needs_every_frame=can.needs_every_frame,
    )
