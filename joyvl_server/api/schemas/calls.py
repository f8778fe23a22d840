"""Calls as clients see them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import RequestModel, ResponseModel
from joyvl_server.api.schemas.realtime import ExpiresAfter, RealtimeFields
from joyvl_server.api.schemas.sessions import WatchIn
from joyvl_server.api.schemas.settings import with_settings
from joyvl_server.sessions.spec import Name
from joyvl_server.sessions.watch_list import MAX_WATCHES, WatchDraft

MAX_SDP = 200_000
"""Characters of an offer; browsers send about ten thousand."""


@with_settings(camera=False)
class CallSession(RealtimeFields):
    """What the session of a call or of a Realtime connection is opened with: OpenAI's fields and ours."""

    name: Name | None = None
    watches: list[WatchIn] = Field(default_factory=list, max_length=MAX_WATCHES)

    @model_validator(mode="after")
    def _watches_fit(self) -> Self:
        if self.standing is not None and len(self.watches) == MAX_WATCHES:
            raise PydanticCustomError(
                "too_long", "instructions are a watch too: with them there is place for 63 others."
            )
        return self

    def drafts(self) -> tuple[WatchDraft, ...]:
        """Its watches, the instructions first."""
        standing = () if self.standing is None else (WatchDraft(self.standing, INSTRUCTIONS),)
        return (*standing, *(watch.to_draft() for watch in self.watches))


INSTRUCTIONS = "Instructions"
"""name of the watch that a client's instructions are"""


class CallIn(RequestModel):
    sdp: str = Field(min_length=1, max_length=MAX_SDP, examples=["v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n…"])
    session: CallSession = Field(default_factory=CallSession)


class ClientSecretIn(RequestModel):
    expires_after: ExpiresAfter = Field(default_factory=ExpiresAfter)
    session: CallSession = Field(default_factory=CallSession)


class ClientSecretOut(ResponseModel):
    value: str = Field(description="The key: opens one call or one WebSocket, as `Authorization: Bearer`.")
    expires_at: int = Field(description="Unix seconds.")
    session: dict[str, object]


class ModelOut(ResponseModel):
    id: str
    object: str = "model"
    created: int
    owned_by: str


class ModelsOut(ResponseModel):
    object: str = "list"
    data: list[ModelOut]


class CallOut(ResponseModel):
    id: str
    session_id: str
    created_at: str


class CallsOut(ResponseModel):
    data: list[CallOut]
    next: str | None
