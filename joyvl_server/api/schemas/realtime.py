"""OpenAI's session body as Realtime clients send it: what is meant here, what changes nothing, what is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import RequestModel
from joyvl_server.api.schemas.settings import SettingsRequest
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.settings.values import VoiceName

RATE = 24_000
"""Hz of the sound that these clients send and get"""
OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar")
)
"""names that clients send without thinking; here they are the voice for the language of the text"""
OPENAI_MODELS = ("gpt-", "chatgpt-", "JoyAI-VL-Interaction")
"""… and models whose names begin like this are the default engine"""
DEFAULT_MODEL = "joyvl"


def _refused(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("not_supported", "{sentence}", {"sentence": sentence})


class OpenAIModel(RequestModel):
    """Numbers and texts as they come in JSON; fields that are none of theirs are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class AudioFormat(OpenAIModel):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = RATE

    @model_validator(mode="after")
    def _pcm(self) -> Self:
        if self.type != "audio/pcm" or self.rate != RATE:
            raise _refused(f"Sound is audio/pcm at {RATE} Hz here: 16 bits, mono, little-endian.")
        return self


class TurnDetection(OpenAIModel):
    """Only `type` counts: when somebody has finished is found out as for calls."""

    type: Literal["server_vad", "semantic_vad"]
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    threshold: float | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if not self.create_response or not self.interrupt_response:
            raise _refused(
                "What is said is always answered, and interrupts: leave create_response and interrupt_response true, "
                "or set turn_detection to null and commit."
            )
        return self


class Transcription(OpenAIModel):
    """Only `language` counts; what understands speech is a setting of the server."""

    model: Annotated[str, Field(max_length=100)] | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    languages: Annotated[list[str], Field(max_length=32)] | None = None
    prompt: Annotated[str, Field(max_length=2000)] | None = None
    keywords: Annotated[list[str], Field(max_length=200)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(OpenAIModel):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class AudioInput(OpenAIModel):
    format: AudioFormat | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = Field(default_factory=lambda: TurnDetection(type="server_vad"))


class VoiceId(OpenAIModel):
    id: VoiceName


class AudioOutput(OpenAIModel):
    format: AudioFormat | None = None
    speed: float | None = None
    voice: VoiceName | VoiceId | None = None

    @model_validator(mode="after")
    def _own_speed(self) -> Self:
        if self.speed not in (None, 1.0):
            raise _refused("Voices speak at their own speed here; leave speed out.")
        return self


class SessionAudio(OpenAIModel):
    input: AudioInput | None = None
    output: AudioOutput | None = None


def _no_tools(tools: list[Any]) -> list[Any]:
    if tools:
        raise _refused("This server calls no tools of a client; leave tools out.")
    return tools


def _no_prompt(prompt: Any) -> None:
    if prompt is not None:
        raise _refused("There are no stored prompts here; write the words into instructions.")


def engine_of(model: str | None) -> str | None:
    """The engine that a model's name means; None: the default one."""
    return None if model is None or model == DEFAULT_MODEL or model.startswith(OPENAI_MODELS) else model


def voice_of(said: AudioOutput | None) -> str | None:
    """The voice as our settings name it; None: the one for the language of the text."""
    voice = said.voice if said else None
    name = voice.id if isinstance(voice, VoiceId) else voice
    return None if name is None or name in OPENAI_VOICES else name


Instructions = Annotated[str, StringConstraints(max_length=2000)]
Modality = Literal["text", "audio"]


class RealtimeFields(SettingsRequest):
    """The fields of OpenAI's session. `tool_choice` and others that change nothing here are taken and forgotten."""

    type: Literal["realtime"] = "realtime"
    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="An id of `GET /v1/models`. Names of OpenAI's (`gpt-…`) mean the default engine."
    )
    instructions: Instructions | None = Field(None, description="Becomes a standing watch with this text.")
    audio: SessionAudio | None = None
    output_modalities: Annotated[list[Modality], Field(min_length=1, max_length=2)] | None = Field(
        None, description='`["audio"]`, the default, or `["text"]`: then it says nothing aloud.'
    )
    include: Annotated[list[str], Field(max_length=8)] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    parallel_tool_calls: bool | None = None
    prompt: Annotated[Any, AfterValidator(_no_prompt)] = None
    reasoning: Any = None
    tool_choice: Any = None
    tools: Annotated[list[Any], AfterValidator(_no_tools)] | None = None
    tracing: Any = None
    truncation: Any = None

    def spec(self, *, call: bool = True) -> SessionSpec:
        """What the session is opened with. Ours go before OpenAI's. `call`: its sound comes over a track, so that
        where nothing finds out when somebody speaks, a button does."""
        spec = super().spec()
        heard = self.audio.input if self.audio else None
        said = self.audio.output if self.audio else None
        voice = "off" if self.modality == "text" else voice_of(said)
        transcription = heard.transcription if heard else None
        return spec.changed(
            {
                "engine": spec.engine or engine_of(self.model),
                "voice": spec.voice or voice,
                "speech_language": spec.speech_language or (transcription.language if transcription else None),
                "listen": spec.listen or ("push_to_talk" if self.manual and call else None),
            }
        )

    @property
    def manual(self) -> bool:
        """Does the client say when somebody speaks?"""
        return bool(self.audio and self.audio.input and self.audio.input.turn_detection is None)

    @property
    def standing(self) -> str | None:
        """The instructions, where there are any."""
        text = (self.instructions or "").strip()
        return text or None

    @property
    def modality(self) -> Modality:
        return "text" if self.output_modalities == ["text"] else "audio"


class ExpiresAfter(OpenAIModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(600, ge=10, le=7200)
