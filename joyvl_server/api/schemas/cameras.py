"""Cameras, zones and probes as clients see them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import (
    EngineName,
    FidelityIn,
    FramesPerTick,
    Input,
    Name,
    Output,
    Patch,
    Share,
    Threshold,
    kept,
)
from joyvl_server.api.schemas.sessions import EngineStateOut, WatchIn, WatchOut
from joyvl_server.core.config import Fidelity
from joyvl_server.core.watches.zones import Zone
from joyvl_server.sessions.cameras import CameraDraft

Url = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=2048, pattern=r"^[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x20]+$"
    ),
    Field(
        description="`rtsp://user:password@host/path` or `file:///path`.",
        examples=["rtsp://cam:secret@192.168.1.20:554/stream1"],
    ),
]
Speed = Annotated[float, Field(gt=0, le=100, description="Speed of a file; 1 is real time.")]
Point = Annotated[list[Share], Field(min_length=2, max_length=2, description="[x, y]; x to the right, y down.")]


class ZoneIn(Input):
    name: Name
    points: list[Point] = Field(min_length=3, max_length=64)

    def to_zone(self) -> Zone:
        return Zone(self.name, tuple((x, y) for x, y in self.points))


Zones = Annotated[list[ZoneIn], Field(max_length=32)]


def check_names(zones: list[ZoneIn]) -> None:
    seen: set[str] = set()
    for zone in zones:
        if zone.name in seen:
            raise PydanticCustomError("zone_twice", "zones: two zones have the same name.")
        seen.add(zone.name)


class CameraIn(Input):
    name: Name = Field(examples=["front door"])
    url: Url
    enabled: bool = True
    loop: bool = Field(False, description="Begin a file again at its end.")
    speed: Speed = 1.0
    engine: EngineName | None = Field(None, description="The engine that decides; null: the server's default.")
    threshold: Threshold | None = None
    fidelity: FidelityIn | None = None
    frames_per_tick: FramesPerTick | None = None
    zones: Zones = Field(default_factory=list)
    watches: list[WatchIn] = Field(default_factory=list, max_length=64)

    @model_validator(mode="after")
    def _zones_fit(self) -> CameraIn:
        check_names(self.zones)
        return self

    def to_draft(self) -> CameraDraft:
        return CameraDraft(
            name=self.name,
            url=self.url,
            enabled=self.enabled,
            loop=self.loop,
            speed=self.speed,
            engine=self.engine,
            threshold=self.threshold,
            fidelity=self.fidelity,
            frames_per_tick=self.frames_per_tick,
            zones=tuple(z.to_zone() for z in self.zones),
            watches=tuple(w.to_draft() for w in self.watches),
        )


class CameraPatch(Patch):
    """Fields left out stay as they are. A URL that still shows `:***@` keeps the stored password."""

    name: Name = kept()
    url: Url = kept()
    enabled: bool = kept()
    loop: bool = kept()
    speed: Speed = kept()
    engine: EngineName | None = None
    threshold: Threshold | None = None
    fidelity: FidelityIn | None = None
    frames_per_tick: FramesPerTick | None = None
    zones: Zones = kept()

    @model_validator(mode="after")
    def _zones_fit(self) -> CameraPatch:
        if "zones" in self.model_fields_set:
            check_names(self.zones)
        return self

    def changes(self) -> dict[str, Any]:
        changes = super().changes()
        if "zones" in changes:
            changes["zones"] = tuple(z.to_zone() for z in self.zones)
        return changes


class ZonesIn(Input):
    zones: Zones

    @model_validator(mode="after")
    def _zones_fit(self) -> ZonesIn:
        check_names(self.zones)
        return self


class ProbeIn(Input):
    url: Url


class ZoneOut(Output):
    name: str
    points: list[list[float]] = Field(examples=[[[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]])


class ZonesOut(Output):
    zones: list[ZoneOut]


class SourceStateOut(Output):
    status: str = Field(description="connecting, online, offline or ended", examples=["online"])
    since: str = Field(examples=["2026-11-20T09:30:00.000Z"])
    error_code: str | None
    error: str | None
    retry_in_s: float | None
    attempts: int
    width: int | None
    height: int | None
    fps: float | None
    codec: str | None


class CameraOut(Output):
    id: str = Field(examples=["cam_01J9ZX"])
    name: str
    url: str = Field(description="The password is shown as ***.", examples=["rtsp://cam:***@192.168.1.20:554/stream1"])
    enabled: bool
    loop: bool
    speed: float
    engine: str | None
    threshold: float | None
    fidelity: Fidelity | None = Field(description="null: the server's default.")
    frames_per_tick: int | None = Field(description="null: the server's default.")
    zones: list[ZoneOut]
    session_id: str
    created_at: str
    updated_at: str
    state: SourceStateOut | None = Field(description="null while the camera is disabled.")
    engine_state: EngineStateOut | None = Field(description="null while no session runs.")
    watches: list[WatchOut]


class CamerasOut(Output):
    data: list[CameraOut]
    next: str | None


class ProbeOut(Output):
    ok: bool
    took_s: float
    width: int | None
    height: int | None
    fps: float | None
    codec: str | None
    has_audio: bool
    keyframe_interval_s: float | None
    error_code: str | None
    error: str | None
    hint: str | None
    extra: dict[str, str]
