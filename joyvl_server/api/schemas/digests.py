"""Days in a few words."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel


class DigestsQuery(RequestModel):
    model_config = {"extra": "forbid", "strict": False}

    camera_id: str | None = Field(None, max_length=80)
    day: datetime.date | None = Field(
        None, description="In the server's time zone (`time_zone`); without it the newest days that are written."
    )
    limit: int = Field(100, ge=1, le=500, description="At most this many.")


class DigestOut(ResponseModel):
    camera_id: str
    day: str = Field(examples=["2026-11-20"])
    text: str
    counts: dict[str, int] = Field(description="How often what happened; `away_min`: minutes without the camera.")
    event_ids: list[str] = Field(description="Events that it rests on, oldest first.")
    source: Literal["engine", "counts"] = Field(description="Who wrote the text.")
    done: bool = Field(description="The day is over: it stays so.")
    written_at: str


class DigestsOut(ResponseModel):
    data: list[DigestOut]
    next: None
