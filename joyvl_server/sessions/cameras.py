"""What clients ask of cameras and calls, and what they get to see."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.config import Fidelity
from joyvl_server.core.watches.zones import Zone
from joyvl_server.ingest.base import PullSpec, SourceState
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.cameras import CameraRecord


@dataclass(frozen=True, slots=True)
class CameraDraft:
    name: str
    url: str
    enabled: bool = True
    loop: bool = False
    speed: float = 1.0
    engine: str | None = None
    threshold: float | None = None
    zones: tuple[Zone, ...] = ()
    watches: tuple[WatchDraft, ...] = ()
    fidelity: Fidelity | None = None
    frames_per_tick: int | None = None


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


def pull_spec(camera: CameraRecord) -> PullSpec:
    return PullSpec(camera.url, loop=camera.loop, speed=camera.speed)
