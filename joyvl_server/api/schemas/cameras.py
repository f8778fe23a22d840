"""Cameras, zones and probes as clients see them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import RequestModel, ResponseModel, optional_field
from joyvl_server.api.schemas.sessions import EngineStateOut, WatchIn, WatchOut
from joyvl_server.api.schemas.settings import SettingsPatch, SettingsRequest, with_settings
from joyvl_server.core.sealed import SHOWN
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.spec import Name, Zones

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x20]+")


def _address(url: str) -> str:
    if url != SHOWN and not _ADDRESS.fullmatch(url):
        raise PydanticCustomError(
            "address",
            "Write an address like rtsp://192.168.1.20/stream, with user:password@ before the host where it asks; for "
            "a file file:///path/to/it.",
        )
    return url


Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2048),
    AfterValidator(_address),
    Field(
        description="`rtsp://user:password@host/path` or `file:///path`.",
        examples=["rtsp://cam:secret@192.168.1.20:554/stream1"],
    ),
]
Speed = Annotated[float, Field(gt=0, le=100, description="Speed of a file; 1 is real time.")]


@with_settings()
class CameraIn(SettingsRequest):
    name: Name = Field(examples=["front door"])
    url: Url
    enabled: bool = True
    loop: bool = Field(False, description="Play a file from its start when it ends.")
    speed: Speed = 1.0
    watches: list[WatchIn] = Field(default_factory=list, max_length=64)

    def to_draft(self) -> CameraDraft:
        return CameraDraft(
            name=self.name,
            url=self.url,
            enabled=self.enabled,
            loop=self.loop,
            speed=self.speed,
            spec=self.spec(),
            watches=tuple(w.to_draft() for w in self.watches),
        )


@with_settings()
class CameraPatch(SettingsPatch):
    """Fields left out stay as they are. A URL that still shows `:***@` keeps the stored password."""

    name: Name = optional_field()
    url: Url = optional_field()
    enabled: bool = optional_field()
    loop: bool = optional_field()
    speed: Speed = optional_field()


class ZonesIn(SettingsRequest):
    zones: Zones


class ProbeIn(RequestModel):
    url: Url


class ZoneOut(ResponseModel):
    name: str
    points: list[list[float]] = Field(examples=[[[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]])


class ZonesOut(ResponseModel):
    zones: list[ZoneOut]


class SourceStateOut(ResponseModel):
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


@with_settings()
class CameraOut(ResponseModel):
    id: str = Field(examples=["cam_01J9ZX"])
    name: str
    url: str = Field(description="The password is shown as ***.", examples=["rtsp://cam:***@192.168.1.20:554/stream1"])
    enabled: bool
    loop: bool
    speed: float
    zones: list[ZoneOut]
    session_id: str
    created_at: str
    updated_at: str
    state: SourceStateOut | None = Field(description="null while the camera is disabled.")
    engine_state: EngineStateOut | None = Field(description="null while no session runs.")
    watches: list[WatchOut]


class CamerasOut(ResponseModel):
    data: list[CameraOut]
    next: str | None


class ProbeOut(ResponseModel):
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
