"""What an agent tells of its work, as events: `session/update` of the protocol."""

from __future__ import annotations

from typing import Any

from joyvl_server.agents.base import AgentEvent, AgentProgress, AnswerDelta
from joyvl_server.agents.visible_text import one_line

MOST_CALLS = 500
LONGEST = 200
"""characters of a line of progress"""
KEPT_REMARK = 200
"""characters; a shorter remark between two tools ("I look into it.") is no part of the answer"""
_CALL_FIELDS = ("title", "kind", "rawInput", "content", "locations")


class SessionUpdates:
    """Of one task. What it said last, after its last tool, is its answer. `warnings`: how pieces begin that are none of
    it, though they come as such."""

    def __init__(self, warnings: tuple[str, ...] = ()) -> None:
        self._warnings = warnings
        self.current_mode: str | None = None
        self._said: list[list[str]] = [[]]
        self._thought = ""
        self._calls: dict[str, dict[str, Any]] = {}

    @property
    def answer(self) -> str:
        """Markdown. Longer remarks that it made on the way follow at the end."""
        texts = [text for pieces in self._said if (text := "".join(pieces).strip())]
        if not texts:
            return ""
        before = [text for text in texts[:-1] if len(text) >= KEPT_REMARK]
        return "\n\n".join([texts[-1], *(["---", *before] if before else [])])

    @property
    def ended_silently(self) -> bool:
        """It said nothing after its last tool."""
        return not "".join(self._said[-1]).strip()

    def take(self, update: dict[str, Any]) -> AgentEvent | None:
        kind = update.get("sessionUpdate")
        if kind == "agent_message_chunk":
            text = _text(update.get("content"))
            if text.startswith(self._warnings):
                return None
            self._said[-1].append(text)
            return AnswerDelta(text) if text else None
        if kind == "agent_thought_chunk":
            return self._think(_text(update.get("content")))
        if kind in ("tool_call", "tool_call_update"):
            return self._call(update)
        if kind == "plan":
            return _plan(update.get("entries"))
        if kind == "current_mode_update":
            mode = update.get("currentModeId")
            self.current_mode = mode if isinstance(mode, str) else None
        return None

    def call(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A tool call as it is known from its updates and from the permission that is asked for it."""
        return {**self._calls.get(str(asked.get("toolCallId")), {}), **_known(asked)}

    def _think(self, text: str) -> AgentEvent | None:
        self._thought = (self._thought + text)[-4 * LONGEST :]
        lines = [line for line in self._thought.splitlines() if line.strip()]
        return AgentProgress(one_line(lines[-1])[-LONGEST:]) if lines else None

    def _call(self, update: dict[str, Any]) -> AgentEvent | None:
        if self._said[-1]:
            self._said.append([])
        self._thought = ""
        call_id = str(update.get("toolCallId"))
        known = self._calls.pop(call_id, {})
        self._calls[call_id] = {**known, **_known(update)}
        if len(self._calls) > MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        title = one_line(str(self._calls[call_id].get("title") or ""))[:LONGEST]
        if not title or update.get("status") == "completed":
            return None
        return AgentProgress(f"Failed: {title}" if update.get("status") == "failed" else title)


def _known(update: dict[str, Any]) -> dict[str, Any]:
    return {name: update[name] for name in _CALL_FIELDS if update.get(name) is not None}


def _text(content: object) -> str:
    if isinstance(content, dict) and content.get("type") == "text" and isinstance(content.get("text"), str):
        return str(content["text"])
    return ""


def _plan(entries: object) -> AgentEvent | None:
    now = [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("status") == "in_progress"
    ]
    text = one_line(str(now[0].get("content") or ""))[:LONGEST] if now else ""
    return AgentProgress(text) if text else None
