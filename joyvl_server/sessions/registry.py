"""All that one server watches: its cameras, its calls and the sessions that run over them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from joyvl_server.agents.queue import TaskQueue
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.ingest.base import Media, PullSpec
from joyvl_server.kit.clock import Clock, UniqueNumbers
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.signing import UrlSigner
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions import endings
from joyvl_server.sessions.alerting.house import open_alerts
from joyvl_server.sessions.camera_service import CameraService
from joyvl_server.sessions.cameras import Call
from joyvl_server.sessions.deps import SessionDeps, tick_retention
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.factory import SessionFactory
from joyvl_server.sessions.memory.past_upkeep import PastUpkeep
from joyvl_server.sessions.memory.services import PastServices
from joyvl_server.sessions.memory.zone_calendar import ZoneCalendar
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.clips import ClipTasks
from joyvl_server.sessions.sinks.registry import SinkRegistry
from joyvl_server.sessions.sinks.timeline import close_left_open
from joyvl_server.sessions.spec import PLUGIN_FAULTS, SessionSpec
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.sessions.supervisor import SessionSupervisor
from joyvl_server.sessions.ticking.requested import RequestedTicker
from joyvl_server.sessions.watch_list import WatchDraft, check_zones
from joyvl_server.settings import Settings
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.events import Events
from joyvl_server.store.idempotency import IdempotencyKeys
from joyvl_server.store.sessions import SessionRecord, Sessions
from joyvl_server.store.store import Store
from joyvl_server.store.ticks.ticks import Ticks
from joyvl_server.store.watches import Watches
from joyvl_server.timeline.timeline import Timeline

log = structlog.get_logger(__name__)


class Registry:
    """Composed of what it needs; `start` before use, `aclose` at the end. `cameras` holds the registered cameras."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        media: Media,
        policy: NetPolicy,
        engines: EnginePool,
        clock: Clock,
        speech: SpeechServices | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.metrics.clip_bytes.set_function(lambda: media.clip_bytes)
        self.engines = engines
        db = store.main
        self.events = Events(db, kept=settings.store.max_events)
        self.timeline = Timeline(db.path.parent, settings.timeline, self.events, clock)
        self.ticks = Ticks(store.ticks, db, tick_retention(settings.store), clock)
        self.idempotency = IdempotencyKeys(db)
        self.store = store
        self.signer = UrlSigner(settings.data_dir, settings.server.public_url)
        self.speech = speech or SpeechServices()
        self.tasks = TaskQueue.open(settings, db, clock)
        self.memory = LongTermMemory.open(settings, db, clock)
        self._preparing: asyncio.Task[None] | None = None
        self._media = media
        self._clock = clock
        self._records = Sessions(db, kept=settings.store.max_ended_sessions)
        self._calls: dict[str, Call] = {}
        self._sinks = SinkRegistry(clock, self.metrics)
        self._clips = ClipTasks(settings, self.timeline, self.metrics, clock)
        deps = SessionDeps(
            clock, settings.sessions, self.metrics, Watches(db), self.events, UniqueNumbers(clock), self._records,
            Cameras(db), self.ticks, engines, self._sinks, self.speech, settings.agents, self.tasks, self.timeline,
            self.memory, PastServices(settings.memory, ZoneCalendar(settings.zone())), self._clips,
            settings.server.updates_backlog,
        )  # fmt: skip
        engines.equip(clock, self.metrics, settings.sessions.engine_loading_s)
        self._supervisor = SessionSupervisor(clock, self.metrics, self._records, self)
        self.factory = SessionFactory(settings.engine.name, deps, self._supervisor)
        self.past = PastUpkeep(settings, store, self.memory, self.timeline, self.tasks, self, clock)
        deps.past.eraser = self.past.eraser
        self.cameras = CameraService(deps, media, policy, self.factory, self._supervisor)
        self.alerts = open_alerts(self, clock)

    async def start(self) -> None:
        """Take up what was there before: cameras with their sessions and watches. Calls of an earlier run are over.

        Cancelled, it takes up no more; `aclose` gives back what there is.
        """
        for fault in PLUGIN_FAULTS:
            log.error("session settings of a package are left out", error=fault)
        await asyncio.to_thread(self.signer.prepare)
        self.ticks.tidy()
        await self._records.end_open("the server was restarted")
        await self.timeline.start()
        await self._clips.start()
        await close_left_open(self.events, self.ticks)
        await self._sinks.load()
        await self.tasks.start()
        self.memory.start()
        self.past.start()
        self._preparing = asyncio.create_task(self.speech.start(), name="voices get ready")
        await self.alerts.start()
        await self.cameras.take_up()

    async def aclose(self) -> None:
        """End every session, then give engines, media workers and the database back.

        Cancelled, it leaves the rest open.
        """
        await self.cameras.aclose()
        await self._supervisor.aclose(endings.STOPPED)
        await self._clips.aclose()
        await self.tasks.aclose()
        await self.past.aclose()
        await self.memory.aclose()
        await self._media.aclose()
        if self._preparing is not None:
            self._preparing.cancel()
        await self.speech.aclose()
        await self.alerts.aclose()
        await self.engines.aclose()
        await self.timeline.aclose()
        await self.store.aclose()

    async def untouched(self) -> bool:
        """True where no session has ever been: a first start. Cancelling it changes nothing."""
        return not self.cameras.all() and not await self._records.list(limit=1)

    async def ready(self) -> dict[str, str | None]:
        """Each part that must work, with None or a sentence that says what is wrong. Cancelling it changes nothing."""
        parts = {"store": await self.store.fault(), "ticks": self.store.ticks.fault}
        parts["secrets"] = self.store.main.secrets.fault
        parts |= {"timeline": self.timeline.files.fault, "memory": self.memory.ready(), "alerts": self.alerts.ready()}
        return {**parts, **self.speech.ready(), **await self.engines.check(self.settings.engine.name)}

    def schedulers(self) -> list[dict[str, Any]]:
        """How every engine in use is doing: see `EngineScheduler.snapshot`."""
        return self.engines.schedulers()

    # ------------------------------------------------------------------------------------------------------ sessions

    def camera_days(self) -> dict[str, float]:
        return {view.record.id: view.record.created_wall for view in self.cameras.all()}

    def sessions(self) -> list[Session]:
        return self._supervisor.all()

    def session(self, session_id: str) -> Session:
        return self._supervisor.get(session_id)

    async def change_session(self, session_id: str, changes: dict[str, Any]) -> Session:
        """Fields of its `SessionSpec` that need no new session, from now on; a camera keeps them.

        Raises `NotFound`. See `CameraService.change`.
        """
        session = self.session(session_id)
        if session.record.camera_id is not None:
            await self.cameras.change(session.record.camera_id, changes)
        else:
            session.change(session.spec.changed(changes))
        return session

    async def end_session(self, session_id: str) -> None:
        """Raises `NotFound`, `Conflict` for that of a camera. See `SessionSupervisor.stop`."""
        if self.session(session_id).record.kind == "camera":
            raise Conflict("This session belongs to a camera: disable or delete the camera instead.")
        await self._supervisor.stop(session_id, endings.ENDED)

    async def ended(self, session_id: str) -> None:
        """Wait until that session is over by itself. Cancelling it only ends the wait."""
        await self._supervisor.ended(session_id)

    async def engine_there(self, tell: Callable[[EngineState], None]) -> EngineState:
        """Wait until the default engine can be asked; see `EngineMonitor.there`. Raises `ConfigError`.

        Cancelling it only ends the wait.
        """
        monitor = self.engines.monitor(await self.factory.engine_name(None))
        return await monitor.there(self.settings.sessions.engine_timeout_s, tell)

    async def watch_url(self, spec: PullSpec, *, name: str, watches: tuple[WatchDraft, ...] = ()) -> Session:
        """A session on one URL that is not registered as a camera; `joyvl watch` uses it.

        A lockstep file goes at most `speed` times as fast as real time, and at 0 as fast as it decides. Cancelled,
        nothing is watched.
        """
        engine = await self.factory.engine_name(None)
        record = SessionRecord(new_id("ses"), "file", name, None, engine, None, self._clock.wall())
        with self.factory.admission(engine):
            stored = await self.factory.store(record, watches)
            if spec.lockstep:
                ticker = self.factory.lockstep_ticker(spec.speed)
                spec = replace(spec, speed=1.0)  # the ticker sets the pace
            else:
                ticker = self.factory.live_ticker(spec.speed)
            source = await self._media.open(record.id, spec, self.factory.listener(record.id))
            return self.factory.begin(record, SessionSpec(), source, ticker, stored)

    def session_lost(self, record: SessionRecord, error: BaseException | None) -> None:
        self.cameras.session_lost(record, error)

    # --------------------------------------------------------------------------------------------------------- calls

    def calls(self) -> list[Call]:
        return [call for call in self._calls.values() if self._supervisor.find(call.session_id) is not None]

    def call(self, call_id: str) -> Call:
        for call in self.calls():
            if call.id == call_id:
                return call
        raise NotFound(f"There is no call {call_id}.")

    def expect_call(self) -> None:
        """Somebody may call soon: what takes time before the first picture is made ready. Returns at once."""
        self._media.expect_call()

    async def open_call(
        self,
        offer_sdp: str,
        *,
        name: str | None = None,
        spec: SessionSpec | None = None,
        watches: tuple[WatchDraft, ...] = (),
    ) -> Call:
        """Take a WebRTC call and watch it. Raises `SourceError` (bad_sdp, no_udp_port), `NotAllowed`, `ConfigError`.

        Cancelled, it hangs the call up.
        """
        call = await self._open_call(name or "Browser call", spec, watches, offer_sdp)
        self._calls = {call.id: call for call in self.calls()}
        self._calls[call.id] = call
        return call

    async def open_pushed(
        self, *, name: str | None = None, spec: SessionSpec | None = None, watches: tuple[WatchDraft, ...] = ()
    ) -> Session:
        """A session on what a client pushes; `close_pushed` when that has gone. Raises as `open_call`. Cancelled,
        there is none."""
        call = await self._open_call(name or "Realtime client", spec, watches, None)
        return self.session(call.session_id)

    async def open_requested(self, *, name: str, spec: SessionSpec | None = None) -> tuple[Session, RequestedTicker]:
        """The same, where the client says by the ticker when to tick. See `open_pushed`."""
        call = await self._open_call(name, spec, (), None, ticker := self.factory.requested_ticker())
        return self.session(call.session_id), ticker

    async def _open_call(
        self, name: str, spec: SessionSpec | None, watches: tuple[WatchDraft, ...], offer_sdp: str | None,
        ticker: RequestedTicker | None = None,
    ) -> Call:  # fmt: skip
        """Without an offer the client pushes; with a `ticker` it says when to tick, too."""
        for watch in watches:
            check_zones(watch.zones, ())
        spec = spec or SessionSpec()
        self.speech.check_voice(spec.resolved(self.settings.sessions).voice)
        engine_name = await self.factory.engine_name(spec.engine)
        with self.factory.admission(engine_name):
            call_id, now, answer = new_id("call"), self._clock.wall(), ""
            record = SessionRecord(new_id("ses"), "call", name, None, engine_name, None, now)
            listener = self.factory.listener(record.id)
            if offer_sdp is None:
                source = await self._media.push(call_id, listener)
            else:
                source, answer = await self._media.answer(call_id, offer_sdp, listener)
            try:
                stored = await self.factory.store(record, watches)
                self.factory.begin(record, spec, source, ticker or self.factory.live_ticker(), stored)
            except BaseException:
                await source.aclose()
                raise
        return Call(call_id, record.id, answer, now)

    async def close_pushed(self, session_id: str) -> None:
        """Its client has gone. Idempotent."""
        with suppress(NotFound):
            await self._supervisor.stop(session_id, endings.HUNG_UP)

    async def hang_up(self, call_id: str) -> None:
        """Raises `NotFound`. See `SessionSupervisor.stop`."""
        await self._supervisor.stop(self.call(call_id).session_id, endings.HUNG_UP)
