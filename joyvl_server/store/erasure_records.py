"""What is to be forgotten, as it is written down before anything is deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Past:
    """A time of one camera or of some sessions, or of all: `since` (included) to `until` (left out), Unix seconds."""

    since: float
    until: float
    camera_id: str | None = None
    sessions: tuple[str, ...] | None = None
    """None: any"""
    open: bool = False
    """Whatever is there now, though the clock may have been ahead. Not so where a kill interrupted it."""

    def clauses(self, wall: str = "wall", camera: str = "camera_id") -> tuple[str, list[object]]:
        """The conditions for a table with these columns and `session_id`, and their values."""
        found, values = [f"{wall} >= ?", f"{wall} < ?"], [self.since, self.until]
        bound: list[object] = [*values]
        if self.camera_id is not None:
            found.append(f"{camera} = ?")
            bound.append(self.camera_id)
        if self.sessions is not None:
            found.append("session_id IN (SELECT value FROM json_each(?))")
            bound.append(json.dumps(self.sessions))
        return " AND ".join(found), bound


@dataclass(frozen=True, slots=True)
class ErasedEvent:
    """What finds the traces of an event elsewhere. `epoch`: of the remark that it is."""

    id: str
    session_id: str
    camera_id: str | None
    wall: float
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class ErasureScope:
    """`past`: all of a time; else these memories and events, and what tells the same."""

    past: Past | None = None
    memories: tuple[str, ...] = ()
    events: tuple[ErasedEvent, ...] = ()
    tasks: tuple[str, ...] = ()
    accounts: tuple[Past, ...] = ()
    """times whose summaries are forgotten: none of them is taken any more"""
    sessions: tuple[str, ...] | None = None
    """of the past: those whose ticks have words; None: any"""

    def to_json(self) -> str:
        return json.dumps(
            {
                "past": None if self.past is None else _past_json(self.past),
                "memories": self.memories,
                "events": [[e.id, e.session_id, e.camera_id, e.wall, e.epoch] for e in self.events],
                "tasks": self.tasks,
                "sessions": self.sessions,
                "accounts": [_past_json(past) for past in self.accounts],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ErasureScope:
        told = json.loads(text)
        past = told["past"]
        return cls(
            None if past is None else _past(past),
            tuple(told["memories"]),
            tuple(ErasedEvent(*event) for event in told["events"]),
            tuple(told["tasks"]),
            tuple(_past(account) for account in told.get("accounts", ())),
            None if told["sessions"] is None else tuple(told["sessions"]),
        )


def _past_json(past: Past) -> list[object]:
    return [past.since, past.until, past.camera_id, past.sessions]


def _past(told: Sequence[Any]) -> Past:
    return Past(told[0], told[1], told[2], None if told[3] is None else tuple(told[3]))
