"""Signed links."""

from __future__ import annotations

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel

LONGEST_S = 366 * 86_400


class SignedUrlIn(RequestModel):
    path: str = Field(
        min_length=1,
        max_length=300,
        description="Of a thumbnail, a clip, a snapshot or a picture stream, without host and query.",
        examples=["/v1/cameras/cam_01jd3q0000000000000000000a/snapshot.jpg"],
    )
    expires_s: int = Field(3600, ge=1, le=LONGEST_S, description="Seconds for which it works.")


class SignedUrlOut(ResponseModel):
    url: str = Field(description="Whole, with `server.public_url` where that is set, else as this server was called.")
    expires_at: str = Field(description="RFC 3339 time.")
