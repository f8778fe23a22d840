"""The options of engine `openai`, checked when the engine is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from joyvl_server.kit.net.option_checks import check_base_url, read_key, validated

WHERE = "engine.options.openai"

_OURS = ("messages", "model", "stream")


class OpenAIOptions(BaseModel):
    """What stands under `engine.options.openai`. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str = Field("http://127.0.0.1:8000/v1", description="Address of the server, up to and with `/v1`.")
    model: str = Field("", description="Name of the model; empty takes the first one the server lists.")
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    timeout_s: float = Field(
        15.0, gt=0, le=600, description="Longest wait for the decision, and for each next piece of an answer."
    )
    answer_timeout_s: float = Field(60.0, gt=0, le=3600, description="Longest time one spoken answer may take in all.")
    protocol: Literal["auto", "markers", "instruct"] = Field(
        "auto",
        description="How the model answers: in the interaction protocol's markers, or told in plain words and in JSON. "
        "auto asks it at start.",
    )
    parallel: int = Field(4, ge=1, le=1024, description="Requests the server takes well at once.")
    priority: bool = Field(
        False, description="Send `priority` with each request: for vLLM with --scheduling-policy priority."
    )
    probe_timeout_s: float = Field(
        180.0, gt=0, le=3600, description="Longest wait for one answer while the server is probed and warmed up."
    )
    max_tokens: int = Field(256, ge=1, le=8192, description="Longest answer, in tokens.")
    temperature: float | None = Field(
        0.0, ge=0, le=2, description="Sampling temperature; null leaves it to the server. 0 keeps decisions steady."
    )
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling; null leaves it to the server.")
    delegation: bool = Field(True, description="May the model hand questions over? False tells it of two actions only.")
    system_prompt_file: Path | None = Field(
        None, description="File with a system prompt that replaces the built-in one."
    )
    image_detail: Literal["low", "high", "auto"] | None = Field(
        None, description="`detail` of each picture, for servers that know it."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request, as the server defines them."
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        endings = ("/chat/completions", "/models")
        return check_base_url(value, endings=endings, hint="; use extra_body for further fields")

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in _OURS:
            if name in value:
                raise ValueError(f"must not hold `{name}`, which is the engine's own")
        return value


def read_options(given: Mapping[str, object]) -> OpenAIOptions:
    """The options, with the key of `api_key_file` in `api_key`. Raises `ConfigError`, never with a secret in it."""
    options = validated(OpenAIOptions, given, WHERE)
    key = read_key(options.api_key, options.api_key_file, WHERE)
    return options.model_copy(update={"api_key": SecretStr(key) if key else None})
