"""Options of the engines of speech, checked with the same words for all of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from joyvl_server.core.errors import ConfigError

MAX_FILE = 4096

M = TypeVar("M", bound=BaseModel)


class SpeechOptions(BaseModel):
    """Base of what stands under an engine's name. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


def read_options(model: type[M], given: Mapping[str, Any], where: str) -> M:
    """`where` is the path of the setting. Raises `ConfigError` with every mistake, never with a value in it."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        sentences = (_sentence(e["loc"], e["type"], e["msg"], model, where) for e in error.errors())
        raise ConfigError(" ".join(sentences)) from None


def read_key(key: SecretStr | None, file: Path | None, where: str) -> str:
    """The API key, given or in a file; empty where there is none. Raises `ConfigError`."""
    if key is not None and file is not None:
        raise ConfigError(f"{where}: give api_key or api_key_file, not both.")
    if file is None:
        return key.get_secret_value() if key is not None else ""
    try:
        text = file.expanduser().read_bytes()[:MAX_FILE].decode().strip()
    except OSError as error:
        raise ConfigError(f"{where}.api_key_file: {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or not text.isascii():
        raise ConfigError(f"{where}.api_key_file: {file} must hold one line, the key.")
    return text


def check_base_url(value: str) -> str:
    """An HTTP address without its last slash. Raises `ValueError` in words."""
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
        raise ValueError("must end with its path")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def _sentence(location: tuple[int | str, ...], kind: str, message: str, model: type[BaseModel], where: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(model.model_fields) or 'none'}."
        return f"{where}.{name}: there is no such option.{hint}"
    return f"{where}.{name}: {message.removeprefix('Value error, ')}."
