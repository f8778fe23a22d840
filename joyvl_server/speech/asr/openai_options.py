"""The options of engine `openai` for voice in."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from joyvl_server.kit.net.option_checks import check_base_url, read_key
from joyvl_server.speech.options import SpeechOptions

WHERE = "speech.asr_options.openai"


class OpenAIAsrOptions(SpeechOptions):
    """What stands under `speech.asr_options.openai`."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="Address of the server, up to and with `/v1`.")
    model: str = Field("whisper-1", min_length=1, description="Name of the model.")
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    timeout_s: float = Field(15.0, gt=0, le=600, description="Longest time that one sentence may take.")
    parallel: int = Field(2, ge=1, le=64, description="Sentences that the server takes at once.")
    partials: bool = Field(
        False, description="Ask again and again while somebody speaks. Each time costs what a sentence costs."
    )
    prompt: str | None = Field(None, description="Words that help the model: names, how numbers are written.")
    extra_fields: dict[str, str] = Field(
        default_factory=dict, description="Further fields of each request, as the server defines them."
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return check_base_url(value, endings=("/audio/transcriptions",))

    def key(self) -> str:
        """Raises `ConfigError` where its file cannot be read."""
        return read_key(self.api_key, self.api_key_file, WHERE)
