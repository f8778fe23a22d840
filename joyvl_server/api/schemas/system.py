"""Engines and the server itself as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel
from joyvl_server.api.schemas.sessions import CapabilitiesOut, PressureOut

LONGEST_LINK_S = 366 * 86_400


class SchedulerOut(ResponseModel):
    """How busy an engine is that runs sessions now."""

    pressure: PressureOut
    sessions: int
    load: float = Field(description="Requested work as a share of its time; above 1 it cannot keep up.")
    waiting: int = Field(description="Ticks that wait for their turn.")
    breaker: str = Field(description="closed; open: away, it gets no requests; half_open: the server is trying it.")


class EngineOut(ResponseModel):
    name: str
    default: bool
    capabilities: CapabilitiesOut | None
    scheduler: SchedulerOut | None = Field(description="null while no session uses it.")
    error: str | None = Field(description="Why it cannot be used as it is configured.")


class EnginesOut(ResponseModel):
    data: list[EngineOut]
    next: None


class HealthOut(ResponseModel):
    status: Literal["ok"]


class PartOut(ResponseModel):
    ready: bool
    reason: str | None = Field(description="What is wrong with it; for a slow engine, what it manages.")


class ReadyOut(ResponseModel):
    ready: bool
    parts: dict[str, PartOut]


class VersionOut(ResponseModel):
    name: str = Field(examples=["joyvl-server"])
    version: str = Field(examples=["0.1.0"])
    api: str = Field(examples=["v1"])
    time_zone: str = Field(description="In which days begin and times are shown.", examples=["Europe/Berlin"])


class SignedUrlIn(RequestModel):
    path: str = Field(
        min_length=1,
        max_length=300,
        description="Of a thumbnail, a clip, a snapshot or a picture stream, without host and query.",
        examples=["/v1/cameras/cam_01jd3q0000000000000000000a/snapshot.jpg"],
    )
    expires_s: int = Field(3600, ge=1, le=LONGEST_LINK_S, description="Seconds for which it works.")


class SignedUrlOut(ResponseModel):
    url: str = Field(description="Whole, with `server.public_url` where that is set, else as this server was called.")
    expires_at: str = Field(description="RFC 3339 time.")
