"""Bodies about speech."""

from __future__ import annotations

from pydantic import Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel


class PlaybackIn(RequestModel):
    epoch: int = Field(ge=1, description="The utterance, as in `output_audio_buffer.started`.")
    heard: int = Field(ge=0, le=100_000, description="Characters of its text that were spoken so far.")
    ended: bool = Field(False, description="It is over: spoken to its end, or given up.")


class TalkIn(RequestModel):
    talking: bool = Field(description="The button is held.")


class ServerVoiceOut(ResponseModel):
    id: str = Field(examples=["piper:en_US-joe-medium"])
    engine: str
    language: str = Field(description="A BCP 47 tag, `und` where the engine does not say.")
    name: str


class VoicesOut(ResponseModel):
    data: list[ServerVoiceOut]
    next: str | None
