"""The events that Realtime clients send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from joyvl_server.api.schemas.common import RequestModel
from joyvl_server.api.schemas.realtime import AudioOutput, Modality

EventId = Annotated[str, StringConstraints(max_length=512)]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Base64 = Annotated[str, StringConstraints(max_length=8_000_000)]


class ClientEvent(RequestModel):
    type: str
    event_id: EventId | None = None


class ContentPart(RequestModel):
    type: Literal["input_text", "input_audio", "input_image"]
    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] | None = None
    audio: Base64 | None = None
    image_url: Base64 | None = None
    detail: Literal["auto", "low", "high"] | None = None
    transcript: str | None = None


class UserMessage(RequestModel):
    type: Literal["message"]
    role: Literal["user"]
    content: list[ContentPart] = Field(min_length=1, max_length=16)
    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class SessionUpdate(ClientEvent):
    session: dict[str, Any]


class ItemCreate(ClientEvent):
    item: UserMessage
    previous_item_id: str | None = None


class ItemTruncate(ClientEvent):
    item_id: ItemId
    content_index: Literal[0]
    audio_end_ms: int = Field(ge=0, le=86_400_000)


class ItemNamed(ClientEvent):
    """`conversation.item.delete` and `conversation.item.retrieve`."""

    item_id: ItemId


class ResponseAudio(RequestModel):
    output: AudioOutput | None = None


class ResponseWanted(RequestModel):
    """Only `instructions` count; what else is taken changes nothing."""

    instructions: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] | None = None
    audio: ResponseAudio | None = None
    conversation: Literal["auto"] | None = None
    input: Annotated[list[Any], Field(max_length=0)] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    metadata: dict[str, Any] | None = None
    output_modalities: list[Modality] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Any = None
    tool_choice: Any = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None


class ResponseCreate(ClientEvent):
    response: ResponseWanted | None = None


class ResponseCancel(ClientEvent):
    response_id: ItemId | None = None


class AudioAppend(ClientEvent):
    audio: Base64


class DelegationAppend(ClientEvent):
    """Of GPT-Live: what a client says of a task on which it works. `delegation_id`: the task."""

    type: Literal["session.thinking.append", "session.commentary.append"]
    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    delegation_id: ItemId | None
