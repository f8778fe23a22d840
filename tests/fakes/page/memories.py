"""What the server of `page.server` remembers."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fakes.page.shapes import rfc3339


@dataclass
class MemoryBook:
    """All memories of a world, oldest first."""

    memories: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """how lists were asked for"""
    by_meaning: bool = True
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, text: str, kind: str = "summary", *, ago_s: float = 0.0, **more: Any) -> dict[str, Any]:
        """One more, of the first camera unless `more` says otherwise."""
        wall = time.time() - ago_s
        memory = {
            "id": f"mem_{next(self._ids):026d}",
            "collection": "cam_1",
            "camera_id": "cam_1",
            "session_id": "ses_1",
            "kind": kind,
            "text": text,
            "at": rfc3339(wall),
            "wall": wall,
            "until": rfc3339(wall),
            "kept": kind == "fact",
            "event_id": None,
            "picture_url": None,
            "source": "engine",
            "score": None,
            **more,
        }
        self.memories[memory["id"]] = memory
        return memory

    def page(self, limit: int, after: str | None, query: str | None, **wanted: Any) -> dict[str, Any]:
        """Newest first; all words of the query have to be in the text."""
        self.asked.append({"query": query, **wanted})
        given = {name: value for name, value in wanted.items() if value and name != "by"}
        found = [m for m in reversed(self.memories.values()) if all(m[name] == value for name, value in given.items())]
        found = [m for m in found if all(word in m["text"].lower() for word in (query or "").lower().split())]
        found = [m for m in found if after is None or m["id"] < after]
        return {"data": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}

    def collections(self) -> list[dict[str, Any]]:
        counts = Counter(memory["collection"] for memory in self.memories.values())
        return [{"collection": name, "count": count} for name, count in counts.items()]
