"""Bodies about speech."""

from __future__ import annotations

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel


class PlaybackIn(RequestModel):
    epoch: int = Field(ge=1, description="The utterance, as in `output_audio_buffer.started`.")
    heard: int = Field(ge=0, le=100_000, description="Characters of its text that were spoken so far.")
    ended: bool = Field(False, description="It is over: spoken to its end, or given up.")


class TalkIn(RequestModel):
    talking: bool = Field(description="The button is held.")
