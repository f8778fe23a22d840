"""The registered cameras: created, taken up after a restart, changed, removed; each with its one session."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog

from joyvl_server.core.errors import Conflict, JoyvlError, NotFound, SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import Media, ProbeReport, PullSpec
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.masking import restore_url
from joyvl_server.kit.netpolicy import NetPolicy
from joyvl_server.sessions import endings
from joyvl_server.sessions.cameras import CameraDraft, CameraView, pull_spec
from joyvl_server.sessions.opener import Opener
from joyvl_server.sessions.runner import Runner
from joyvl_server.sessions.standing import check_zones, watch_record
from joyvl_server.store.cameras import CameraRecord, Cameras
from joyvl_server.store.sessions import SessionRecord, Sessions
from joyvl_server.store.watches import Watches, WatchRecord

log = structlog.get_logger(__name__)

# A change of one of these makes another source of the camera; all else is adjusted while its session goes on.
REOPENS = ("url", "enabled", "loop", "speed", "engine")


class CameraBook:
    def __init__(
        self,
        clock: Clock,
        media: Media,
        policy: NetPolicy,
        opener: Opener,
        runner: Runner,
        cameras: Cameras,
        sessions: Sessions,
        watches: Watches,
    ) -> None:
        self._clock = clock
        self._media = media
        self._policy = policy
        self._opener = opener
        self._runner = runner
        self._store = cameras
        self._sessions = sessions
        self._watches = watches
        self._cameras: dict[str, CameraRecord] = {}
        self._changing = asyncio.Lock()

    async def take_up(self) -> None:
        """Read what was registered before and begin what is enabled."""
        for camera in await self._store.list():
            self._cameras[camera.id] = camera
            if camera.enabled:
                await self._try_open(camera)

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
        async with self._changing:
            self._opener.check_room(draft.engine)
            engine = self._opener.engine_name(draft.engine)
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
                fidelity=draft.fidelity,
                frames_per_tick=draft.frames_per_tick,
            )
            session = SessionRecord(camera.session_id, "camera", draft.name, camera.id, engine, None, now)
            await self._store.add(camera, session, [watch_record(session.id, w, now) for w in draft.watches])
            self._cameras[camera.id] = camera
            if camera.enabled:
                await self._open(camera)
            return self._view(camera)

    async def change(self, camera_id: str, changes: dict[str, Any]) -> CameraView:
        """Change some fields of its record; `REOPENS` says which of them begin the session anew."""
        async with self._changing:
            before = self._record(camera_id)
            if "url" in changes:
                changes = {**changes, "url": restore_url(changes["url"], before.url)}
                await self._check_url(changes["url"])
            if "engine" in changes:
                self._opener.engine_name(changes["engine"])
            camera = replace(before, **changes, updated_wall=self._clock.wall())
            live = self._runner.find(camera.session_id)
            if camera.enabled and live is None:
                self._opener.check_room(camera.engine)
            await self._store.update(camera)
            self._cameras[camera_id] = camera
            if any(getattr(before, field) != getattr(camera, field) for field in REOPENS):
                if live is not None:
                    why = endings.CAMERA_CHANGED if camera.enabled else endings.CAMERA_DISABLED
                    await self._runner.stop(live.id, why)
                if camera.enabled:
                    await self._open(camera)
            elif live is not None:
                live.adjust(camera)
            return self._view(camera)

    async def remove(self, camera_id: str) -> None:
        async with self._changing:
            camera = self._record(camera_id)
            if self._runner.find(camera.session_id) is not None:
                await self._runner.stop(camera.session_id, endings.CAMERA_DELETED)
            await self._store.delete(camera_id)
            del self._cameras[camera_id]

    async def snapshot(self, camera_id: str) -> Frame:
        """The newest picture. Raises `NoFrame`, `Conflict` while the camera is disabled."""
        camera = self._record(camera_id)
        session = self._runner.find(camera.session_id)
        if session is None:
            raise Conflict(f"The camera “{camera.name}” is disabled.", code="disabled")
        return await session.snapshot()

    async def probe(self, url: str) -> ProbeReport:
        """Open a URL once and say what is there. Raises `NotAllowed`."""
        await self._check_url(url)
        return await self._media.probe(PullSpec(url))

    async def probe_stored(self, camera_id: str) -> ProbeReport:
        return await self._media.probe(pull_spec(self._record(camera_id)))

    async def reopen(self, record: SessionRecord) -> None:
        """A camera's session crashed: begin it anew."""
        async with self._changing:
            camera = self._cameras.get(record.camera_id or "")
            if camera is not None and camera.enabled and self._runner.find(camera.session_id) is None:
                await self._try_open(camera)

    def _record(self, camera_id: str) -> CameraRecord:
        try:
            return self._cameras[camera_id]
        except KeyError:
            raise NotFound(f"There is no camera {camera_id}.") from None

    def _view(self, camera: CameraRecord) -> CameraView:
        session = self._runner.find(camera.session_id)
        return CameraView(camera, None if session is None else session.state)

    async def _check_url(self, url: str) -> None:
        """Raises `NotAllowed`. A name without an address may get one: the policy is asked again at each connect."""
        try:
            await asyncio.to_thread(self._policy.check, url)
        except SourceError as error:
            if error.code != "unreachable":
                raise

    async def _try_open(self, camera: CameraRecord) -> None:
        """One camera that cannot be opened must not keep the others, or the server, from starting."""
        try:
            await self._open(camera)
        except JoyvlError as error:
            log.error("camera cannot be opened", camera=camera.name, error=str(error))

    async def _open(self, camera: CameraRecord) -> None:
        engine = self._opener.engine_name(camera.engine)
        record = replace(await self._sessions.get(camera.session_id), name=camera.name, engine=engine)
        watches = await self._watches.list(camera.session_id)
        await self._opener.count_on(record.id)
        source = await self._media.open(camera.id, pull_spec(camera), self._opener.listener(record.id))
        ticker = self._opener.live_ticker(camera.speed)
        self._opener.begin(
            record,
            source,
            ticker,
            threshold=camera.threshold,
            zones=camera.zones,
            watches=watches,
            fidelity=camera.fidelity,
            frames_per_tick=camera.frames_per_tick,
        )
