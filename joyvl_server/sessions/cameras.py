"""What clients ask of cameras and calls, and what they get to see."""

from __future__ import annotations

from dataclasses import dataclass, field

from joyvl_server.ingest.base import PullSpec, SourceState
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.cameras import CameraRecord


@dataclass(frozen=True, slots=True)
class CameraDraft:
    name: str
    url: str
    enabled: bool = True
    loop: bool = False
    speed: float = 1.0
    spec: SessionSpec = field(default_factory=SessionSpec)
    watches: tuple[WatchDraft, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera as stored and, while it is enabled, the state of its source."""

    record: CameraRecord
    state: SourceState | None


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    session_id: str
    answer_sdp: str
    created_wall: float


def spec_of(camera: CameraRecord) -> SessionSpec:
    return SessionSpec.model_construct(**{name: getattr(camera, name) for name in SessionSpec.model_fields})


def pull_spec(camera: CameraRecord) -> PullSpec:
    return PullSpec(camera.url, loop=camera.loop, speed=camera.speed)
