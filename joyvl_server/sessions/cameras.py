"""What clients ask of cameras and calls, what is kept of a camera, and what clients get to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from pydantic import ValidationError

from joyvl_server.ingest.base import PullSpec, SourceState
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.spec import SessionSpec, is_marked
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.cameras import CameraRecord

log = structlog.get_logger(__name__)

REOPENS = ("url", "enabled", "loop", "speed")
"""Fields of a record whose change needs a new session; `SessionSpec` marks its own."""


@dataclass(frozen=True, slots=True)
class CameraDraft:
    name: str
    url: str
    enabled: bool = True
    loop: bool = False
    speed: float = 1.0
    spec: SessionSpec = field(default_factory=SessionSpec)
    watches: tuple[WatchDraft, ...] = ()

    def camera(self, wall: float) -> Camera:
        """A new camera with new ids, created at `wall` (Unix seconds)."""
        record = CameraRecord(
            id=new_id("cam"),
            name=self.name,
            url=self.url,
            enabled=self.enabled,
            loop=self.loop,
            speed=self.speed,
            session_id=new_id("ses"),
            created_wall=wall,
            updated_wall=wall,
            spec=_text(self.spec, {}),
        )
        return Camera(record, self.spec)


@dataclass(frozen=True, slots=True)
class Camera:
    """A registered camera: its row and the session settings in it.

    `unread`: settings in the row that this server cannot use. They stay in the row, whatever else is changed.
    """

    record: CameraRecord
    spec: SessionSpec
    unread: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, record: CameraRecord) -> Camera:
        """What cannot be used counts as not set, and is logged."""
        try:
            given = json.loads(record.spec)
            if not isinstance(given, dict):
                raise ValueError("it is no JSON object")
        except (ValueError, RecursionError) as error:
            log.error("settings of a camera are damaged: the server's are used", camera=record.name, error=str(error))
            return cls(record, SessionSpec())
        spec, unread, faults = _valid(given)
        if faults:
            log.error("settings of a camera cannot be used: the server's are used", camera=record.name, errors=faults)
        unknown = sorted(unread.keys() - faults.keys())
        if unknown:
            log.warning("settings of a camera are not known here: they are kept", camera=record.name, settings=unknown)
        return cls(record, spec, unread)

    def changed(self, changes: Mapping[str, Any], wall: float) -> Camera:
        """With these fields of its record and of its spec in place of its own. They are valid already."""
        settings = {name: value for name, value in changes.items() if name in SessionSpec.model_fields}
        fields = {name: value for name, value in changes.items() if name not in settings}
        spec = self.spec.changed(settings)
        unread = {name: value for name, value in self.unread.items() if name not in settings}
        text = _text(spec, unread) if settings else self.record.spec
        return Camera(replace(self.record, **fields, spec=text, updated_wall=wall), spec, unread)

    def reopens(self, before: Camera) -> bool:
        """Does it need another session than it had `before`?"""
        settings = (name for name, about in SessionSpec.model_fields.items() if is_marked(about, "reopens"))
        return any(getattr(self.record, name) != getattr(before.record, name) for name in REOPENS) or any(
            getattr(self.spec, name) != getattr(before.spec, name) for name in settings
        )

    @property
    def source(self) -> PullSpec:
        return PullSpec(self.record.url, loop=self.record.loop, speed=self.record.speed)


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera as stored and, while it is enabled, the state of its source."""

    record: CameraRecord
    spec: SessionSpec
    state: SourceState | None


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    session_id: str
    answer_sdp: str
    created_wall: float


def _text(spec: SessionSpec, unread: Mapping[str, Any]) -> str:
    return json.dumps({**unread, **spec.model_dump(mode="json", exclude_defaults=True)}, ensure_ascii=False)


def _valid(given: dict[str, Any]) -> tuple[SessionSpec, dict[str, Any], dict[str, str]]:
    """(the spec of what can be used, what cannot, why not by name where the name is known)."""
    known = {name: value for name, value in given.items() if name in SessionSpec.model_fields}
    faults: dict[str, str] = {}
    while True:
        try:
            spec = SessionSpec.model_validate_json(json.dumps(known))
        except ValidationError as error:
            for mistake in error.errors(include_url=False, include_input=False):
                name = str(mistake["loc"][0]) if mistake["loc"] else "zones"
                if name in faults:
                    continue
                if name not in known:  # it cannot be read at all, and says of no field why
                    faults |= dict.fromkeys(known, mistake["msg"])
                    known.clear()
                    break
                faults[name] = mistake["msg"]
                del known[name]
        else:
            return spec, {name: value for name, value in given.items() if name not in known}, faults
