"""The registered cameras: created, taken up after a restart, changed, removed; each with its one session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import structlog

from joyvl_server.core.errors import Conflict, JoyvlError, NoFrame, NotFound
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import Media, ProbeReport, PullSpec, SourceState
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.masking import restore_url
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.net.source_check import SourceCheck
from joyvl_server.sessions import endings, payloads
from joyvl_server.sessions.cameras import CameraDraft, CameraView, pull_spec, spec_of
from joyvl_server.sessions.factory import SessionFactory
from joyvl_server.sessions.retries import CameraRetries
from joyvl_server.sessions.supervisor import SessionSupervisor
from joyvl_server.sessions.watch_list import check_zones, watch_record
from joyvl_server.store.cameras import CameraRecord, Cameras
from joyvl_server.store.events import EventRecord, Events
from joyvl_server.store.sessions import SessionRecord, Sessions
from joyvl_server.store.watches import Watches, WatchRecord

log = structlog.get_logger(__name__)

# A change of one of these makes another source of the camera; all else is adjusted while its session goes on.
REOPENS = ("url", "enabled", "loop", "speed", "engine")


class CameraService:
    """Changes of one camera go one after the other, those of different cameras side by side.

    A change is whole or not at all. First everything is checked and room is taken, then the record is written: until
    then nothing has happened. Only then sessions end and begin, since a source can be open once and an observer must
    not see what may still be refused. Where the new source cannot be opened, the old record is written back and the
    old session begun again; where even that fails, the camera counts as faulty and is tried again (see `retries`).
    """

    def __init__(
        self,
        clock: Clock,
        media: Media,
        policy: NetPolicy,
        opener: SessionFactory,
        runner: SessionSupervisor,
        events: Events,
        cameras: Cameras,
        sessions: Sessions,
        watches: Watches,
    ) -> None:
        self._clock = clock
        self._media = media
        self._reach = SourceCheck(policy)
        self._opener = opener
        self._runner = runner
        self._events = events
        self._store = cameras
        self._sessions = sessions
        self._watches = watches
        self._cameras: dict[str, CameraRecord] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._retries = CameraRetries(clock, self._reopen, self._note_down)
        self._closed = False
        opener.down = self._retries.down

    async def take_up(self) -> None:
        """Read what was registered before and begin what is enabled: what cannot be opened keeps nobody waiting."""
        self._cameras = {camera.id: camera for camera in await self._store.list()}
        await asyncio.gather(*(self._try_open(camera) for camera in self._cameras.values() if camera.enabled))

    async def aclose(self) -> None:
        """No session is begun from now on; those that run are the runner's."""
        self._closed = True
        await self._retries.aclose()

    def all(self) -> list[CameraView]:
        return [self._view(camera) for camera in self._cameras.values()]

    def get(self, camera_id: str) -> CameraView:
        return self._view(self._record(camera_id))

    async def watches(self, camera_id: str) -> list[WatchRecord]:
        """The watches of a camera, also while it is disabled."""
        return await self._watches.list(self._record(camera_id).session_id)

    async def add(self, draft: CameraDraft) -> CameraView:
        """Raises `Conflict` (name in use), `ConfigError` (the engine), `NotAllowed`: the net policy refuses the URL, or
        there is no room for one session more (too_many, engine_full)."""
        for watch in draft.watches:
            check_zones(watch.zones, draft.spec.zones)
        engine = await self._opener.engine_name(draft.spec.engine)
        with self._opener.room(engine):
            await self._reach.check(draft.url)
            now = self._clock.wall()
            camera = _record_of(draft, now)
            session = SessionRecord(camera.session_id, "camera", draft.name, camera.id, engine, None, now)
            await self._store.add(camera, session, [watch_record(session.id, w, now) for w in draft.watches])
            self._cameras[camera.id] = camera
            async with self._lock(camera.id):
                if camera.enabled:
                    await self._open_or(camera, self._drop)
                return self._view(camera)

    async def change(self, camera_id: str, changes: dict[str, Any]) -> CameraView:
        """Change some fields of its record; `REOPENS` says which of them begin the session anew.

        Raises as `add` does, and `NotFound`. Cancelled before the record is written, it changes nothing.
        """
        if "url" in changes:  # names may take their time: that holds up no other change
            await self._reach.check(restore_url(changes["url"], self._record(camera_id).url))
        async with self._lock(camera_id):
            before = self._record(camera_id)
            if "url" in changes:
                changes = {**changes, "url": restore_url(changes["url"], before.url)}
            camera = replace(before, **changes, updated_wall=self._clock.wall())
            begins = camera.enabled and not before.enabled
            room: AbstractContextManager[None] = nullcontext()
            if begins or "engine" in changes:
                engine = await self._opener.engine_name(camera.engine)
                room = self._opener.room(engine) if begins else room
            with room:
                await self._apply(before, camera)
            return self._view(self._cameras[camera_id])

    async def remove(self, camera_id: str) -> None:
        async with self._lock(camera_id):
            camera = self._record(camera_id)
            await self._store.delete(camera_id)
            del self._cameras[camera_id], self._locks[camera_id]
            self._retries.forget(camera_id)
            await self._runner.stop(camera.session_id, endings.CAMERA_DELETED)

    async def snapshot(self, camera_id: str) -> Frame:
        """The newest picture. Raises `NoFrame`, `Conflict` while the camera is disabled."""
        camera = self._record(camera_id)
        session = self._runner.find(camera.session_id)
        if session is not None:
            return await session.snapshot()
        if not camera.enabled:
            raise Conflict(f"The camera “{camera.name}” is disabled.", code="disabled")
        state = self._retries.state(camera_id)
        raise NoFrame((state and state.error) or "The camera is not watched right now.", code="offline")

    async def probe(self, url: str) -> ProbeReport:
        """Open a URL once and say what is there. Raises `NotAllowed`."""
        await self._reach.check(url)
        return await self._media.probe(PullSpec(url))

    async def probe_stored(self, camera_id: str) -> ProbeReport:
        return await self._media.probe(pull_spec(self._record(camera_id)))

    def session_lost(self, session: SessionRecord, error: BaseException | None) -> None:
        """A camera's session has ended though nobody stopped it: it is begun anew after a pause."""
        camera = self._cameras.get(session.camera_id or "")
        if camera is not None and camera.enabled:
            self._retries.failed(camera.id, camera.name, error)

    # ------------------------------------------------------------------------------------------------------- inside

    def _record(self, camera_id: str) -> CameraRecord:
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFound(f"There is no camera {camera_id}.") from None

    def _lock(self, camera_id: str) -> asyncio.Lock:
        self._record(camera_id)
        return self._locks.setdefault(camera_id, asyncio.Lock())

    def _view(self, camera: CameraRecord) -> CameraView:
        session = self._runner.find(camera.session_id)
        if session is not None:
            return CameraView(camera, session.state)
        return CameraView(camera, self._retries.state(camera.id) if camera.enabled else None)

    async def _apply(self, before: CameraRecord, camera: CameraRecord) -> None:
        """Write the record, then make it true."""
        await self._store.update(camera)
        self._cameras[camera.id] = camera
        live = self._runner.find(camera.session_id)
        anew = any(getattr(before, field) != getattr(camera, field) for field in REOPENS)
        if live is not None and not anew:
            live.change(spec_of(camera), name=camera.name)
            return
        self._retries.forget(camera.id)
        why = endings.CAMERA_CHANGED if camera.enabled else endings.CAMERA_DISABLED
        await self._runner.stop(camera.session_id, why)
        if not camera.enabled:
            return
        if anew:
            await self._open_or(camera, lambda camera: self._put_back(before))
        else:  # it was faulty before: any change takes it up again, and none is refused for that
            await self._try_open(camera)

    async def _open_or(self, camera: CameraRecord, undo: Callable[[CameraRecord], Awaitable[None]]) -> None:
        """Begin its session. Where that fails the camera is as before, and the error goes on."""
        try:
            await self._open(camera)
        except asyncio.CancelledError:
            self._retries.failed(camera.id, camera.name, None)
            raise
        except BaseException:
            try:
                await undo(camera)
            except JoyvlError as error:
                log.error("change of a camera cannot be undone", camera=camera.name, error=str(error))
                self._retries.failed(camera.id, camera.name, error)
            raise

    async def _drop(self, camera: CameraRecord) -> None:
        await self._store.delete(camera.id)
        del self._cameras[camera.id], self._locks[camera.id]

    async def _put_back(self, before: CameraRecord) -> None:
        await self._store.update(before)
        self._cameras[before.id] = before
        if before.enabled:
            await self._try_open(before)

    async def _try_open(self, camera: CameraRecord) -> None:
        """One camera that cannot be opened must not keep the others, or the server, from starting."""
        try:
            await self._open(camera)
        except Exception as error:  # a supervisor's edge: told, and tried again
            self._retries.failed(camera.id, camera.name, error)

    async def _reopen(self, camera_id: str) -> None:
        """Begin the session of a camera again, if it is still wanted and has none."""
        if camera_id not in self._cameras:
            return
        async with self._lock(camera_id):
            camera = self._cameras.get(camera_id)
            if camera is not None and camera.enabled and self._runner.find(camera.session_id) is None:
                await self._open(camera)

    async def _open(self, camera: CameraRecord) -> None:
        engine = await self._opener.engine_name(camera.engine)
        record = replace(await self._sessions.get(camera.session_id), name=camera.name, engine=engine)
        watches = await self._watches.list(camera.session_id)
        await self._opener.count_on(record.id)
        source = await self._media.open(camera.id, pull_spec(camera), self._opener.listener(record.id))
        try:
            if self._closed:
                raise Conflict("The server is shutting down.", code="stopping")
            self._opener.begin(record, spec_of(camera), source, self._opener.live_ticker(camera.speed), watches)
        except BaseException:
            await source.aclose()
            raise

    def _note_down(self, camera_id: str, state: SourceState) -> None:
        """One entry of the timeline for each fault: the session that would write it is no more."""
        camera = self._cameras.get(camera_id)
        if camera is not None:
            self._events.post(
                EventRecord(
                    id=new_id("evt"),
                    session_id=camera.session_id,
                    camera_id=camera.id,
                    type="camera_offline",
                    t=0.0,  # its stream clock went with the session
                    wall=self._clock.wall(),
                    text=state.error or "",
                    data={"state": payloads.source(state)},
                )
            )


def _record_of(draft: CameraDraft, now: float) -> CameraRecord:
    return CameraRecord(
        id=new_id("cam"),
        name=draft.name,
        url=draft.url,
        enabled=draft.enabled,
        loop=draft.loop,
        speed=draft.speed,
        engine=draft.spec.engine,
        threshold=draft.spec.threshold,
        zones=draft.spec.zones,
        session_id=new_id("ses"),
        created_wall=now,
        updated_wall=now,
        fidelity=draft.spec.fidelity,
        frames_per_tick=draft.spec.frames_per_tick,
    )
