"""The options of engine `openai`, checked when the engine is made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from joyvl_server.core.errors import ConfigError

MAX_FILE = 65_536
WHERE = "engine.options.openai"

_OURS = ("messages", "model", "stream")

Options = TypeVar("Options", bound=BaseModel)


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
        try:
            parts = urlsplit(value.strip())
            parts.port  # noqa: B018  # raises ValueError when it is no port
        except ValueError:
            raise ValueError("is not a URL; write it like http://127.0.0.1:8000/v1") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https URL, like http://127.0.0.1:8000/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or password; use api_key or api_key_file")
        if parts.query or parts.fragment:
            raise ValueError("must end with its path; use extra_body for further fields")
        path = parts.path.rstrip("/") or "/v1"
        for ending in ("/chat/completions", "/models"):
            path = path.removesuffix(ending)
        return f"{parts.scheme}://{parts.netloc}{path}"

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in _OURS:
            if name in value:
                raise ValueError(f"must not hold `{name}`, which is the engine's own")
        return value


def read_options(given: Mapping[str, object]) -> OpenAIOptions:
    """The options, with the key of `api_key_file` in `api_key`. Raises `ConfigError`, never with a secret in it."""
    options = validated(OpenAIOptions, given, WHERE, OpenAIOptions.model_fields)
    if options.api_key_file is None:
        return options
    if options.api_key is not None:
        raise ConfigError(f"{WHERE}: give api_key or api_key_file, not both.")
    key = read_file(options.api_key_file, "api_key_file").strip()
    if not key or not key.isprintable() or not key.isascii():
        raise ConfigError(f"{WHERE}.api_key_file: {options.api_key_file} must hold one line, the key.")
    return options.model_copy(update={"api_key": SecretStr(key)})


def read_file(path: Path, option: str) -> str:
    """The text of a file that an option names. Raises `ConfigError`."""
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            text = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{WHERE}.{option}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{WHERE}.{option}: {path} is not UTF-8 text.") from None
    if len(text) > MAX_FILE:
        raise ConfigError(f"{WHERE}.{option}: {path} is longer than {MAX_FILE} characters.")
    return text


def validated(model: type[Options], given: Mapping[str, object], where: str, known: Iterable[str]) -> Options:
    """Options as their model. Raises `ConfigError`, a sentence for each mistake, never with a secret in it.

    `where` they stand in the settings; an unknown one is told with the nearest of the `known` names.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        mistakes = error.errors()
    raise ConfigError(" ".join(_sentence(where, list(known), e["loc"], e["type"], e["msg"]) for e in mistakes))


def _sentence(where: str, known: list[str], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(known)}."
        return f"{where}.{name}: there is no such option.{hint}"
    return f"{where}.{name}: {message.removeprefix('Value error, ')}."
