"""One live observation of one source: feeds its observer, carries out what it answers, tells its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from joyvl_server.core.decisions import Pressure
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import ConfigChanged, Input, QueryAsked, QueryWithdrawn, TickSkipped, WatchesChanged
from joyvl_server.core.watches.zones import Zone
from joyvl_server.engines.base import Capabilities, EngineSpec
from joyvl_server.ingest.base import Source, SourceState, SourceStatus
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import endings, payloads
from joyvl_server.sessions.deps import SessionDeps, observer_config
from joyvl_server.sessions.engines.monitor import EngineMonitor
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.machine.observation import Observation
from joyvl_server.sessions.machine.runner import MachineRunner
from joyvl_server.sessions.query_list import QueryList, QueryView
from joyvl_server.sessions.scheduling.leases import EngineClient, Lease, Priority
from joyvl_server.sessions.sinks.journal import Journal
from joyvl_server.sessions.sinks.performer import Performer
from joyvl_server.sessions.sinks.updates import UpdateLog
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.ticking.base import Ticker
from joyvl_server.sessions.watch_list import WatchDraft, WatchList
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord


class Session:
    """Build it and let a supervisor `run` it, then `finish` it. Every public coroutine may raise `JoyvlError`.

    `pen` looks after the engine that writes summaries, where that is another one. `settings` are the server's with
    those of `spec` in their place.
    """

    def __init__(
        self,
        record: SessionRecord,
        spec: SessionSpec,
        source: Source,
        monitor: EngineMonitor,
        ticker: Ticker,
        around: SessionDeps,
        *,
        pen: EngineMonitor | None = None,
        watches: Iterable[WatchRecord] = (),
    ) -> None:
        self.id = record.id
        self.record = record
        self.spec = spec
        self.settings = spec.resolved(around.settings)
        self.source = source
        self.engine_name = monitor.engine.name
        self.tick_s = self.settings.tick_s
        self.end_reason = endings.SOURCE_ENDED
        self._around = around
        self._ticker = ticker
        self._state = source.state
        around.metrics.sources.labels(source.state.status.value).inc()
        self._standing = WatchList(self.id, around.watches, watches, spec.zones)
        self._questions = QueryList()
        self._journal = Journal(
            record,
            around.events,
            around.metrics,
            around.clock,
            lambda: source.now,
            around.numbers,
            threshold=lambda: self.settings.threshold,
            ticks=around.ticks,
        )
        self.updates = UpdateLog(
            self.id, new_id("log"), around.updates_backlog, around.clock.wall, lambda: payloads.session(self)
        )
        self._performer = Performer(
            self, self.id, self._journal, self._questions, self.updates, around.metrics, around.numbers, ticker.wake
        )
        self._observation = Observation(
            EngineSpec(session_id=self.id, tick_s=self.tick_s),
            monitor,
            pen,
            around,
            now=lambda: source.now,
            facts=lambda can: observer_config(self.settings, can),
            first=self._first_inputs,
            perform=self._performer.perform,
            on_pressure=self._updated,
            listener=self,
        )
        self._engine_missed = False

    def _first_inputs(self) -> list[Input]:
        """What a machine has to know before its first tick: the watches, and what people asked another one before."""
        open_queries = [view for view in self._questions.all() if view.status == "open"]
        return [
            WatchesChanged(self.source.now, self._standing.book()),
            *(QueryAsked(self.source.now, view.id, view.text, view.asked_wall) for view in open_queries),
        ]

    # ------------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Tick until the source ends or the caller cancels; then engine session, recorder and source are given back."""
        self._journal.note("session_started", self.record.name)
        if not self.engine_state.decides:
            self.engine_state_changed(self.engine_state)
        if self._state.status is SourceStatus.ONLINE:
            self._ticker.online()
        try:
            async with asyncio.TaskGroup() as tasks:
                deeds = tasks.create_task(self._performer.run())
                # A registered camera stays, and shows that its file has ended.
                await self._observation.run(lambda: self._ticker.run(self), stays=self.record.kind == "camera")
                deeds.cancel()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give source and recorder back; `run` does it by itself."""
        await self.source.aclose()
        await self._observation.aclose()

    def finish(self) -> None:
        """The last update and the last entry; nothing comes after them."""
        self._observation.leave()
        self._around.metrics.sources.labels(self._state.status.value).dec()
        self.updates.publish("session.ended", reason=self.end_reason, code=endings.end_code(self.end_reason))
        self.updates.close()
        self._journal.note("session_ended", self.end_reason)

    @property
    def has_pictures(self) -> bool:
        return self._state.status is SourceStatus.ONLINE

    def engine_capabilities_changed(self) -> None:
        """The engine was probed: it may be able to do more, or be another one."""
        self._updated()
        self._observation.engine_changed()

    @property
    def capabilities(self) -> Capabilities:
        return self._observation.capabilities

    @property
    def engine_state(self) -> EngineState:
        """Whether the engine decides for this session."""
        return self._observation.health.state

    @property
    def driver(self) -> MachineRunner:
        return self._observation.driver

    @property
    def engine_client(self) -> EngineClient:
        return self._observation.client

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
        kind = "offline"
        if state.status is SourceStatus.ONLINE:
            kind = "online"
            self._ticker.online()
        shown = payloads.source(state)
        self.updates.publish(f"camera.{kind}", state=shown)
        self._journal.note(f"camera_{kind}", state.error or "", state=shown)

    def engine_state_changed(self, state: EngineState) -> None:
        """Told at once; in the timeline once when decisions stop and once when they come again."""
        self._updated()
        if state.trying or state.decides is not self._engine_missed:
            return
        self._engine_missed = not state.decides
        kind = "engine_offline" if self._engine_missed else "engine_online"
        shown = payloads.engine_state(state)
        self._journal.note(kind, shown["reason"] or "", engine_state=shown)

    # --------------------------------------------------------------------------------------------- what the ticker does

    async def look(self, at: float | None = None) -> Frame:
        """The newest picture with what this session's engine and fidelity need of it. Raises `NoFrame`."""
        every = self.capabilities.needs_every_frame
        spares = self.settings.fidelity != "faithful" or self.pressure is not Pressure.NONE
        glance = not every and (spares or self.capabilities.prepares)  # the lead of a chunk is made of glances
        return await self.source.look(at=at, glance=glance, trail=every)

    @property
    def priority(self) -> Priority:
        return Priority.CALL if self.record.kind == "call" else Priority.CAMERA

    @property
    def pictures(self) -> int:
        return 1 if self.capabilities.needs_every_frame else self.settings.frames_per_tick

    @property
    def now(self) -> float:
        """Stream seconds."""
        return self.source.now

    @property
    def busy(self) -> bool:
        return self.driver.busy

    @property
    def replying(self) -> bool:
        return self.driver.replying

    async def idle(self) -> None:
        await self.driver.idle()

    def tick(self, frame: Frame, burst: tuple[Frame, ...], due: float, speed: float, grant: Lease) -> None:
        """A second has come; `due` is monotonic, `speed` stream seconds per second."""
        self.driver.tick(frame, burst, due, max(0.0, (self.source.now - frame.t) / speed), grant)

    def passed(self, frame: Frame, burst: tuple[Frame, ...]) -> None:
        self.driver.passed(frame, burst)

    def skip(self, skipped: TickSkipped) -> None:
        self.driver.take(skipped)

    # -------------------------------------------------------------------------------------------------- for clients

    @property
    def zones(self) -> tuple[Zone, ...]:
        return self.spec.zones

    @property
    def pressure(self) -> Pressure:
        """How short of time the engine is."""
        return self._observation.client.pressure

    @property
    def last_remark(self) -> dict[str, Any] | None:
        last = self._performer.last_remark
        return None if last is None else payloads.kept_tick(last)

    def ticks(self, limit: int = 600) -> list[dict[str, Any]]:
        """The newest ticks, oldest first, in the shape of the updates."""
        kept = self._performer.ticks
        return [payloads.kept_tick(tick) for tick in islice(kept, max(0, len(kept) - max(0, limit)), None)]

    def latency(self) -> dict[str, float | int | None]:
        return self.driver.stopwatch.summary()

    async def snapshot(self) -> Frame:
        return await self.source.look()

    def watches(self) -> list[WatchRecord]:
        return self._standing.all()

    async def add_watch(self, draft: WatchDraft) -> WatchRecord:
        record = await self._standing.add(draft, self._around.clock.wall())
        self._watches_changed("watch.created", draft.query_id, watch=payloads.watch(record, self))
        return record

    async def change_watch(self, watch_id: str, changes: dict[str, Any], *, query_id: str | None = None) -> WatchRecord:
        """`changes`: name, text, zones, threshold, paused, kinds. `query_id`: the sentence that asked for it."""
        record = await self._standing.change(watch_id, changes)
        self._watches_changed("watch.updated", query_id, watch=payloads.watch(record, self))
        return record

    async def remove_watch(self, watch_id: str) -> None:
        await self._standing.remove(watch_id)
        self._watches_changed("watch.deleted", None, watch_id=watch_id)

    def queries(self) -> list[QueryView]:
        return self._questions.all()

    async def ask(self, text: str) -> QueryView:
        wall = self._around.clock.wall()
        view = self._questions.ask(text, wall)
        self.updates.publish("query.created", query=payloads.query(view))
        self._journal.note("query_asked", text, query_id=view.id)
        self.driver.take(QueryAsked(self.source.now, view.id, text, wall))
        return self._questions.get(view.id)

    async def withdraw(self, query_id: str) -> None:
        self._questions.get(query_id)
        self.driver.take(QueryWithdrawn(self.source.now, query_id))

    def change(self, spec: SessionSpec, *, name: str | None = None) -> None:
        """From now on, with another name where one is given. The machine learns only of what is another."""
        before, zones = self.settings, self.spec.zones
        self.spec, self.settings = spec, spec.resolved(self._around.settings)
        if name is not None:
            self.record = replace(self.record, name=name)
        if spec.zones != zones:
            self._standing.zones = spec.zones
            self.driver.take(WatchesChanged(self.source.now, self._standing.book()))
        config = observer_config(self.settings, self.capabilities)
        if config != observer_config(before, self.capabilities):
            self.driver.take(ConfigChanged(self.source.now, config))
        self._updated()

    def _watches_changed(self, type: str, query_id: str | None, **data: Any) -> None:
        self.driver.take(WatchesChanged(self.source.now, self._standing.book()))
        if query_id is not None:
            data["query_id"] = query_id
        self.updates.publish(type, **data)

    def _updated(self) -> None:
        self.updates.publish("session.updated", session=payloads.session(self))
