"""Delegated tasks and agents of `page.server`: the paths and shapes of the API, moved by tests instead of by agents."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes.page.shapes import rfc3339

OVER = ("completed", "failed", "cancelled")
ALLOW = [
    {"id": "yes", "name": "Allow once", "kind": "allow_once"},
    {"id": "always", "name": "Always allow", "kind": "allow_always"},
    {"id": "no", "name": "Reject", "kind": "reject_once"},
]


@dataclass
class TaskBook:
    """All tasks of a world. `told`: called with each task that changed."""

    told: Callable[[dict[str, Any]], None]
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    agents: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """what the check of an agent finds, by name"""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    logs: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """lines of what agents did, by task"""
    answers: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(task, permission, option) of each answer to a permission"""
    acknowledged: list[str] = field(default_factory=list)
    """each request to acknowledge, twice is twice"""
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, question: str, *, agent: str = "opencode", ago_s: float = 0.0, **more: Any) -> dict[str, Any]:
        """One more, queued unless `more` says otherwise."""
        number = next(self._ids)
        asked = rfc3339(time.time() - ago_s)
        task = {
            "id": f"tsk_{number:026d}",
            "session_id": None,
            "camera_id": None,
            "agent": agent,
            "status": "queued",
            "origin": "user",
            "question": question,
            "note": "",
            "follows": None,
            "created_at": asked,
            "started_at": None,
            "ended_at": None,
            "digest": "",
            "error": None,
            "code": None,
            "delivered": None,
            "t": None,
            "progress": "",
            "permission": None,
            "answer": "",
            "files": [],
        }
        self.tasks[task["id"]] = task
        return self.change(task["id"], **more)

    def change(self, task_id: str, **changes: Any) -> dict[str, Any]:
        """These fields are others now; what begins and what ends gets its time."""
        task = self.tasks[task_id]
        status = changes.get("status", task["status"])
        if status != "queued" and task["started_at"] is None:
            changes.setdefault("started_at", task["created_at"])
        if status in OVER:
            changes = {"ended_at": rfc3339(time.time()), "permission": None, "progress": "", **changes}
        if changes.get("progress"):
            self.logs.setdefault(task_id, []).append({"at": rfc3339(time.time()), "text": changes["progress"]})
        task.update(changes)
        self.told(dict(task))
        return task

    def ask(self, task_id: str, title: str, detail: str = "", *, left_s: float = 90.0) -> dict[str, Any]:
        """Its agent asks for a permission."""
        until = rfc3339(time.time() + left_s)
        asked = {"id": f"prm_{next(self._ids)}", "title": title, "detail": detail, "options": ALLOW, "until": until}
        return self.change(task_id, status="waiting", permission=asked)

    def page(self, limit: int, after: str | None, **wanted: str | None) -> dict[str, Any]:
        """Newest first."""
        given = {name: value for name, value in wanted.items() if value is not None}
        found = [t for t in self.tasks.values() if all(t[name] == value for name, value in given.items())]
        found = [t for t in found[::-1] if after is None or t["id"] < after]
        outlines = [outline_of(task) for task in found[:limit]]
        return {"data": outlines, "next": found[limit - 1]["id"] if len(found) > limit else None}


def outline_of(task: dict[str, Any]) -> dict[str, Any]:
    """As lists have it."""
    sizes = {
        "answer_chars": len(task["answer"]),
        "files_count": len(task["files"]),
        "files_bytes": sum(file["bytes"] for file in task["files"]),
    }
    return {**{name: value for name, value in task.items() if name not in ("answer", "files")}, **sizes}
