"""One live observation of one source: who it is, what comes in, how it begins and ends.

Its machine decides (`machine.runner`); what that and people bring about goes over its bus to sinks (`sinks.registry`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import PastForgotten, QueryAsked, QueryWithdrawn
from joyvl_server.core.prompt.turns import Draft
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import Source, SourceState, SourceStatus
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import endings, payloads
from joyvl_server.sessions.delegation.session_delegation import SessionDelegation
from joyvl_server.sessions.deps import SessionDeps
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.machine.runner import MachineRunner
from joyvl_server.sessions.memory.requests import ANYBODY, Asker, parts
from joyvl_server.sessions.memory.session_past import SessionPast
from joyvl_server.sessions.query_list import QueryList, QueryView
from joyvl_server.sessions.sinks.base import RecentTicks, SinkContext
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import (
    QueryOpened,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    SourceChanged,
)
from joyvl_server.sessions.sinks.updates import UpdateLog
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.speech.session_speech import SessionSpeech
from joyvl_server.sessions.ticking.base import Ticker
from joyvl_server.sessions.watch_list import WatchList
from joyvl_server.store.memories.records import MemoryRecord
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord


class Session:
    """Build it, let a supervisor `run` it, then `finish` it and `close_sinks`.

    `settings` are the server's with those of `spec` in their place. `watches` and `queries` are what people want of it.
    """

    def __init__(
        self,
        record: SessionRecord,
        spec: SessionSpec,
        source: Source,
        ticker: Ticker,
        watches: Iterable[WatchRecord],
        deps: SessionDeps,
    ) -> None:
        self.id = record.id
        self.record = record
        self.spec = spec
        self.settings = spec.resolved(deps.settings)
        self.source = source
        self.end_reason = endings.SOURCE_ENDED
        self._deps = deps
        self._state = source.state
        deps.metrics.sources.labels(source.state.status.value).inc()
        self.bus = Bus(record.id)
        self.machine = MachineRunner(record, self.settings, source, ticker, self.bus, deps)
        call = record.kind == "call"
        self.speech = SessionSpeech(self, source.audio, deps.speech, self.machine, self.bus, deps.clock, call=call)
        self.speech.configure(self.settings)
        self.queries = QueryList()
        self.watches = WatchList(record, deps, self.bus, self.machine, self.speech, watches, spec.zones)
        self.updates = UpdateLog(self.id, new_id("log"), deps.updates_backlog, deps.clock, self)
        self._recent = RecentTicks()
        self._has_forgotten = False
        self.past = SessionPast(record, spec.memory_of, self.settings.language, deps)
        self.delegation = SessionDelegation(
            record, self.machine.frames, deps.agents, deps.tasks, self.settings.language, self.past.recaller
        )
        context = SinkContext(
            record=record,
            session=self,
            source=source,
            deps=deps,
            bus=self.bus,
            machine=self.machine,
            watches=self.watches,
            queries=self.queries,
            updates=self.updates,
            ticks=self._recent,
            speaker=self.speech.speaker,
            delegation=self.delegation,
            past=self.past,
        )
        deps.sinks.attach(context)

    # ---------------------------------------------------------------------------------------------------- life cycle

    async def run(self) -> None:
        """Tick until the source ends. Cancelled, it stops at once; either way engine session, input log and source are
        given back, which takes some seconds at most."""
        self.bus.start()
        self.bus.publish(SessionStarted(self.record.name))
        self.machine.engine.begun()
        self.machine.source_changed(self._state)
        self.speech.start()
        try:
            # A registered camera stays, and shows that its file has ended.
            await self.machine.run(stays=self.record.kind == "camera")
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give voice, source and machine back; `run` does it by itself. Cancelled, the source is freed all the same,
        and the input log may stay open."""
        try:
            await self.speech.aclose()
        finally:
            await self.source.aclose()
        await self.machine.aclose()

    def finish(self) -> None:
        """The last message; nothing comes after it."""
        self.machine.engine.leave()
        self._deps.metrics.sources.labels(self._state.status.value).dec()
        self.bus.publish(SessionEnded(self.end_reason, endings.end_code(self.end_reason)))

    async def close_sinks(self) -> None:
        """Let the sinks finish what they hold, some seconds at most. Cancelled, it ends them at once."""
        await self.bus.aclose()

    # ------------------------------------------------------------------------------------------------------ inputs in

    def source_changed(self, state: SourceState) -> None:
        """The source came or went. Told once per change of status, not at every failed try."""
        before, self._state = self._state, state
        self._deps.metrics.sources.labels(before.status.value).dec()
        self._deps.metrics.sources.labels(state.status.value).inc()
        if state.status == before.status:
            return
        self.machine.source_changed(state)
        if state.status is SourceStatus.CONNECTING:
            return
        self.bus.publish(SourceChanged(state))

    def ask(self, text: str, asker: Asker = ANYBODY) -> QueryView:
        """A question asked once. Raises `Conflict` (too_many). A fact and a wish from now on in one are two: the first
        is returned."""
        first, *others = parts(text)
        self.queries.check_open(1 + len(others))
        view = self._ask(first, asker)
        for other in others:
            self._ask(other, asker)
        return self.queries.get(view.id)

    def _ask(self, text: str, asker: Asker) -> QueryView:
        wall = self._deps.clock.wall()
        view = self.queries.ask(text, wall)
        request = self.past.requests.read(text, wall, reads_words=self.capabilities.follows_instructions)
        self.bus.publish(QueryOpened(view, request, asker))
        if request is None:
            self.machine.take(QueryAsked(self.source.now, view.id, text, wall))
        return self.queries.get(view.id)

    def withdraw(self, query_id: str) -> None:
        """Nobody wants an answer any more. Raises `NotFound`."""
        self.queries.withdraw(query_id)
        self.machine.take(QueryWithdrawn(self.source.now, query_id))

    @property
    def camera_id(self) -> str | None:
        return self.record.camera_id

    def forget(self, since: float, until: float) -> None:
        """See `RunningSession.forget`."""
        self.queries.forget(since, until)
        self._recent.forget(since, until)
        self.delegation.forget(since, until)
        self.updates.forget(since, until)
        now, wall = self.machine.now, self._deps.clock.wall()
        self.machine.take(PastForgotten(now, now - (wall - since), now - (wall - until)))
        self._has_forgotten = True

    def told(self, memory: MemoryRecord) -> None:
        """This memory is new, or has another text; its next prompt knows it if it is a fact of this place."""
        self.forgotten((memory.id,))
        if self.past.knows(memory):
            self.bus.publish(SessionUpdated())

    def forgotten(self, memories: Collection[str]) -> None:
        """See `RunningSession.forgotten`."""
        quoted = self.past.forgotten(memories)
        if quoted and not self._has_forgotten:
            now = self.machine.now
            self.machine.take(PastForgotten(now, now, now))
        if quoted or self._has_forgotten:
            self._has_forgotten = False
            self.bus.publish(SessionUpdated())

    def set_apart(self) -> None:
        """Somebody may look at its camera and not at others: its next prompt quotes nothing of those."""
        self.forgotten(self.past.recaller.told_of_others)

    async def write_text(self, draft: Draft) -> str | None:
        """See `MachineRunner.write_text`."""
        return await self.machine.write_text(draft)

    def change(self, spec: SessionSpec, *, name: str | None = None) -> None:
        """From now on, with another name where one is given. The machine learns only of what is another. Raises
        `ConfigError` for settings that cannot work: then nothing is changed."""
        settings = spec.resolved(self._deps.settings)
        self._deps.speech.check_voice(settings.voice)
        self.machine.configure(settings)
        self.speech.configure(settings)
        self.spec, self.settings = spec, settings
        if name is not None:
            self.record = replace(self.record, name=name)
        self.watches.zones = spec.zones
        self.bus.publish(SessionUpdated())

    # --------------------------------------------------------------------------------------------------- for clients

    @property
    def capabilities(self) -> Capabilities:
        return self.machine.capabilities

    @property
    def engine_state(self) -> EngineState:
        """Whether the engine decides for this session."""
        return self.machine.engine.state

    @property
    def state(self) -> SourceState:
        return self._state

    def describe(self) -> dict[str, Any]:
        """The session as clients see it now."""
        view = payloads.SessionView(
            record=self.record,
            spec=self.spec,
            settings=self.settings,
            capabilities=self.capabilities,
            pressure=self.machine.client.pressure,
            source=self._state,
            engine=self.engine_state,
            watches=[payloads.watch(watch, self.watches.note(watch)) for watch in self.watches.all()],
            queries=self.queries.all(),
            last_remark=self._recent.last_remark,
            latency=self.latency(),
            speech=self.speech.describe(),
        )
        return payloads.session(view)

    def ticks(self, limit: int = 600) -> list[dict[str, Any]]:
        """The newest ticks, oldest first, in the shape of the updates."""
        kept = self._recent.newest
        return [payloads.tick(record) for record in islice(kept, max(0, len(kept) - max(0, limit)), None)]

    def latency(self) -> dict[str, float | int | None]:
        """Milliseconds from capture to decision; see `TickTimer.summary`."""
        return self.machine.timer.summary()

    async def snapshot(self) -> Frame:
        """The newest picture. Raises `NoFrame`. See `Source.look`."""
        return await self.source.look()
