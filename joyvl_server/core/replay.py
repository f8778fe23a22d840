"""Input logs: a header line, then one line an input with the effects it had. Read again, they give the same effects.

```
{"joyvl_log": 2, "config": {…}}
{"in": {"type": "Tick", …}, "out": [{"type": "BeginChunk", …}, …]}
```

Pictures are named by hash and size, without their bytes; the small grey picture is kept in inputs (the gaze looks at
it) and left out of effects. A file may hold several logs one after the other, each with its header. Logs of version 1
are read as well: what changed live in them (`SensitivityChanged`, `FidelityChanged`) is `ConfigChanged` now.
"""

from __future__ import annotations

import base64
import binascii
import json
import types
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from joyvl_server.core.config import EngineFacts, ObserverConfig
from joyvl_server.core.effects import Effect
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.frame import Grey, Image
from joyvl_server.core.inputs import Input
from joyvl_server.core.observer import Observer
from joyvl_server.core.prompt.turns import Draft

VERSION = 2
MAX_GREY = 1 << 20
"""pixels of a grey picture in a log, at most"""

_INPUTS = {cls.__name__: cls for cls in get_args(Input)}
_EFFECTS = {cls.__name__: cls for cls in get_args(Effect)}
_ENGINE_FACTS = {field.name for field in fields(EngineFacts)}
_CHANGED_BY = {"SensitivityChanged": "threshold", "FidelityChanged": "fidelity"}
"""inputs of version 1, and the one setting that each of them changed"""
_RENAMED = {"ContextRoomChanged": "ContextLimitChanged"}
_RENAMED_FIELDS = {"book": "watch_set"}
"""inputs of version 1, and fields of them, that have another name now"""


# ------------------------------------------------------------------------------------------------------------ writing


def header(config: ObserverConfig) -> dict[str, Any]:
    """The first line of a log."""
    return {"joyvl_log": VERSION, "config": _encode(config, greys=False)}


def encode_step(input: Input, effects: Iterable[Effect]) -> dict[str, Any]:
    """One line of a log."""
    return {"in": encode_input(input), "out": [encode_effect(effect) for effect in effects]}


def encode_input(input: Input) -> dict[str, Any]:
    return {"type": type(input).__name__, **_encode(input, greys=True)}


def encode_effect(effect: Effect) -> dict[str, Any]:
    return {"type": type(effect).__name__, **_encode(effect, greys=False)}


def _encode(value: Any, *, greys: bool) -> Any:
    if isinstance(value, Image):
        return {"sha256": value.sha256, "width": value.width, "height": value.height}
    if is_dataclass(value):
        kept = (field.name for field in fields(value) if field.metadata.get("logged", True))
        return {name: _encode(getattr(value, name), greys=greys) for name in kept}
    if isinstance(value, tuple):
        return [_encode(item, greys=greys) for item in value]
    if isinstance(value, np.ndarray):
        return _encode_grey(value) if greys else None
    return value.value if isinstance(value, Enum) else value


def _encode_grey(grey: Grey) -> dict[str, Any]:
    packed = zlib.compress(np.ascontiguousarray(grey).tobytes(), 1)
    return {"shape": list(grey.shape), "zlib": base64.b64encode(packed).decode("ascii")}


# ------------------------------------------------------------------------------------------------------------ reading


def replay(lines: Iterable[str]) -> Iterator[tuple[Input, list[Effect]]]:
    """Feed a log to a fresh observer; yields each input with the effects it has now.

    Raises `ConfigError` for a file that is no log, is of a version not known here, or lacks lines. A last line that was
    cut off, as a killed server leaves it, is left out.
    """
    observer: Observer | None = None
    version = VERSION
    cut: ConfigError | None = None
    for number, line in enumerate(lines, 1):
        if cut is not None:
            raise cut
        try:
            entry = json.loads(line)
        except ValueError:
            cut = ConfigError(f"Line {number} of the log is not JSON: the file is damaged, or it is not an input log.")
            continue
        if isinstance(entry, dict) and "joyvl_log" in entry:
            version, observer = entry["joyvl_log"], Observer(decode_header(entry))
            continue
        if observer is None:
            raise ConfigError("This is not an input log of joyvl: its first line has no `joyvl_log` version.")
        input = _decode_line(entry, number, observer.config if version == 1 else None)
        try:
            effects = observer.handle(input)
        except RuntimeError as error:
            raise ConfigError(f"Line {number} of the log does not follow from the lines before: {error}") from error
        yield input, effects
    if observer is None:
        raise cut or ConfigError("The log is empty.")


def decode_header(entry: dict[str, Any]) -> ObserverConfig:
    """The config in a header line of any version known here. Raises `ConfigError`."""
    version = entry["joyvl_log"]
    if version not in (1, VERSION):
        raise ConfigError(
            f"The log has version {version!r}; this server reads versions 1 to {VERSION}. "
            "Replay it with the release of joyvl-server that recorded it."
        )
    try:
        data = _with_engine(entry["config"]) if version == 1 else entry["config"]
        config: ObserverConfig = _decode(ObserverConfig, data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"The header of the log cannot be read: {error}") from error
    return config


def decode_input(data: dict[str, Any]) -> Input:
    """Raises `KeyError`, `TypeError` or `ValueError` for what is no input."""
    input: Input = _decode_typed(_INPUTS, data)
    return input


def decode_effect(data: dict[str, Any]) -> Effect:
    """Raises `KeyError`, `TypeError` or `ValueError` for what is no effect."""
    effect: Effect = _decode_typed(_EFFECTS, data)
    return effect


def _decode_line(entry: Any, number: int, config: ObserverConfig | None) -> Input:
    """`config` is in force where the line is of version 1."""
    try:
        return decode_input(entry["in"] if config is None else _upgraded(entry["in"], config))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"Line {number} of the log cannot be read: {error}") from error


def _upgraded(data: dict[str, Any], config: ObserverConfig) -> dict[str, Any]:
    """An input of version 1 as it is written now; `config` is in force."""
    if (setting := _CHANGED_BY.get(data["type"])) is not None:
        changed = {**_encode(config, greys=False), setting: data[setting]}
        return {"type": "ConfigChanged", "at": data["at"], "config": changed}
    renamed = {_RENAMED_FIELDS.get(name, name): value for name, value in data.items()}
    return {**renamed, "type": _RENAMED.get(data["type"], data["type"])}


def _with_engine(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a log of version 1, whose facts about the engine stood among the settings."""
    settings = {name: value for name, value in config.items() if name not in _ENGINE_FACTS}
    return {**settings, "engine": {name: config[name] for name in config if name in _ENGINE_FACTS}}


def _decode_typed(known: dict[str, type], data: dict[str, Any]) -> Any:
    given = {name: value for name, value in data.items() if name != "type"}
    return _decode(known[data["type"]], given)


def _decode(hint: Any, data: Any) -> Any:
    """`data` as the type that `hint` asks for; types are those that inputs and effects are made of."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if data is None else _decode(next(arg for arg in args if arg is not type(None)), data)
    if origin is tuple:
        kinds = args[:1] * len(data) if args[-1] is Ellipsis else args
        return tuple(_decode(kind, item) for kind, item in zip(kinds, data, strict=True))
    if origin is np.ndarray:
        return _decode_grey(data)
    if is_dataclass(hint):
        return _decode_dataclass(hint, data)
    if origin is Literal:
        return _decode_literal(args, data)
    if hint is float and isinstance(data, int):
        return float(data)
    if issubclass(hint, Enum):
        return hint(data)
    if type(data) is not hint:
        raise TypeError(f"{data!r} is not {hint.__name__}")
    return data


def _decode_dataclass(cls: Any, data: Any) -> Any:
    hints = _hints(cls)
    given = {name: _decode(hints[name], value) for name, value in data.items()}
    if cls is Image:
        given["jpeg"] = b""
    elif cls is Draft:
        given.setdefault("instruction", "")
    return cls(**given)


def _decode_literal(allowed: tuple[Any, ...], data: Any) -> Any:
    if data not in allowed:
        raise ValueError(f"{data!r} is none of {', '.join(map(repr, allowed))}")
    return data


def _decode_grey(data: Any) -> Grey:
    if data is None:
        return np.zeros((0, 0), np.uint8)
    height, width = data["shape"]
    if not 0 <= height * width <= MAX_GREY:
        raise ValueError(f"a grey picture of {width}x{height} pixels is too large")
    try:
        raw = zlib.decompressobj().decompress(base64.b64decode(data["zlib"], validate=True), height * width + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the grey picture is damaged: {error}") from error
    return np.frombuffer(raw, np.uint8).reshape(height, width)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
