"""What a memory is in the record, and by what memories are chosen."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

MemoryKind = Literal["summary", "block", "said", "heard", "watch_fired", "task", "fact"]
KINDS: tuple[str, ...] = get_args(MemoryKind)
DAY_S = 86_400
MAX_PAGE = 1000


def day_of(wall: float) -> int:
    """Days since 1970, in UTC whatever the zone: it only sorts memories into buckets."""
    return int(wall // DAY_S)


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """`collection`: the id of a camera, or `user:NAME` or `browser:ID` for calls. `t`: stream seconds at which it
    begins, None where it has none (a fact); `wall` to `until_wall`: the same in Unix seconds. `kept`: retention leaves
    it. `event_id`: the event with its picture. `source`: in words, where it comes from."""

    id: str
    collection: str
    camera_id: str | None
    session_id: str | None
    kind: str
    text: str
    t: float | None
    wall: float
    until_wall: float
    kept: bool
    event_id: str | None
    source: str
    created_wall: float
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def day(self) -> int:
        return day_of(self.wall)


@dataclass(frozen=True, slots=True)
class MemoryFilter:
    """All that match every filter given. `since` (included) and `until` (left out): Unix seconds; a memory matches
    where any part of it lies between them. `words`: each of them, in any form."""

    ids: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    camera_id: str | None = None
    session_id: str | None = None
    kinds: tuple[str, ...] = ()
    kept: bool | None = None
    since: float | None = None
    until: float | None = None
    event_ids: tuple[str, ...] = ()
    words: str = ""
    but_session_id: str | None = None
    """none of this session"""
    cameras: tuple[str, ...] = ()
    """of one of these; nothing is forgotten by it"""

    def clauses(self) -> tuple[str, list[object]]:
        """The conditions joined by AND, empty where there are none, and their values; `words` left out."""
        found: list[str] = []
        values: list[object] = []
        for column, several in (
            ("id", self.ids),
            ("collection", self.collections),
            ("kind", self.kinds),
            ("event_id", self.event_ids),
            ("camera_id", self.cameras),
        ):
            if several:
                found.append(f"{column} IN ({','.join('?' * len(several))})")
                values += several
        for clause, value in (
            ("camera_id = ?", self.camera_id),
            ("session_id = ?", self.session_id),
            ("session_id IS NOT ?", self.but_session_id),
            ("kept = ?", self.kept),
            ("until_wall >= ?", self.since),
            ("wall < ?", self.until),
        ):
            if value is not None:
                found.append(clause)
                values.append(value)
        return " AND ".join(found), values


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """`oldest` and `newest`: Unix seconds."""

    collection: str
    camera_id: str | None
    count: int
    oldest: float
    newest: float


COLUMNS = (
    "id", "collection", "camera_id", "session_id", "kind", "text", "t", "wall", "until_wall", "day", "kept", "event_id",
    "source", "created_wall", "data",
)  # fmt: skip


def values_of(memory: MemoryRecord) -> tuple[object, ...]:
    """In the order of `COLUMNS`."""
    values = {name: getattr(memory, name) for name in COLUMNS}
    values["data"] = json.dumps(memory.data, ensure_ascii=False, default=str)
    return tuple(values.values())


def record_of(row: sqlite3.Row) -> MemoryRecord:
    values = {name: row[name] for name in COLUMNS if name != "day"}
    return MemoryRecord(**{**values, "kept": bool(row["kept"]), "data": json.loads(row["data"])})


def place_token(collection: str) -> str:
    """One word that stands for a collection in the index of words."""
    return "c" + hashlib.blake2b(collection.encode(errors="replace"), digest_size=8).hexdigest()
