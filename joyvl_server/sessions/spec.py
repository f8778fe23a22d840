"""What a session may be told to do differently from the server's settings: the one definition of each such setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from joyvl_server.core.config import Fidelity
from joyvl_server.core.watches.zones import Zone
from joyvl_server.sessions.spec_plugins import with_plugins
from joyvl_server.settings import SessionSettings
from joyvl_server.settings.values import Listen, SpokenLanguage, VoiceName, WakeWordText

MAX_ZONES = 32


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("not_printable", "A name is one line of characters that can be shown.")
    return text


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(_one_line)]
MemoryOf = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=140, pattern=r"^(?:user|browser):[\w.@+\- ]{1,128}$")
]
Share = Annotated[float, Field(ge=0, le=1)]
"""0 to 1: a probability, or a part of the picture's width or height."""
Threshold = Annotated[float, Field(ge=0, le=1, description="Speak when the score reaches this, 0 to 1.")]
EngineName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_.\-]+$")]
Point = Annotated[list[Share], Field(min_length=2, max_length=2, description="[x, y]; x to the right, y down.")]


class ZoneIn(BaseModel):
    """A zone as clients send it and as it is stored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Name
    points: list[Point] = Field(min_length=3, max_length=64)

    def to_zone(self) -> Zone:
        return Zone(self.name, tuple((x, y) for x, y in self.points))


def zone_data(zone: Zone) -> dict[str, Any]:
    """A zone as JSON."""
    return {"name": zone.name, "points": [list(point) for point in zone.points]}


def _zones_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    read = handler.generate_schema(Annotated[list[ZoneIn], Field(max_length=MAX_ZONES)])
    return core_schema.no_info_after_validator_function(lambda zones: tuple(z.to_zone() for z in zones), read)


def _zones_data(zones: Any) -> Any:
    return [zone_data(zone) for zone in zones] if isinstance(zones, tuple) else zones


Zones = Annotated[
    tuple[Zone, ...],
    GetPydanticSchema(_zones_schema),
    BeforeValidator(_zones_data, json_schema_input_type=list[ZoneIn]),
    PlainSerializer(_zones_data),
]


def check_zone_names(zones: Iterable[Zone]) -> None:
    names = [zone.name for zone in zones]
    if len(names) > len(set(names)):
        raise PydanticCustomError("zone_twice", "zones: two zones have the same name.")


def setting(
    title: str,
    description: str,
    *,
    choices: Mapping[str, str] | None = None,
    reopens: bool = False,
    camera_only: bool = False,
) -> dict[str, Any]:
    """Arguments of a field: what the page calls it and says about it.

    `choices`: what each value means. `reopens`: a change needs a new session. `camera_only`: calls do not have it.
    """
    marks = {"x-choices": choices, "x-reopens": reopens, "x-camera-only": camera_only}
    return {
        "title": title,
        "description": description,
        "json_schema_extra": {mark: value for mark, value in marks.items() if value},
    }


class SessionSpec(BaseModel):
    """The settings of one session: ours and those of installed packages. None is the value of the server's settings.

    REST, the camera's row, the page's form and the reference are made from these fields.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    engine: EngineName | None = Field(None, **setting("Engine", "The engine that decides.", reopens=True))
    threshold: Threshold | None = Field(
        None, **setting("Threshold", "Speak when the score reaches this; lower is more talkative.")
    )
    fidelity: Fidelity | None = Field(
        None,
        **setting(
            "Pictures",
            "What frames may cost.",
            choices={
                "faithful": "Every picture in full, once a second.",
                "adaptive": "In full where much changed, small where little changed.",
                "eco": "Like adaptive, with fewer looks while nothing moves.",
            },
        ),
    )
    frames_per_tick: Literal[1, 2, 4] | None = Field(
        None,
        **setting(
            "Frames per decision",
            "Frames of one second in a decision.",
            choices={
                "1": "The newest frame.",
                "2": "For fast scenes; each frame costs as much as a look.",
                "4": "For fast scenes; each frame costs as much as a look.",
            },
        ),
    )
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] | None = Field(
        None,
        **setting("Cooldown in seconds", "Seconds after a remark in which the session says nothing of the same kind."),
    )
    delegation: bool | None = Field(
        None, **setting("Delegation", "May it hand questions over to agents, or answers all by itself.")
    )
    voice: VoiceName | None = Field(
        None,
        **setting(
            "Voice",
            "What it speaks with: auto, off, browser, an engine like piper, or an engine and a voice like "
            "piper:en_US-joe-medium.",
        ),
    )
    listen: Listen | None = Field(
        None,
        **setting(
            "Listening",
            "Whether what is said is taken like a typed sentence.",
            choices={
                "auto": "Always in calls, never for cameras and files.",
                "open": "Always.",
                "push_to_talk": "While the button is held.",
                "off": "Never.",
            },
        ),
    )
    wake_word: WakeWordText | None = Field(
        None, **setting("Wake word", "Only sentences that begin with it are taken; empty: every sentence.")
    )
    speech_language: SpokenLanguage | None = Field(
        None, **setting("Spoken language", "The language that is spoken to it, like en or zh; auto: found out once.")
    )
    memory_of: MemoryOf | None = Field(
        None,
        **setting(
            "Memory of",
            "Of whom a call remembers, like user:anna or browser: and an id of its own: the next call of the same one "
            "knows what was said in this one. A camera remembers for itself.",
            reopens=True,
        ),
    )
    zones: Zones = Field((), **setting("Zones", "The named parts of the picture.", camera_only=True))

    @model_validator(mode="after")
    def _check_zones(self) -> Self:
        check_zone_names(self.zones)
        return self

    def resolved(self, settings: SessionSettings) -> SessionSettings:
        """The server's settings with this session's in their place: no value is None."""
        names = type(self).model_fields.keys() & type(settings).model_fields.keys()
        given = {name: getattr(self, name) for name in names}
        return settings.model_copy(update={name: value for name, value in given.items() if value is not None})

    def shown(self, settings: SessionSettings) -> dict[str, Any]:
        """Every setting as JSON, as it is in force: `settings` are the resolved ones."""
        own = self.model_dump(mode="json")
        return {name: getattr(settings, name) if name in type(settings).model_fields else own[name] for name in own}

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """With these fields in place of its own; they are valid already."""
        return self.model_copy(update=changes)


if TYPE_CHECKING:
    PLUGIN_FAULTS: tuple[str, ...]
    """a sentence for each package whose settings are left out"""
else:
    SessionSpec, PLUGIN_FAULTS = with_plugins(SessionSpec)


def is_marked(field: FieldInfo, mark: str) -> bool:
    """Is it marked so by `setting`: `reopens`, `camera-only`?"""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get(f"x-{mark}"))
