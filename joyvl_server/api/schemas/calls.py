"""Calls as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel
from joyvl_server.api.schemas.sessions import WatchIn
from joyvl_server.api.schemas.settings import SettingsRequest, with_settings
from joyvl_server.sessions.spec import Name

MAX_SDP = 200_000
"""Characters of an offer; browsers send about ten thousand."""


@with_settings(camera=False)
class CallSession(SettingsRequest):
    """What the session of a call is opened with."""

    type: Literal["realtime"] = "realtime"
    name: Name | None = None
    watches: list[WatchIn] = Field(default_factory=list, max_length=64)


class CallIn(RequestModel):
    sdp: str = Field(min_length=1, max_length=MAX_SDP, examples=["v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n…"])
    session: CallSession = Field(default_factory=CallSession)


class CallOut(ResponseModel):
    id: str
    session_id: str
    created_at: str


class CallsOut(ResponseModel):
    data: list[CallOut]
    next: str | None
