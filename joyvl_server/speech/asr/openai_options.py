"""The options of engine `openai` for voice in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from joyvl_server.core.errors import ConfigError

WHERE = "speech.asr_options.openai"
MAX_KEY_FILE = 65_536


class OpenAIAsrOptions(BaseModel):
    """What stands under `speech.asr_options.openai`. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str = Field("http://127.0.0.1:8000/v1", description="Address of the server, up to and with `/v1`.")
    model: str = Field("whisper-1", description="Name of the model.")
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
        try:
            parts = urlsplit(value.strip())
            parts.port  # noqa: B018  # raises ValueError when it is no port
        except ValueError:
            raise ValueError("is not a URL; write it like http://127.0.0.1:8000/v1") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https URL, like http://127.0.0.1:8000/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or password; use api_key or api_key_file")
        path = (parts.path.rstrip("/") or "/v1").removesuffix("/audio/transcriptions")
        return f"{parts.scheme}://{parts.netloc}{path}"

    def key(self) -> str:
        """Raises `ConfigError` where its file cannot be read."""
        if self.api_key is not None:
            return self.api_key.get_secret_value().strip()
        if self.api_key_file is None:
            return ""
        try:
            with self.api_key_file.expanduser().open("r", encoding="utf-8") as file:
                return file.read(MAX_KEY_FILE).strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{WHERE}.api_key_file: {self.api_key_file} cannot be read.") from None


def parse_openai_asr(options: Mapping[str, Any]) -> OpenAIAsrOptions:
    """Raises `ConfigError`, a line for each mistake, that never holds a value."""
    try:
        return OpenAIAsrOptions.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError("\n".join(
            f"{WHERE}.{'.'.join(map(str, m['loc']))}: {m['msg'].removeprefix('Value error, ')}"
            for m in error.errors(include_input=False)
        )) from None  # fmt: skip
