"""`joyvl config`: what the settings are, whether a file of them is right, what they may be."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from joyvl_server.cli.agents.config_check import check_agents
from joyvl_server.cli.part_names import check_part_names
from joyvl_server.cli.upkeep.settings_checks import check_engines, check_files, check_memory, check_speech
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.masking import MASK, is_secret_name, mask_text
from joyvl_server.settings import ENV_PREFIX, Settings, check_listen, load

app = typer.Typer(help="Show, check and describe the settings.", no_args_is_help=True)

SHOWN_DEFAULTS = {"data_dir": "~/.local/share/joyvl"}
"""Defaults that depend on the machine, as the reference shows them."""
_BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}

_YAML_HEAD = """\
# Every setting of joyvl-server, with its default. Copy what you change into your own file and name that file with
# `joyvl serve --config FILE` or JOYVL_CONFIG. Flags win over environment variables (JOYVL_SERVER__PORT=8100), and
# these over the file. Append _FILE to read a value from a file (JOYVL_SERVER__API_KEYS_FILE=/run/secrets/keys).
"""
_SESSION_HEAD = """## Settings of one session

A camera, a call or a running session may have its own value of these: in `POST` and `PATCH /v1/cameras`, in the
`session` of a call and, where a change needs no new session, in `PATCH /v1/sessions/{session_id}`. Zones belong to
cameras. Null is the server's value. `GET /v1/session-settings`
describes them for programs. They are the fields of `SessionSpec` in joyvl_server/sessions/spec.py.
"""
_SESSION_PLUGINS = """\
### Settings of your own

An installed package may add settings: each entry of the entry-point group `joyvl.session_settings` names a pydantic
model whose fields join these, in REST, on the page, in the database and here. Each field has a default, and its bounds
in its annotation; `json_schema_extra={"x-reopens": True}` says that a change needs a new session. A [sink](sinks.md)
reads the value from `context.session.describe()`. While a package is missing, its values stay in the database.

```toml
[project.entry-points."joyvl.session_settings"]
siren = "my_package.siren:SirenSettings"
```

```python
class SirenSettings(BaseModel):
    siren_s: Annotated[float, Field(ge=1, le=60)] | None = Field(None, title="Siren", description="Seconds of sound.")
```
"""
_REFERENCE_HEAD = """\
# Settings

<!-- Made by `joyvl config reference` from joyvl_server/settings; don't edit it by hand. -->

The order of precedence is: flags, environment variables, one YAML file (`--config FILE` or `JOYVL_CONFIG`), these
defaults. [configs/joyvl.yaml](../../configs/joyvl.yaml) holds every setting with its default. What the REST API creates
(cameras, watches) is in the database, never in that file.

Environment variables begin with `JOYVL_`; two underscores join nested names: `JOYVL_SERVER__PORT=8100`. Write lists
with commas, or as JSON. Append `_FILE` to read the value from a file, for example a secret:
`JOYVL_SERVER__API_KEYS_FILE=/run/secrets/keys`, one key on each line. An empty variable counts as not set. All
mistyped names are told at once, each with the nearest known one. Options of engines:
`JOYVL_ENGINE__OPTIONS__OPENAI__BASE_URL=…`.

`joyvl config show` prints the effective settings with secrets as `***` (`--defaults`: all defaults, annotated),
`joyvl config check FILE` checks a file, `joyvl config schema` prints a JSON schema for editors.

A running server reads its settings again on `joyvl config reload`, `POST /v1/reload` or SIGHUP. It takes over at once
`log.level`, `log.format`, `timeline.max_gb`, `timeline.days`, `memory.days`, `memory.max_memories`,
`sessions.max_sessions` and the settings of `sessions` that cameras may have of their own (below); what is set for a
camera stays. All others it names: they need a restart. A mistake changes nothing.
"""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Show every default, annotated, instead.")] = False,
) -> None:
    """Print the effective settings as YAML, secrets as ***."""
    if defaults:
        typer.echo(annotated_yaml(), nl=False)
        return
    settings = _load(config)
    typer.echo(yaml.safe_dump(shown(settings), sort_keys=False, allow_unicode=True, width=1000), nl=False)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="YAML file with settings.")]) -> None:
    """Check a settings file, together with the environment, as the server would read it."""
    settings = _load(file)
    try:
        check_listen(settings)
        check_part_names(settings)
        check_engines(settings)
        check_speech(settings)
        check_memory(settings)
        warnings = [*check_files(settings), *check_agents(settings)]
    except ConfigError as error:
        _refuse(error)
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)
    typer.echo(f"{file} is correct.")


@app.command()
def schema() -> None:
    """Print the settings as a JSON schema."""
    typer.echo(json.dumps(Settings.model_json_schema(), indent=2, ensure_ascii=False))


@app.command(hidden=True)
def reference() -> None:
    """Print docs/reference/settings.md."""
    typer.echo(reference_markdown(), nl=False)


def shown(value: Any, name: str = "") -> Any:
    """Settings, or a part of them, as plain values for people: no secret is left in them."""
    if isinstance(value, BaseModel):
        return {key: shown(getattr(value, key), key) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): shown(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item, name) for item in value]
    if isinstance(value, SecretStr) or (is_secret_name(name) and value is not None):
        return MASK
    if isinstance(value, (str, Path)):
        return mask_text(str(value))
    return value


def annotated_yaml() -> str:
    """`configs/joyvl.yaml`: every setting with its description and default."""
    blocks = [_YAML_HEAD]
    for name, info in Settings.model_fields.items():
        if group := _group(info):
            lines = [f"# {info.description}", f"{name}:"]
            for inner, inner_info in group.model_fields.items():
                lines += [f"  {line}" for line in _annotated(inner, inner_info)]
        else:
            lines = _annotated(name, info)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def reference_markdown() -> str:
    """`docs/reference/settings.md`: a table for each group."""
    blocks = [_REFERENCE_HEAD]
    plain = {name: info for name, info in Settings.model_fields.items() if not _group(info)}
    blocks.append("## General\n\n" + _table("", plain))
    for name, info in Settings.model_fields.items():
        if group := _group(info):
            blocks.append(f"## `{name}`\n\n{info.description}\n\n" + _table(f"{name}.", group.model_fields))
    blocks += [_SESSION_HEAD + "\n" + _session_table(), _SESSION_PLUGINS]
    return "\n".join(blocks)


def _table(prefix: str, fields: Mapping[str, FieldInfo]) -> str:
    rows = ["| setting | default | values | what it is |", "|---|---|---|---|"]
    for name, info in fields.items():
        default = _yaml_value(_default(name, info))
        variable = ENV_PREFIX + (prefix + name).upper().replace(".", "__")
        cells = [f"`{prefix}{name}`<br>`{variable}`", f"`{default}`", _values(info), info.description or ""]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _session_table() -> str:
    from joyvl_server.api.schemas.settings import described

    rows = ["| setting | values | what it is |", "|---|---|---|"]
    for setting in described(Settings()):
        cells = [f"`{setting['name']}`", _session_values(setting), _session_words(setting)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _session_values(setting: dict[str, Any]) -> str:
    if setting["choices"]:
        return "one of: " + ", ".join(str(choice["value"]) for choice in setting["choices"])
    names = {"integer": "whole number", "boolean": "true or false", "string": "text", "array": "list"}
    bounds = {"from": setting["minimum"], "to": setting["maximum"]}
    named = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    return " ".join([names.get(setting["type"], setting["type"]), *named])


def _session_words(setting: dict[str, Any]) -> str:
    choices = [f"`{c['value']}`: {c['description']}" for c in setting["choices"] or () if c["description"]]
    notes = ["Only cameras have it."] if setting["camera_only"] else []
    notes += ["A change begins a new session."] if setting["reopens"] else []
    return " ".join([setting["description"], *choices, *notes])


def _annotated(name: str, info: FieldInfo) -> list[str]:
    comment = textwrap.wrap(f"{info.description} ({_values(info)})", 110, break_on_hyphens=False)
    return [*(f"# {line}" for line in comment), f"{name}: {_yaml_value(_default(name, info))}"]


def _default(name: str, info: FieldInfo) -> Any:
    return SHOWN_DEFAULTS[name] if name in SHOWN_DEFAULTS else info.get_default(call_default_factory=True)


def _yaml_value(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000)
    return text.removesuffix("...\n").strip()


def _values(info: FieldInfo) -> str:
    """What may be written: `number from 0 to 1`, `one of: a, b`."""
    bounds = [
        text.format(bound)
        for limit in info.metadata
        for key, text in _BOUNDS.items()
        if (bound := getattr(limit, key, None)) is not None
    ]
    return " ".join([_type(info.annotation), *bounds])


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return "one of: " + ", ".join(map(str, arguments))
    if origin is list:
        return "list of " + _type(arguments[0]).removeprefix("one of: ")
    if origin is dict:
        return "object"
    if type(None) in arguments:
        return f"{_type(arguments[0])} or null"
    names = {bool: "true or false", int: "whole number", float: "number", Path: "path", SecretStr: "secret"}
    return names.get(annotation, "text")


def _group(info: FieldInfo) -> type[BaseModel] | None:
    annotation = info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _load(config: Path | None) -> Settings:
    try:
        return load(config)
    except ConfigError as error:
        _refuse(error)


def _refuse(error: ConfigError) -> typing.NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(2) from None
