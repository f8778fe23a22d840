"""The settings of a session in bodies and answers, made from `SessionSpec`: its fields stand flat beside the others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, create_model, model_validator
from pydantic.fields import FieldInfo

from joyvl_server.api.schemas.common import Input, Patch, without_default
from joyvl_server.sessions.spec import SessionSpec, check_zone_names, is_marked
from joyvl_server.settings import SessionSettings

M = TypeVar("M", bound=BaseModel)


class SettingsInput(Input):
    """A body with the fields of `SessionSpec`; `with_settings` adds them."""

    @model_validator(mode="after")
    def _zones_fit(self) -> Self:
        check_zone_names(getattr(self, "zones", None) or ())
        return self

    def spec(self) -> SessionSpec:
        names = SessionSpec.model_fields.keys() & type(self).model_fields.keys()
        return SessionSpec.model_construct(**{name: getattr(self, name) for name in names})


class SettingsPatch(SettingsInput, Patch):
    """Fields left out stay as they are."""


def with_settings(*, live: bool = False, camera: bool = True, resolved: bool = False) -> Callable[[type[M]], type[M]]:
    """Add the fields of `SessionSpec` that a model does not have of its own.

    `live`: only those that need no new session. `camera`: also those that only cameras have. `resolved`: the values of
    the server's settings stand in place of null.
    """

    def add(model: type[M]) -> type[M]:
        fields: dict[str, Any] = {}
        for name, field in SessionSpec.model_fields.items():
            left_out = (live and is_marked(field, "reopens")) or (not camera and is_marked(field, "camera-only"))
            if name not in model.model_fields and not left_out:
                shape: Any = field.annotation
                if resolved and name in SessionSettings.model_fields:
                    shape = Union[tuple(t for t in get_args(shape) if t is not NoneType)]  # noqa: UP007
                fields[name] = (shape, _field_of(model, field))
        words = model.__doc__
        return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=words, **fields)

    return add


def _field_of(model: type[BaseModel], field: FieldInfo) -> FieldInfo:
    if not issubclass(model, Input):  # an answer holds every field
        return FieldInfo(title=field.title, description=field.description, json_schema_extra=field.json_schema_extra)
    own = copy.copy(field)
    if issubclass(model, Patch) and not takes_null(field):
        own.default, own.json_schema_extra = None, without_default
    return own


def takes_null(field: FieldInfo) -> bool:
    return get_origin(field.annotation) in (Union, UnionType) and NoneType in get_args(field.annotation)
