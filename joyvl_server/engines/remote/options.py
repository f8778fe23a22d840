"""The options of engine `remote`, checked when the engine is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from joyvl_server.kit.net.option_checks import check_base_url, read_key, validated

WHERE = "engine.options.remote"


class RemoteOptions(BaseModel):
    """What stands under `engine.options.remote`. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str = Field(
        "http://127.0.0.1:8070/v1", description="Address of the interaction server, up to and with `/v1`."
    )
    model: str = Field("", description="Name of the model; empty takes the first one the server lists.")
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    timeout_s: float = Field(15.0, gt=0, le=600, description="Longest wait for one decision.")
    probe_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Longest wait for the decision with which the server is tried."
    )
    parallel: int = Field(4, ge=1, le=1024, description="Requests the server takes well at once.")
    persona: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="The manner in which its sessions speak, where it has several: vLLM-Omni has `default`, `silent` "
        "and `talkative`. Empty: as the server is set up.",
    )
    system_prompt_key: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="Sent as `x-system-prompt-key`: chooses one of the server's system prompts, like one without "
        "delegation. Empty: not sent.",
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return check_base_url(value, endings=("/chat/completions", "/models", "/streaming/reset"))


def read_options(given: Mapping[str, object]) -> RemoteOptions:
    """The options, with the key of `api_key_file` in `api_key`. Raises `ConfigError`, never with a secret in it."""
    options = validated(RemoteOptions, given, WHERE)
    key = read_key(options.api_key, options.api_key_file, WHERE)
    return options.model_copy(update={"api_key": SecretStr(key) if key else None})
