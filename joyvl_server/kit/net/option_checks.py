"""Options of what talks to other servers, checked with the same words everywhere: address, key, unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from joyvl_server.core.errors import ConfigError

MAX_FILE = 65_536

Options = TypeVar("Options", bound=BaseModel)


def validated(model: type[Options], given: Mapping[str, object], where: str, known: Iterable[str] = ()) -> Options:
    """Options as their model. Raises `ConfigError`, a sentence for each mistake, never with a value in it.

    `where` they stand in the settings. An unknown one is told with the nearest of the `known` names: the model's, where
    nothing else is said.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        mistakes = error.errors()
    sentences = []
    for mistake in mistakes:
        names = list(known) if known and len(mistake["loc"]) == 1 else _names_at(model, mistake["loc"][:-1])
        sentences.append(_sentence(where, names, mistake["loc"], mistake["type"], mistake["msg"]))
    raise ConfigError(" ".join(sentences))


def check_base_url(value: str, *, endings: tuple[str, ...] = (), hint: str = "") -> str:
    """An HTTP address without its last slash, and without the one of `endings` that people copy with it; `/v1` where it
    has no path. `hint`: what to use instead of a query. Raises `ValueError` in words."""
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
        raise ValueError(f"must end with its path{hint}")
    path = parts.path.rstrip("/") or "/v1"
    for ending in endings:
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}"


def read_key(key: SecretStr | None, file: Path | None, where: str) -> str:
    """The API key, given or in a file; empty where there is none. Raises `ConfigError`. Blocks."""
    if key is not None and file is not None:
        raise ConfigError(f"{where}: give api_key or api_key_file, not both.")
    if file is None:
        return key.get_secret_value() if key is not None else ""
    found = read_file(file, f"{where}.api_key_file").strip()
    if not found or not found.isprintable() or not found.isascii():
        raise ConfigError(f"{where}.api_key_file: {file} must hold one line, the key.")
    return found


def read_file(path: Path, option: str) -> str:
    """The text of a file that an option names. Raises `ConfigError`. Blocks."""
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            text = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{option}: {path} is not UTF-8 text.") from None
    if len(text) > MAX_FILE:
        raise ConfigError(f"{option}: {path} is longer than {MAX_FILE} characters.")
    return text


def _sentence(where: str, known: list[str], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join((where, *map(str, location)))
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(known) or 'none'}."
        return f"{name}: there is no such option.{hint}"
    if kind in ("tuple_type", "list_type"):
        return f"{name}: it must be a list, like [one, two]."
    return f"{name}: {message.removeprefix('Value error, ')}."


def _names_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The options of the group at this place."""
    group: type[BaseModel] = model
    for part in location:
        field = group.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), group)
    return list(group.model_fields)
