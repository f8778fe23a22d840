"""The registered cameras: created, taken up after a restart, changed, removed; each with its one session."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import structlog

from joyvl_server.core.errors import Conflict, JoyvlError, NoFrame, NotFound
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import Media, ProbeReport, PullSpec, SourceState
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.masking import restore_url
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.net.source_check import SourceCheck
from joyvl_server.sessions import endings, payloads
from joyvl_server.sessions.cameras import Camera, CameraDraft, CameraView
from joyvl_server.sessions.deps import SessionDeps
from joyvl_server.sessions.factory import SessionFactory
from joyvl_server.sessions.retries import CameraRetries
from joyvl_server.sessions.supervisor import SessionSupervisor
from joyvl_server.sessions.watch_list import check_zones, watch_record
from joyvl_server.store.events import EventRecord
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord

log = structlog.get_logger(__name__)


class CameraService:
    """Changes of one camera go one after the other, those of different cameras side by side.

    A change is whole or not at all. First everything is checked and a place is taken, then the record is written; up to
    that point nothing has happened. Only then sessions end and start, because a source can be open once and an observer
    must not see what may still be refused. Where the new source cannot be opened, the old record is written back and
    the old session starts again; where even that fails, the camera counts as faulty and is retried (see `retries`).
    """

    def __init__(
        self,
        deps: SessionDeps,
        media: Media,
        policy: NetPolicy,
        factory: SessionFactory,
        supervisor: SessionSupervisor,
    ) -> None:
        self._clock = deps.clock
        self._media = media
        self._reach = SourceCheck(policy)
        self._factory = factory
        self._supervisor = supervisor
        self._events = deps.events
        self._store = deps.cameras
        self._sessions = deps.sessions
        self._watches = deps.watches
        self._cameras: dict[str, Camera] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._retries = CameraRetries(deps.clock, self)
        self._closed = False
        factory.waiting = self._retries

    async def take_up(self) -> None:
        """Read what was registered and start what is enabled. A source that cannot be opened keeps nobody waiting.

        Cancelled, it starts no more of them.
        """
        self._cameras = {record.id: Camera.read(record) for record in await self._store.list()}
        enabled = [camera for camera in self._cameras.values() if camera.record.enabled]
        await asyncio.gather(*(self._try_open(camera) for camera in enabled))

    async def aclose(self) -> None:
        """No session starts from now on; those that run are the supervisor's. See `CameraRetries.aclose`."""
        self._closed = True
        await self._retries.aclose()

    def all(self) -> list[CameraView]:
        return [self._view(camera) for camera in self._cameras.values()]

    def get(self, camera_id: str) -> CameraView:
        return self._view(self._camera(camera_id))

    async def watches(self, camera_id: str) -> list[WatchRecord]:
        """The watches of a camera, also while it is disabled. Cancelling it changes nothing."""
        return await self._watches.list(self._camera(camera_id).record.session_id)

    async def add(self, draft: CameraDraft) -> CameraView:
        """Raises `Conflict` (name in use), `ConfigError` (the engine), `NotAllowed`: the net policy refuses the URL, or
        there is no room for one session more (too_many, engine_full); a disabled one needs no room.

        Cancelled, it may be stored all the same: then it is watched after a pause, or from the next start on.
        """
        for watch in draft.watches:
            check_zones(watch.zones, draft.spec.zones)
        engine = await self._factory.engine_name(draft.spec.engine)
        with self._factory.admission(engine) if draft.enabled else nullcontext():
            await self._reach.check(draft.url)
            now = self._clock.wall()
            camera = draft.camera(now)
            record = camera.record
            session = SessionRecord(record.session_id, "camera", draft.name, record.id, engine, None, now)
            await self._store.add(record, session, [watch_record(session.id, w, now) for w in draft.watches])
            self._cameras[record.id] = camera
            async with self._lock(record.id):
                if record.enabled:
                    await self._open_or_undo(camera)
                return self._view(camera)

    async def change(self, camera_id: str, changes: dict[str, Any]) -> CameraView:
        """Change some fields of its record and its spec; some of them need a new session (`Camera.reopens`).

        Raises as `add` does, and `NotFound`. Cancelled before the record is written, it changes nothing.
        """
        if "url" in changes:  # names may take their time: that holds up no other change
            await self._reach.check(restore_url(changes["url"], self._camera(camera_id).record.url))
        async with self._lock(camera_id):
            before = self._camera(camera_id)
            if "url" in changes:
                changes = {**changes, "url": restore_url(changes["url"], before.record.url)}
            camera = before.changed(changes, self._clock.wall())
            begins = camera.record.enabled and not before.record.enabled
            admission: AbstractContextManager[None] = nullcontext()
            if begins or "engine" in changes:
                engine = await self._factory.engine_name(camera.spec.engine)
                admission = self._factory.admission(engine) if begins else admission
            with admission:
                await self._apply(before, camera)
            return self._view(self._cameras[camera_id])

    async def remove(self, camera_id: str) -> None:
        """End its session and delete it. Raises `NotFound`. Cancelled, it may be deleted all the same."""
        async with self._lock(camera_id):
            record = self._camera(camera_id).record
            await self._store.delete(camera_id)
            del self._cameras[camera_id], self._locks[camera_id]
            self._retries.forget(camera_id)
            await self._supervisor.stop(record.session_id, endings.CAMERA_DELETED)

    async def snapshot(self, camera_id: str) -> Frame:
        """The newest picture. Raises `NoFrame`, `Conflict` while the camera is disabled. See `Source.look`."""
        record = self._camera(camera_id).record
        session = self._supervisor.find(record.session_id)
        if session is not None:
            return await session.snapshot()
        if not record.enabled:
            raise Conflict(f"The camera “{record.name}” is disabled.", code="disabled")
        state = self._retries.state(camera_id)
        raise NoFrame((state and state.error) or "The camera is not watched right now.", code="offline")

    async def probe(self, url: str) -> ProbeReport:
        """Open a URL once and say what is there. Raises `NotAllowed`. See `Media.probe`."""
        await self._reach.check(url)
        return await self._media.probe(PullSpec(url))

    async def probe_stored(self, camera_id: str) -> ProbeReport:
        """Open the URL of a camera once. Raises `NotFound`. See `Media.probe`."""
        return await self._media.probe(self._camera(camera_id).source)

    def session_lost(self, session: SessionRecord, error: BaseException | None) -> None:
        """A camera's session has ended though nobody stopped it: it starts again after a pause."""
        camera = self._cameras.get(session.camera_id or "")
        if camera is not None and camera.record.enabled and self._supervisor.find(session.id) is None:
            self._failed(camera, error)

    # ------------------------------------------------------------------------------------------------------- inside

    def _camera(self, camera_id: str) -> Camera:
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFound(f"There is no camera {camera_id}.") from None

    def _lock(self, camera_id: str) -> asyncio.Lock:
        self._camera(camera_id)
        return self._locks.setdefault(camera_id, asyncio.Lock())

    def _view(self, camera: Camera) -> CameraView:
        record = camera.record
        session = self._supervisor.find(record.session_id)
        if session is not None:
            state: SourceState | None = session.state
        else:
            state = self._retries.state(record.id) if record.enabled else None
        return CameraView(record, camera.spec, state)

    def _failed(self, camera: Camera, error: BaseException | None) -> None:
        self._retries.failed(camera.record.id, camera.record.name, error)

    async def _apply(self, before: Camera, camera: Camera) -> None:
        """Write the record, then make it true."""
        record = camera.record
        await self._store.update(record)
        self._cameras[record.id] = camera
        live = self._supervisor.find(record.session_id)
        reopens = camera.reopens(before)
        if live is not None and not reopens:
            live.change(camera.spec, name=record.name)
            return
        self._retries.forget(record.id)
        why = endings.CAMERA_CHANGED if record.enabled else endings.CAMERA_DISABLED
        await self._supervisor.stop(record.session_id, why)
        if not record.enabled:
            return
        if reopens:
            await self._open_or_undo(camera, before)
        else:  # it was faulty before: any change retries it, and no change is refused for that
            await self._try_open(camera)

    async def _open_or_undo(self, camera: Camera, before: Camera | None = None) -> None:
        """Begin its session. Where that fails the camera is as `before`, or gone where it is new; the error goes on."""
        try:
            await self._open(camera)
        except asyncio.CancelledError:
            self._failed(camera, None)
            raise
        except BaseException:
            try:
                await (self._drop(camera) if before is None else self._put_back(before))
            except JoyvlError as error:
                log.error("change of a camera cannot be undone", camera=camera.record.name, error=str(error))
                self._failed(camera, error)
            raise

    async def _drop(self, camera: Camera) -> None:
        camera_id = camera.record.id
        await self._store.delete(camera_id)
        del self._cameras[camera_id], self._locks[camera_id]

    async def _put_back(self, before: Camera) -> None:
        await self._store.update(before.record)
        self._cameras[before.record.id] = before
        if before.record.enabled:
            await self._try_open(before)

    async def _try_open(self, camera: Camera) -> None:
        """One camera that cannot be opened must not keep the others, or the server, from starting."""
        try:
            await self._open(camera)
        except Exception as error:  # a supervisor's edge: told, and tried again
            self._failed(camera, error)

    async def reopen(self, camera_id: str) -> None:
        """See `FaultyCameras`."""
        if camera_id not in self._cameras:
            return
        async with self._lock(camera_id):
            camera = self._cameras.get(camera_id)
            if camera is None or not camera.record.enabled:
                return
            if self._supervisor.find(camera.record.session_id) is None:
                await self._open(camera)

    async def _open(self, camera: Camera) -> None:
        engine = await self._factory.engine_name(camera.spec.engine)
        session_id = camera.record.session_id
        session = replace(await self._sessions.get(session_id), name=camera.record.name, engine=engine)
        watches = await self._watches.list(session_id)
        await self._factory.count_on(session_id)
        source = await self._media.open(camera.record.id, camera.source, self._factory.listener(session_id))
        try:
            if self._closed:
                raise Conflict("The server is shutting down.", code="stopping")
            ticker = self._factory.live_ticker(camera.record.speed)
            self._factory.begin(session, camera.spec, source, ticker, watches)
        except BaseException:
            await source.aclose()
            raise

    def went_down(self, camera_id: str, state: SourceState) -> None:
        """One entry of the timeline for each fault: the session that would write it is no more."""
        camera = self._cameras.get(camera_id)
        if camera is not None:
            self._events.post(
                EventRecord(
                    id=new_id("evt"),
                    session_id=camera.record.session_id,
                    camera_id=camera_id,
                    type="camera_offline",
                    t=0.0,  # its stream clock went with the session
                    wall=self._clock.wall(),
                    text=state.error or "",
                    data={"state": payloads.source(state)},
                )
            )
