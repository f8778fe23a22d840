"""Settings come in layers: a YAML file, the environment. Each finds its own mistakes and knows where a value is from.

No message here holds a value: any of them may be a secret.
"""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.masking import is_secret_name

MAX_BYTES = 1_048_576
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsLayer:
    """Nested values, and for each dotted name where it was written (`joyvl.yaml, line 3`, `JOYVL_SERVER__PORT`)."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Names, str] = field(default_factory=dict)


def leaves(model: type[BaseModel], above: Names = ()) -> Iterator[tuple[Names, Any]]:
    """Every setting of a model and of the models in it: its names, and the annotation."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from leaves(info.annotation, (*above, name))
        else:
            yield (*above, name), info.annotation


def yaml_layer(path: Path, model: type[BaseModel]) -> SettingsLayer:
    """Read one YAML file. Raises `ConfigError` for a syntax error, a name used twice, unknown names (all)."""
    text = read_text(path)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        at = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{at}: this is not YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"{path}: this is not YAML: it contains a control character or an invalid date.") from None
    if node is None or values is None:
        return SettingsLayer()
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: write settings as `name: value` lines.")
    origins = {names: f"{path}, line {line}" for names, line in _lines(node, path)}
    known = dict(leaves(model))
    mistyped: dict[Names, str] = {}
    for names, where in origins.items():
        told = any(names[:length] in mistyped for length in range(1, len(names)))
        if not told and (sentence := _unknown_at(names, known, where)):
            mistyped[names] = sentence
    if mistyped:
        raise ConfigError("\n".join(mistyped.values()))
    groups = {names[:-1] for names in known if len(names) > 1}
    # A group with all its lines commented out is an empty group.
    return SettingsLayer({k: {} if v is None and (k,) in groups else v for k, v in values.items()}, origins)


def env_layer(
    environ: Mapping[str, str], prefix: str, model: type[BaseModel], own: tuple[str, ...] = ()
) -> SettingsLayer:
    """Read the variables that begin with `prefix`; `__` joins nested names; empty ones count as not set.

    `NAME_FILE` gives the value of NAME as a file. Lists are JSON, or separated by commas or lines. Raises `ConfigError`
    for nested names that are unknown, and for those that look like a mistyped setting: a line for each variable that is
    wrong, with the nearest right name. `own` variables are no settings.
    """
    layer = SettingsLayer()
    known = dict(leaves(model))
    mistakes: list[str] = []
    for variable, text in sorted(environ.items()):
        if not variable.startswith(prefix) or variable in own or not text:
            continue
        try:
            _take_variable(layer, prefix, variable, text, known)
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return layer


def _take_variable(layer: SettingsLayer, prefix: str, variable: str, text: str, known: Mapping[Names, Any]) -> None:
    """Raises `ConfigError`."""
    names = tuple(variable[len(prefix) :].lower().split("__"))
    if (base := _named_by_file(names, known)) is not None:
        names, text = base, read_text(Path(text), f" (from {variable})").strip()
    elif _kind(names, known) is None:
        if (near := _nearest(names, known)) is not None:
            hint = f" Did you mean {prefix}{near.upper().replace('.', '__')}?"
        elif len(names) > 1:
            hint = ""
        else:
            return  # a variable of other programs that happens to begin alike
        raise ConfigError(f"{variable}: there is no setting {'.'.join(names)!r}.{hint}")
    if names in layer.origins:
        raise ConfigError(f"{variable} and {layer.origins[names]} both set {'.'.join(names)}. Use one of them.")
    layer.origins[names] = variable
    _put(layer.values, names, _parse(text, names, known, variable), variable)


def read_text(path: Path, why: str = "") -> str:
    """A small text file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(f"{path}{why} is larger than {MAX_BYTES} bytes.")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}{why} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}{why} is not UTF-8 text.") from None


def unknown(names: Names, model: type[BaseModel]) -> str:
    """A sentence about a setting that does not exist, with the nearest that does."""
    near = _nearest(names, dict(leaves(model)))
    return f"there is no setting {'.'.join(names)!r}." + (f" Did you mean {near!r}?" if near else "")


def _unknown_at(names: Names, known: Mapping[Names, Any], where: str) -> str | None:
    if _kind(names, known) is not None:
        return None
    near = _nearest(names, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{where}: there is no setting {'.'.join(names)!r}.{hint}"


def _kind(names: Names, known: Mapping[Names, Any]) -> str | None:
    """What these names are: group, list, free (an object, or inside one) or value; None where nothing is so named."""
    for length in range(len(names), 0, -1):
        if (annotation := known.get(names[:length])) is not None:
            origin = typing.get_origin(annotation)
            if length < len(names) or origin is dict:
                return "free" if origin is dict else None
            return "list" if origin is list else "value"
    return "group" if any(k[: len(names)] == names for k in known) else None


def _named_by_file(names: Names, known: Mapping[Names, Any]) -> Names | None:
    base = (*names[:-1], names[-1].removesuffix("_file"))
    if base == names or names in known:
        return None
    kind = _kind(base, known)
    if kind == "free":  # an engine's own options: only secrets, a `..._file` of its own is left to it
        return base if is_secret_name(base[-1]) else None
    return base if kind in ("list", "value") else None


def _nearest(names: Names, known: Mapping[Names, Any]) -> str | None:
    """The dotted name most like these: in the same group, else the same name elsewhere, else one spelt alike."""
    every = {k[:n] for k in known for n in range(1, len(k) + 1)}
    siblings = {k[-1]: ".".join(k) for k in every if k[:-1] == names[:-1]}
    if close := difflib.get_close_matches(names[-1], siblings, 1, 0.7):
        return siblings[close[0]]
    if elsewhere := sorted(".".join(k) for k in known if k[-1] == names[-1]):
        return elsewhere[0]
    spelt = difflib.get_close_matches(".".join(names), sorted(".".join(k) for k in every), 1, 0.75)
    return spelt[0] if spelt else None


def _parse(text: str, names: Names, known: Mapping[Names, Any], variable: str) -> Any:
    kind = _kind(names, known)
    whole = kind == "group" or (kind == "free" and names in known)
    if whole or (kind in ("list", "free") and text[0] in "[{"):
        try:
            return json.loads(text)
        except ValueError:
            raise ConfigError(f"{variable}: this is not JSON.") from None
    if kind == "list":
        return [item.strip() for item in text.replace("\n", ",").split(",") if item.strip()]
    return text


def _put(values: dict[str, Any], names: Names, value: Any, variable: str) -> None:
    for name in names[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{variable}: another variable sets {name!r} as a plain value.")
    values[names[-1]] = value  # variables are read in order: a whole group comes before what is in it


def _lines(root: yaml.Node, path: Path) -> Iterator[tuple[Names, int]]:
    """Every name in the file with its line, each once (an alias may make a node its own child)."""
    open_nodes: list[tuple[yaml.Node, Names]] = [(root, ())]
    seen: set[int] = set()
    while open_nodes:
        node, above = open_nodes.pop()
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        here: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in here:
                raise ConfigError(f"{path}, line {line}: {'.'.join((*above, name))!r} is set twice.")
            here.add(name)
            yield (*above, name), line
            open_nodes.append((value, (*above, name)))
