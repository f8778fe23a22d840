"""The two APIs on the wire: what is sent, and what each event of an answer means."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joyvl_server.agents.base import BundleFrame
from joyvl_server.kit.net.error_words import words_of


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """What one event of an answer says. `text`: more of it. `thinks`: a sign of life that is no text. `ended`: the last
    one, with `reason` where it is not the usual one. `failed`: in the server's words. `response_id`: by which a later
    request goes on."""

    text: str = ""
    thinks: bool = False
    ended: bool = False
    reason: str = ""
    failed: str | None = None
    response_id: str | None = None


def chat_body(model: str, prompt: str, frames: tuple[BundleFrame, ...]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    content += [{"type": "image_url", "image_url": {"url": _data_url(frame)}} for frame in frames]
    # Servers for texts alone know plain strings best.
    return {"model": model, "messages": [{"role": "user", "content": content if frames else prompt}], "stream": True}


def responses_body(model: str, prompt: str, frames: tuple[BundleFrame, ...], previous: str | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": prompt}]
    content += [{"type": "input_image", "image_url": _data_url(frame)} for frame in frames]
    body: dict[str, Any] = {"model": model, "input": [{"role": "user", "content": content}], "stream": True}
    return body if previous is None else body | {"previous_response_id": previous}


def chat_piece(event: Mapping[str, Any]) -> ReplyPart:
    if event.get("error"):
        return ReplyPart(failed=words_of(event))
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    # A server that does not stream sends the message whole.
    said: dict[str, Any] = next((choice[n] for n in ("delta", "message") if isinstance(choice.get(n), dict)), {})
    text = next((said[name] for name in ("content", "refusal") if isinstance(said.get(name), str) and said[name]), "")
    thinks = bool(said.get("reasoning_content") or said.get("reasoning"))
    reason = choice.get("finish_reason")
    reason = reason if isinstance(reason, str) else ""
    return ReplyPart(text=text, thinks=thinks, ended=bool(reason), reason="" if reason == "stop" else reason)


def responses_piece(event: Mapping[str, Any]) -> ReplyPart:
    kind = event.get("type")
    response = event.get("response")
    response = response if isinstance(response, dict) else {}
    if event.get("object") == "response":  # not streamed
        return _whole_response(event)
    if kind in ("response.output_text.delta", "response.refusal.delta"):
        delta = event.get("delta")
        return ReplyPart(text=delta if isinstance(delta, str) else "")
    if kind == "response.completed":
        return ReplyPart(ended=True, response_id=_id(response))
    if kind == "response.incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        reason = reason if isinstance(reason, str) else "incomplete"
        return ReplyPart(ended=True, reason=reason, response_id=_id(response))
    if kind in ("response.failed", "error") or (kind is None and event.get("error")):
        return ReplyPart(failed=words_of(response or event))
    return ReplyPart(thinks=isinstance(kind, str) and "reasoning" in kind)


def _whole_response(response: Mapping[str, Any]) -> ReplyPart:
    if response.get("error"):
        return ReplyPart(failed=words_of(response))
    output = response.get("output")
    texts = [
        part["text"]
        for item in (output if isinstance(output, list) else [])
        if isinstance(item, dict) and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part.get("type") == "output_text"
    ]
    return ReplyPart(text="".join(texts), ended=True, response_id=_id(response))


def _id(response: Mapping[str, Any]) -> str | None:
    found = response.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= 500 else None


def _data_url(frame: BundleFrame) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(frame.jpeg).decode()
