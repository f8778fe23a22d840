"""What a Realtime client makes of its events: each must be one of those that the `openai` package knows."""

from __future__ import annotations

from typing import Any, get_args

from openai.types.live import commentary_appended_event, delegation_created_event, thinking_appended_event
from openai.types.realtime import realtime_server_event

_UNION = get_args(realtime_server_event.RealtimeServerEvent)[0]
LIVE = (
    delegation_created_event.DelegationCreatedEvent,
    thinking_appended_event.ThinkingAppendedEvent,
    commentary_appended_event.CommentaryAppendedEvent,
)
"""of GPT-Live, which we serve with those of the Realtime API"""
_KINDS: dict[str, Any] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in (*get_args(_UNION), *LIVE)
}
OURS = {".delegation": {"question"}, ".session": {"id", "object"}}
"""what we add, and say so in realtime.md; OpenAI's service sends the latter too"""


def checked(event: dict[str, Any]) -> dict[str, Any]:
    """The event, where it has the shape of its type, ids and all, and nothing that the package does not know."""
    kind = _KINDS[event["type"]]
    found = kind.model_validate({"event_id": "event_1", **event})
    _no_more(found, event)
    return event


def _no_more(model: Any, given: Any, at: str = "") -> None:
    if isinstance(given, dict) and hasattr(model, "model_fields_set"):
        unknown = set(given) - set(type(model).model_fields) - OURS.get(at, set())
        assert not unknown, f"{at}: {unknown}"
        for name, value in given.items():
            _no_more(getattr(model, name), value, f"{at}.{name}")
    elif isinstance(given, list) and isinstance(model, list):
        for one, value in zip(model, given, strict=True):
            _no_more(one, value, at)


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]
