"""Session settings that other packages add, through the entry-point group `joyvl.session_settings`.

Each entry names a pydantic model. Its fields become fields of `SessionSpec`: they are in REST, in a camera's row, in
the page's form and in the reference. Each field has a default, best None, and its bounds in its annotation. A package
that does not keep to this is left out as a whole.
"""

from __future__ import annotations

import copy
import re
from typing import Any, TypeVar

from pydantic import BaseModel, create_model

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.settings import SessionSettings

GROUP = "joyvl.session_settings"

RESERVED = frozenset(SessionSettings.model_fields) | {
    *("id", "kind", "type", "name", "url", "enabled", "loop", "speed", "watches", "queries", "camera_id", "session_id"),
    *("created_at", "updated_at", "state", "engine_state", "capabilities", "pressure", "last_remark"),
    *("latency", "speech"),
    # OpenAI's fields of a Realtime session
    *("audio", "include", "instructions", "max_output_tokens", "model", "output_modalities", "parallel_tool_calls"),
    *("prompt", "reasoning", "tool_choice", "tools", "tracing", "truncation"),
}
"""Names of other fields in bodies and answers, and names of the server's own settings."""

M = TypeVar("M", bound=BaseModel)


def with_plugins(own: type[M]) -> tuple[type[M], tuple[str, ...]]:
    """(`own` with the fields of every package that can be used, a sentence for each that cannot)."""
    made, faults = own, []
    for name in plugins.names(GROUP):
        try:
            made = _joined(made, name, plugins.load(GROUP, name))
        except ConfigError as error:
            faults.append(str(error))
    return made, tuple(faults)


def _joined(made: type[M], name: str, offered: object) -> type[M]:
    """Raises `ConfigError` where it cannot be used."""
    if not (isinstance(offered, type) and issubclass(offered, BaseModel) and offered.model_fields):
        raise ConfigError(f"{name!r} in {GROUP} is no pydantic model with fields.")
    for field in offered.model_fields:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", field) or field in RESERVED or hasattr(made, field):
            raise ConfigError(f"{name!r} in {GROUP} may not have a field {field!r}: that name is in use or misspelt.")
        if field in made.model_fields:
            raise ConfigError(f"{name!r} in {GROUP} has a field {field!r} that there is already.")
    try:
        fields: dict[str, Any] = {
            field: (info.annotation, copy.copy(info)) for field, info in offered.model_fields.items()
        }
        joined = create_model(made.__name__, __base__=made, __module__=made.__module__, __doc__=made.__doc__, **fields)
        joined.model_json_schema()
        if joined.model_validate_json(joined().model_dump_json()) != joined():
            raise ValueError("the defaults are not what they are after JSON")
    except (Exception, SystemExit) as error:  # somebody else's model: whatever it raises, the reason is for the user
        raise ConfigError(f"{name!r} in {GROUP} cannot be used: {type(error).__name__}: {error}") from error
    return joined
