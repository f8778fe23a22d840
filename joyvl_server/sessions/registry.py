"""All cameras, calls and sessions of one server: created, resumed after a restart, changed, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import structlog

from joyvl_server.core.errors import Conflict, JoyvlError, NotAllowed, NotFound, SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.core.zones import Zone
from joyvl_server.ingest.base import Media, ProbeReport, PullSpec, Source, SourceState, StateListener
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.masking import restore_url
from joyvl_server.kit.netpolicy import NetPolicy
from joyvl_server.sessions.cameras import Call, CameraDraft, CameraView, pull_spec
from joyvl_server.sessions.engines import EnginePool
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.runner import Runner
from joyvl_server.sessions.scheduler import phase
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.standing import WatchDraft, check_zones, watch_record
from joyvl_server.sessions.surroundings import Surroundings
from joyvl_server.sessions.ticker import LiveTicker, LockstepTicker, Ticker
from joyvl_server.settings import Settings
from joyvl_server.store.cameras import CameraRecord, Cameras
from joyvl_server.store.database import Database
from joyvl_server.store.events import Events
from joyvl_server.store.idempotency import Idempotency
from joyvl_server.store.sessions import SessionRecord, Sessions
from joyvl_server.store.watches import Watches, WatchRecord

log = structlog.get_logger(__name__)

# A change of one of these makes another source of the camera; all else is adjusted while its session goes on.
REOPENS = ("url", "enabled", "loop", "speed", "engine")


class Registry:
    """Composed of what it needs; `start` before use, `aclose` at the end."""

    def __init__(
        self, settings: Settings, db: Database, media: Media, policy: NetPolicy, engines: EnginePool, clock: Clock
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.engines = engines
        self.events = Events(db, kept=settings.store.max_events)
        self.idempotency = Idempotency(db)
        self._db = db
        self._media = media
        self._policy = policy
        self._clock = clock
        self._cameras_store = Cameras(db)
        self._sessions_store = Sessions(db, kept=settings.store.max_ended_sessions)
        self._watches_store = Watches(db)
        self._cameras: dict[str, CameraRecord] = {}
        self._calls: dict[str, Call] = {}
        self._runner = Runner(clock, self.metrics, self._sessions_store, self._reopen)
        self._opened = 0
        self._changing = asyncio.Lock()
        self._around = Surroundings(
            clock, settings.sessions, self.metrics, self._watches_store, self.events, settings.server.updates_backlog
        )

    async def start(self) -> None:
        """Take up what was there before: cameras with their sessions and watches. Calls of an earlier run are over."""
        await self._sessions_store.end_open("the server was restarted")
        for camera in await self._cameras_store.list():
            self._cameras[camera.id] = camera
            if camera.enabled:
                await self._reopen_camera(camera)

    async def untouched(self) -> bool:
        """True where no session has ever been: a first start."""
        return not self._cameras and not await self._sessions_store.list(limit=1)

    async def aclose(self) -> None:
        """End every session, then give engines, media workers and the database back."""
        await self._runner.aclose("the server was stopped")
        await self._media.aclose()
        await self.engines.aclose()
        await self._db.aclose()

    # ------------------------------------------------------------------------------------------------------- cameras

    def cameras(self) -> list[CameraView]:
        return [self._view(c) for c in self._cameras.values()]

    def camera(self, camera_id: str) -> CameraView:
        return self._view(self._camera(camera_id))

    async def camera_watches(self, camera_id: str) -> list[WatchRecord]:
        """The watches of a camera, also while it is disabled."""
        return await self._watches_store.list(self._camera(camera_id).session_id)

    async def add_camera(self, draft: CameraDraft) -> CameraView:
        """Raises `Conflict` (name in use), `NotAllowed` (a URL the net policy refuses), `ConfigError` (the engine)."""
        async with self._changing:
            self._check_room()
            engine = draft.engine or self.settings.engine.name
            self.engines.get(engine)
            await self._check_url(draft.url)
            for watch in draft.watches:
                check_zones(watch.zones, draft.zones)
            now = self._clock.wall()
            camera = CameraRecord(
                id=new_id("cam"),
                name=draft.name,
                url=draft.url,
                enabled=draft.enabled,
                loop=draft.loop,
                speed=draft.speed,
                engine=draft.engine,
                threshold=draft.threshold,
                zones=draft.zones,
                session_id=new_id("ses"),
                created_wall=now,
                updated_wall=now,
            )
            session = SessionRecord(camera.session_id, "camera", draft.name, camera.id, engine, None, now)
            watches = [watch_record(session.id, w, now) for w in draft.watches]
            await self._cameras_store.add(camera, session, watches)
            self._cameras[camera.id] = camera
            if camera.enabled:
                await self._open_camera(camera)
            return self._view(camera)

    async def change_camera(self, camera_id: str, changes: dict[str, Any]) -> CameraView:
        """Change some fields; `REOPENS` says which of them begin the session anew."""
        async with self._changing:
            before = self._camera(camera_id)
            if "url" in changes:
                changes = {**changes, "url": restore_url(changes["url"], before.url)}
                await self._check_url(changes["url"])
            if changes.get("engine"):
                self.engines.get(changes["engine"])
            camera = replace(before, **changes, updated_wall=self._clock.wall())
            await self._cameras_store.update(camera)
            self._cameras[camera_id] = camera
            live = self._runner.find(camera.session_id)
            if any(getattr(before, f) != getattr(camera, f) for f in REOPENS):
                if live is not None:
                    await self._runner.stop(
                        live.id, "the camera was changed" if camera.enabled else "the camera was disabled"
                    )
                if camera.enabled:
                    await self._open_camera(camera)
            elif live is not None:
                live.adjust(camera.name, camera.threshold, camera.zones)
            return self._view(camera)

    async def remove_camera(self, camera_id: str) -> None:
        async with self._changing:
            camera = self._camera(camera_id)
            if self._runner.find(camera.session_id) is not None:
                await self._runner.stop(camera.session_id, "the camera was deleted")
            await self._cameras_store.delete(camera_id)
            del self._cameras[camera_id]

    async def snapshot(self, camera_id: str) -> Frame:
        """The newest picture. Raises `NoFrame`, `Conflict` while the camera is disabled."""
        camera = self._camera(camera_id)
        session = self._runner.find(camera.session_id)
        if session is None:
            raise Conflict(f"The camera “{camera.name}” is disabled.", code="disabled")
        return await session.snapshot()

    async def probe(self, url: str) -> ProbeReport:
        """Open a URL once and say what is there. Raises `NotAllowed`."""
        await self._check_url(url)
        return await self._media.probe(PullSpec(url))

    async def probe_camera(self, camera_id: str) -> ProbeReport:
        return await self._media.probe(pull_spec(self._camera(camera_id)))

    # ------------------------------------------------------------------------------------------------ sessions, calls

    def sessions(self) -> list[Session]:
        return self._runner.all()

    def session(self, session_id: str) -> Session:
        return self._runner.get(session_id)

    async def set_threshold(self, session_id: str, value: float) -> Session:
        """How easily it speaks, from now on; a camera keeps it."""
        session = self.session(session_id)
        if session.record.camera_id is not None:
            await self.change_camera(session.record.camera_id, {"threshold": value})
        else:
            session.set_threshold(value)
        return session

    async def end_session(self, session_id: str) -> None:
        if self.session(session_id).record.kind == "camera":
            raise Conflict("This session belongs to a camera: disable or delete the camera instead.")
        await self._runner.stop(session_id, "it was ended")

    def calls(self) -> list[Call]:
        return [c for c in self._calls.values() if self._runner.find(c.session_id) is not None]

    def call(self, call_id: str) -> Call:
        for call in self.calls():
            if call.id == call_id:
                return call
        raise NotFound(f"There is no call {call_id}.")

    async def open_call(
        self,
        offer_sdp: str,
        *,
        name: str | None = None,
        engine: str | None = None,
        threshold: float | None = None,
        watches: tuple[WatchDraft, ...] = (),
    ) -> Call:
        """Take a WebRTC call and begin to watch it. Raises `SourceError` (bad_sdp), `NotAllowed`, `ConfigError`."""
        self._check_room()
        self._calls = {c.id: c for c in self.calls()}
        engine_name = engine or self.settings.engine.name
        self.engines.get(engine_name)
        for watch in watches:
            check_zones(watch.zones, ())
        call_id = new_id("call")
        now = self._clock.wall()
        record = SessionRecord(new_id("ses"), "call", name or "Browser call", None, engine_name, None, now)
        source, answer = await self._media.answer(call_id, offer_sdp, self._listener(record.id))
        try:
            stored = await self._store_session(record, watches)
        except BaseException:
            await source.aclose()
            raise
        self._begin(record, source, self._live_ticker(1.0), threshold=threshold, watches=stored)
        self._calls[call_id] = call = Call(call_id, record.id, answer, now)
        return call

    async def hang_up(self, call_id: str) -> None:
        await self._runner.stop(self.call(call_id).session_id, "the call was hung up")

    async def watch_url(self, spec: PullSpec, *, name: str, watches: tuple[WatchDraft, ...] = ()) -> Session:
        """A session on one URL that is not registered as a camera; `joyvl watch` uses it.

        A lockstep file goes at most `speed` times as fast as real time, and at 0 as fast as it decides.
        """
        engine_name = self.settings.engine.name
        self.engines.get(engine_name)
        record = SessionRecord(new_id("ses"), "file", name, None, engine_name, None, self._clock.wall())
        stored = await self._store_session(record, watches)
        ticker: Ticker
        if spec.lockstep:
            tick_s = self.settings.sessions.tick_s
            ticker = LockstepTicker(self._clock, tick_s, speed=spec.speed or None)
            spec = replace(spec, speed=1.0)  # the ticker sets the pace
        else:
            ticker = self._live_ticker(spec.speed)
        source = await self._media.open(record.id, spec, self._listener(record.id))
        return self._begin(record, source, ticker, watches=stored)

    async def ended(self, session_id: str) -> None:
        """Wait until that session is over by itself."""
        await self._runner.ended(session_id)

    async def ready(self) -> dict[str, str | None]:
        """Each part that must work, with None or a sentence that says what is wrong."""
        parts: dict[str, str | None] = {}
        default = self.settings.engine.name
        try:
            self.engines.get(default)
        except JoyvlError as error:
            parts[f"engine {default}"] = str(error)
        try:
            await self._db.read(lambda connection: connection.execute("SELECT 1").fetchone())
            parts["store"] = None
        except JoyvlError as error:
            parts["store"] = str(error)
        return {**parts, **await self.engines.check()}

    # ------------------------------------------------------------------------------------------------------- helpers

    def _camera(self, camera_id: str) -> CameraRecord:
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFound(f"There is no camera {camera_id}.") from None

    def _view(self, camera: CameraRecord) -> CameraView:
        session = self._runner.find(camera.session_id)
        return CameraView(camera, None if session is None else session.state)

    def _check_room(self) -> None:
        limit = self.settings.sessions.max_sessions
        if len(self._runner) >= limit:
            raise NotAllowed(
                f"All {limit} sessions are in use (sessions.max_sessions); end one first.", code="too_many"
            )

    async def _check_url(self, url: str) -> None:
        """Raises `NotAllowed`. A name without an address may get one: the policy is asked again at each connect."""
        try:
            await asyncio.to_thread(self._policy.check, url)
        except SourceError as error:
            if error.code != "unreachable":
                raise

    async def _store_session(self, record: SessionRecord, watches: Iterable[WatchDraft]) -> list[WatchRecord]:
        await self._sessions_store.add(record)
        stored = [watch_record(record.id, w, record.created_wall) for w in watches]
        for watch in stored:
            await self._watches_store.add(watch)
        return stored

    async def _reopen(self, record: SessionRecord) -> None:
        """A camera's session crashed: begin it anew."""
        async with self._changing:
            camera = self._cameras.get(record.camera_id or "")
            if camera is not None and camera.enabled and self._runner.find(camera.session_id) is None:
                await self._reopen_camera(camera)

    async def _reopen_camera(self, camera: CameraRecord) -> None:
        """One camera that cannot be opened must not keep the others, or the server, from starting."""
        try:
            await self._open_camera(camera)
        except JoyvlError as error:
            log.error("camera cannot be opened", camera=camera.name, error=str(error))

    async def _open_camera(self, camera: CameraRecord) -> None:
        engine = camera.engine or self.settings.engine.name
        self.engines.get(engine)
        record = replace(await self._sessions_store.get(camera.session_id), name=camera.name, engine=engine)
        watches = await self._watches_store.list(camera.session_id)
        source = await self._media.open(camera.id, pull_spec(camera), self._listener(record.id))
        ticker = self._live_ticker(camera.speed)
        self._begin(record, source, ticker, threshold=camera.threshold, zones=camera.zones, watches=watches)

    def _live_ticker(self, speed: float) -> Ticker:
        tick_s = self.settings.sessions.tick_s
        self._opened += 1
        offset = phase(self._opened, tick_s / speed)
        return LiveTicker(self._clock, tick_s, speed=speed, phase_s=offset)

    def _listener(self, session_id: str) -> StateListener:
        def on_state(state: SourceState) -> None:
            session = self._runner.find(session_id)
            if session is not None:
                session.on_source_state(state)

        return on_state

    def _begin(
        self,
        record: SessionRecord,
        source: Source,
        ticker: Ticker,
        *,
        threshold: float | None = None,
        zones: tuple[Zone, ...] = (),
        watches: Iterable[WatchRecord] = (),
    ) -> Session:
        engine = self.engines.get(record.engine)
        session = Session(
            record, source, engine, ticker, self._around, threshold=threshold, zones=zones, watches=watches
        )
        self._runner.begin(session)
        return session
