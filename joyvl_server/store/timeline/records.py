"""An event of the timeline, and which of them are wanted."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

EventType = Literal[
    "spoke",
    "delegated",
    "watch_fired",
    "camera_online",
    "camera_offline",
    "engine_online",
    "engine_offline",
    "query_asked",
    "query_closed",
    "session_started",
    "session_ended",
    "task",
    "heard",
    "played",
    "cut_off",
]
TYPES: tuple[str, ...] = get_args(EventType)
REMARKS = ("spoke", "watch_fired", "delegated")
"""what was said by itself or handed over: these have pictures and clips"""

ClipState = Literal["none", "recording", "ready", "failed", "deleted"]
CLIP_STATES: tuple[str, ...] = get_args(ClipState)

COLUMNS = "seq, id, session_id, camera_id, type, t, wall, text, data, kept, picture, clip, clip_reason, clip_before_s"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """`t` is stream seconds, `wall` the same moment in Unix seconds. `id` is time-sortable and orders the timeline.

    A remark is one event: `watch_fired` where it is about watches, whose ids are `data["watches"]`; else `spoke` or
    `delegated`.
    """

    id: str
    session_id: str
    camera_id: str | None
    type: str
    t: float
    wall: float
    text: str
    data: dict[str, Any]
    kept: bool = False
    """it stays where the oldest must go"""
    picture: bool = False
    """there is a picture of it, or there will be in a moment"""
    clip: ClipState = "none"
    clip_reason: str = ""
    """a sentence: why there is no clip"""
    clip_before_s: float | None = None
    """seconds that a ready clip shows before the event"""
    seq: int = field(default=0, compare=False)
    """grows with every event that is written, in the order of writing; 0 before that"""

    @property
    def cursor(self) -> str:
        """Continues after it in any order, though it is deleted meanwhile. Its id does so where the order is by id."""
        return f"{self.id}~{self.seq}~{self.wall.hex()}"

    @property
    def watches(self) -> tuple[str, ...]:
        """Ids of the watches that it is about."""
        listed = self.data.get("watches") or []
        named = [self.data.get("watch_id"), *(listed if isinstance(listed, list) else [])]
        return tuple(dict.fromkeys(watch for watch in named if isinstance(watch, str)))


@dataclass(frozen=True, slots=True)
class EventCursor:
    """Where a page ends: an event that was there; None is what an id alone does not say."""

    id: str
    seq: int | None = None
    wall: float | None = None

    @classmethod
    def read(cls, text: str) -> EventCursor:
        """From `EventRecord.cursor`, or from an id alone. Raises `ValueError`, `OverflowError`."""
        id, _, rest = text.partition("~")
        if not rest:
            return cls(id)
        seq, _, wall = rest.partition("~")
        return cls(id, int(seq), float.fromhex(wall))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Events that match everything given. `since` (included) and `until` (left out) are Unix seconds."""

    words: str | None = None
    """in the text, the question or the names of watches; all of them. See `search.py`"""
    session_id: str | None = None
    camera_id: str | None = None
    types: tuple[str, ...] = ()
    """one of these; none given: any"""
    kinds: tuple[str, ...] = ()
    """the kind of happening is one of these; none given: any"""
    watch_id: str | None = None
    kept: bool | None = None
    since: float | None = None
    until: float | None = None
    ids: tuple[str, ...] | None = None
    """one of these"""
    upto: int | None = None
    """its `seq` is at most this"""
    cameras: tuple[str, ...] = ()
    """of one of these; none given: any"""

    @property
    def empty(self) -> bool:
        """It leaves out nothing."""
        return self == EventFilter()

    def of_cameras(self, cameras: tuple[str, ...]) -> EventFilter:
        """The same, of these cameras only; none given: as it is."""
        if len(cameras) == 1 and self.camera_id is None:
            return replace(self, camera_id=cameras[0])
        return replace(self, cameras=cameras)

    def matches(self, event: EventRecord) -> bool:
        """Words apart."""
        return (
            self.session_id in (None, event.session_id)
            and self.camera_id in (None, event.camera_id)
            and (not self.cameras or event.camera_id in self.cameras)
            and (not self.types or event.type in self.types)
            and (not self.kinds or event.data.get("kind") in self.kinds)
            and (self.watch_id is None or self.watch_id in event.watches)
            and self.kept in (None, event.kept)
            and (self.since is None or event.wall >= self.since)
            and (self.until is None or event.wall < self.until)
            and (self.ids is None or event.id in self.ids)
            and (self.upto is None or event.seq <= self.upto)
        )


@dataclass(frozen=True, slots=True)
class RemovedEvent:
    """An event that is deleted, or that is not taken; and whether there may be files of it."""

    id: str
    wall: float
    files: bool

    @classmethod
    def of(cls, event: EventRecord) -> RemovedEvent:
        # A disk that hung may have written a file after it was given up.
        return cls(event.id, event.wall, event.picture or event.clip != "none" or event.type in REMARKS)


def event_record(row: sqlite3.Row) -> EventRecord:
    """From a row with `COLUMNS`."""
    values = {name: row[name] for name in COLUMNS.split(", ")}
    flags = {"kept": bool(values["kept"]), "picture": bool(values["picture"])}
    return EventRecord(**{**values, **flags, "data": json.loads(values["data"])})
