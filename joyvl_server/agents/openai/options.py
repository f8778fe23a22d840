"""Options of agent `openai`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from joyvl_server.kit.net.option_checks import check_base_url

OURS = ("model", "messages", "input", "stream", "previous_response_id")
OUR_HEADERS = ("host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding")


class OpenAIAgentOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(description="Address of the server, up to and with `/v1`.")
    model: str = Field("", max_length=300, description="Name of the model. Empty: the first one the server lists.")
    api: Literal["chat", "responses"] = Field("chat", description="Chat completions, or responses.")
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Further headers of each request.")
    pictures: bool = Field(True, description="Send pictures. A server that refuses them is asked without.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    silence_s: float = Field(
        120.0, gt=0, le=3600, description="Longest time without a word of an answer, or of a thought."
    )
    max_characters: int = Field(100_000, ge=100, le=200_000, description="Longest answer; a longer one is a failure.")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Further fields of each request.")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return check_base_url(
            value, endings=("/chat/completions", "/responses"), hint="; use `headers` or `extra_body`"
        )

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in OURS:
            if name in value:
                raise ValueError(f"must not hold `{name}`, which has an option or is the agent's own")
        if value.get("tools"):
            raise ValueError("must not hold `tools`: nobody would run them")
        return value

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            text = secret.get_secret_value()
            if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError("has a name that no header can have")
            if name.lower() in OUR_HEADERS:
                raise ValueError(f"must not hold {name}, which is the client's own")
            if not text.isascii() or not text.isprintable():
                raise ValueError(f"has a value for {name} that no header can have")
        return value
