"""The settings of a session in bodies and answers, made from `SessionSpec`: its fields are flat, among the others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field, create_model, model_validator
from pydantic.fields import FieldInfo

from joyvl_server.api.schemas.common import PatchModel, RequestModel, ResponseModel, without_default
from joyvl_server.sessions.spec import SessionSpec, check_zone_names, is_marked
from joyvl_server.settings import SessionSettings, Settings

M = TypeVar("M", bound=BaseModel)


class SettingsRequest(RequestModel):
    """A body with the fields of `SessionSpec`; `with_settings` adds them."""

    @model_validator(mode="after")
    def _zones_fit(self) -> Self:
        check_zone_names(getattr(self, "zones", None) or ())
        return self

    def spec(self) -> SessionSpec:
        names = SessionSpec.model_fields.keys() & type(self).model_fields.keys()
        return SessionSpec.model_construct(**{name: getattr(self, name) for name in names})


class SettingsPatch(SettingsRequest, PatchModel):
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
    if not issubclass(model, RequestModel):  # an answer holds every field
        return FieldInfo(title=field.title, description=field.description, json_schema_extra=field.json_schema_extra)
    own = copy.copy(field)
    if issubclass(model, PatchModel) and not takes_null(field):
        own.default, own.json_schema_extra = None, without_default
    return own


def takes_null(field: FieldInfo) -> bool:
    return get_origin(field.annotation) in (Union, UnionType) and NoneType in get_args(field.annotation)


class ChoiceOut(ResponseModel):
    value: str | int
    title: str
    description: str


class SettingOut(ResponseModel):
    name: str = Field(description="Its name in the bodies of cameras, calls and sessions.", examples=["threshold"])
    title: str
    description: str
    type: Literal["choice", "number", "integer", "boolean", "string", "array", "object"]
    choices: list[ChoiceOut] | None = Field(description="The values it may have; null: any of its type.")
    minimum: float | None
    maximum: float | None
    default: Any = Field(description="The value in force where it is null.")
    reopens: bool = Field(description="A change begins a new session.")
    camera_only: bool = Field(description="Calls do not have it.")


class SettingsOut(ResponseModel):
    data: list[SettingOut]
    next: str | None


def described(settings: Settings) -> list[dict[str, Any]]:
    """Every field of `SessionSpec` as `SettingOut` shows it."""
    properties = SessionSpec.model_json_schema()["properties"]
    return [_described(name, properties[name], settings) for name in properties]


def _described(name: str, shown: dict[str, Any], settings: Settings) -> dict[str, Any]:
    shape = next((one for one in shown.get("anyOf", ()) if one.get("type") != "null"), shown)
    values, words = shape.get("enum"), shown.get("x-choices", {})
    default = settings.engine.name if name == "engine" else getattr(settings.sessions, name, shown.get("default"))
    return {
        "name": name,
        "title": shown["title"],
        "description": shown.get("description", ""),
        "type": "choice" if values else shape.get("type", "object"),
        "choices": values
        and [
            {"value": value, "title": str(value).capitalize(), "description": words.get(str(value), "")}
            for value in values
        ],
        "minimum": shape.get("minimum"),
        "maximum": shape.get("maximum"),
        "default": default,
        "reopens": bool(shown.get("x-reopens")),
        "camera_only": bool(shown.get("x-camera-only")),
    }
