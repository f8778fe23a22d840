"""Turns as chat messages in JSON: each is encoded once, when it joins, and a request only strings them together."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from joyvl_server.core.protocol import user_parts
from joyvl_server.core.turns import ImagePart, Part, UserTurn


def system_message(text: str) -> bytes:
    return _encode({"role": "system", "content": text})


def assistant_message(answer: str) -> bytes:
    return _encode({"role": "assistant", "content": answer})


def user_message(turn: UserTurn, *, prefix: str, separator: str, detail: str | None) -> bytes:
    """A user turn with its picture as a data URL; about a third larger than the JPEG."""
    parts = user_parts(turn, prefix=prefix, separator=separator)
    return _encode({"role": "user", "content": [_content(part, detail) for part in parts]})


def request_body(fields: dict[str, Any], messages: list[bytes]) -> bytes:
    """One request: the messages as they are, then the other fields."""
    return b'{"messages":[' + b",".join(messages) + b"]," + _encode(fields)[1:]


def _content(part: Part, detail: str | None) -> dict[str, Any]:
    if not isinstance(part, ImagePart):
        return {"type": "text", "text": part.text}
    image = {"url": "data:image/jpeg;base64," + b64encode(part.image.jpeg).decode("ascii")}
    if detail is not None:
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
