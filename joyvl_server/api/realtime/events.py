"""Bodies of the events that a Realtime client gets, without their `event_id`."""

from __future__ import annotations

from typing import Any

from joyvl_server.api.realtime.client_session import FORMAT
from joyvl_server.api.realtime.conversation_items import Answer, Item

Event = dict[str, Any]

CONVERSATION = "conv_1"
"""a session has one conversation"""


def response(answer: Answer, status: str, *, voice: str = "auto") -> dict[str, Any]:
    """OpenAI's response object of an utterance."""
    details: dict[str, Any] | None = None
    if status != "in_progress":
        details = {"type": status}
        if status == "cancelled":
            details["reason"] = answer.cut or "turn_detected"
    ended = "completed" if status == "completed" else "incomplete"
    return {
        "object": "realtime.response",
        "id": answer.response_id,
        "status": status,
        "status_details": details,
        "output": [] if status == "in_progress" else [answer.item(ended)],
        "output_modalities": [answer.modality],
        "conversation_id": CONVERSATION,
        "audio": {"output": {"format": FORMAT, "voice": voice}},
        "usage": None,
        "metadata": None,
    }


def empty_response(response_id: str, status: str, error: tuple[str, str] | None = None) -> dict[str, Any]:
    """The response where nothing was said. `error`: code and sentence."""
    details: dict[str, Any] = {"type": status}
    if error is not None:
        details["error"] = {"type": "server_error", "code": error[0], "message": error[1]}
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": None if status == "in_progress" else details,
        "output": [],
        "conversation_id": CONVERSATION,
        "usage": None,
        "metadata": None,
    }


def of_part(type: str, answer: Answer, **more: Any) -> Event:
    """An event about the only part of an utterance's item."""
    return {
        "type": type, "response_id": answer.response_id, "item_id": answer.item_id, "output_index": 0,
        "content_index": 0, **more,
    }  # fmt: skip


def of_item(type: str, item: Item, before: str | None) -> Event:
    return {"type": type, "item": item, "previous_item_id": before}


def failure(message: str, code: str, *, kind: str = "invalid_request_error", **more: str | None) -> Event:
    """`more`: `param`, and `event_id` of the client's event."""
    return {"type": "error", "error": {"type": kind, "code": code, "message": message, "param": None, **more}}
