"""One request of the reference's API, read: pictures, their times, a question, the session that it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joyvl_server.api.reference.errors import ChatRefused
from joyvl_server.core.prompt.wire_format import QUERY_HEADER
from joyvl_server.ingest.base import MAX_PICTURE_BYTES

MAX_PICTURES = 8
MAX_WORDS = 2000
MAX_TIME = 1e8
"""seconds"""
MAX_ID = 120
DEFAULT_SESSION = "default"

_PICTURE = re.compile(r"data:image/(?:jpe?g|png);base64,", re.IGNORECASE)
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_TAG = re.compile(r"<\s*\d+(?:\.\d+)?\s*(?:s|seconds?)?\s*(?:[~-]\s*\d+(?:\.\d+)?\s*(?:s|seconds?)?\s*)?>")
_NUMBER = re.compile(r"(?<![\d.])\d+(?:\.\d+)?")
_WITHOUT = re.compile(
    r"(?:no|non|without|w/o|off|disabled?)[\W_]*deleg|deleg\w*[\W_]*(?:no|none|off|false|disabled?)\b"
)

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`times`: stream seconds, one for each picture or for the first alone; empty: none was given. `delegation`: None
    where the client does not say."""

    session: str
    model: str
    pictures: tuple[bytes, ...]
    times: tuple[float, ...]
    text: str
    delegation: bool | None
    stream: bool = False
    """the reply is wanted as events"""


def parse(body: bytes) -> Fields:
    """The body of a request; empty for none. Raises `ChatRefused`. Takes some milliseconds for a large one."""
    if not body.strip():
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ChatRefused("The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise ChatRefused("The body must be a JSON object.")
    return found


def read(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Raises `ChatRefused`. Takes some milliseconds where the pictures are large."""
    fields = parse(body)
    model = fields.get("model", "")
    if not isinstance(model, str):
        raise ChatRefused("model must be a string.", param="model")
    stream = fields.get("stream") or False
    if not isinstance(stream, bool):
        raise ChatRefused("stream must be true or false.", param="stream")
    parts, later = _newest(fields.get("messages"))
    urls, texts = _split(parts)
    text, tag = _words([*texts, *later])
    pictures = tuple(_picture(url, f"messages: picture {number}") for number, url in enumerate(urls, 1))
    times = _times(fields.get("frame_time_ranges"), headers.get("x-frame-time-range"), tag, len(pictures))
    return ChatRequest(session_name(fields, headers), model, pictures, times, text, _delegation(headers), stream)


def session_name(fields: Fields, headers: Mapping[str, str]) -> str:
    """The session that a request belongs to. Raises `ChatRefused`."""
    found: list[object] = [headers.get("x-streaming-session"), headers.get("x-session-id")]
    for name in ("user", "session_id"):
        if fields.get(name) is not None and not isinstance(fields[name], str):
            raise ChatRefused(f"{name} must be a string.", param=name)
        found.append(fields.get(name))
    name = next((str(value).strip() for value in found if value and str(value).strip()), DEFAULT_SESSION)
    clean = _ODD.sub("_", name)[:MAX_ID]
    if clean == name:
        return name
    # Two names that become one must not share a session.
    return f"{clean[: MAX_ID - 17]}~{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


# ------------------------------------------------------------------------------------------------------------ messages


def _newest(messages: object) -> tuple[list[Any], list[str]]:
    """The parts of the last message of the user that shows something, and the words of those after it."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ChatRefused("messages must be a list of objects.", param="messages")
    later: list[str] = []
    for number in range(len(messages) - 1, -1, -1):
        message = messages[number]
        if message.get("role") != "user":
            continue
        parts = _parts(message.get("content"), f"messages[{number}].content")
        if any(part.get("type") == "image_url" for part in parts):
            return parts, later
        later = [*_split(parts)[1], *later]
    raise ChatRefused(
        "A request shows at least one picture: an `image_url` with a data URL, in a message of the user.",
        param="messages",
    )


def _parts(content: object, at: str) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ChatRefused(f"{at} must be a string or a list of parts.", param=at)
    return content


def _split(parts: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """(addresses of the pictures, texts) of a message. Other kinds of parts are refused: they would be lost."""
    urls: list[str] = []
    texts: list[str] = []
    for part in parts:
        kind = part.get("type")
        if kind == "text" and isinstance(text := part.get("text"), str):
            texts.append(text)
        elif kind == "image_url":
            given = part.get("image_url")
            url = given.get("url") if isinstance(given, dict) else given
            if not isinstance(url, str):
                raise ChatRefused("image_url.url must be a string.", param="messages")
            urls.append(url)
        else:
            raise ChatRefused("A part of a message is a `text` or an `image_url`.", param="messages")
    if len(urls) > MAX_PICTURES:
        raise ChatRefused(f"One request shows {MAX_PICTURES} pictures at most.", param="messages")
    return urls, texts


def _picture(url: str, at: str) -> bytes:
    start = _PICTURE.match(url)
    if start is None:
        raise ChatRefused(
            f"{at}: it must be a data URL of a JPEG or PNG in base64; nothing is fetched for a client.",
            param="messages",
        )
    try:
        data = base64.b64decode(url[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ChatRefused(f"{at}: this is no base64.", param="messages") from None
    if len(data) > MAX_PICTURE_BYTES:
        raise ChatRefused(f"{at}: a picture has {MAX_PICTURE_BYTES} bytes at most.", param="messages")
    return data


def _words(texts: list[str]) -> tuple[str, str | None]:
    """(the question, the first time tag) of a message."""
    whole = "\n".join(texts).replace(QUERY_HEADER, "")
    tag = _TAG.search(whole)
    text = "\n".join(line for line in (part.strip() for part in _TAG.sub(" ", whole).split("\n")) if line)
    if len(text) > MAX_WORDS:
        raise ChatRefused(f"A question has {MAX_WORDS} characters at most.", param="messages")
    return text, tag.group() if tag else None


# -------------------------------------------------------------------------------------------------- times and headers


def _times(ranges: object, header: str | None, tag: str | None, count: int) -> tuple[float, ...]:
    """When the pictures were taken: by the body, else by the header, else by a tag in the text."""
    if ranges not in (None, []):
        if not isinstance(ranges, list) or len(ranges) > count:
            raise ChatRefused(
                "frame_time_ranges must be a list with a time for each picture.", param="frame_time_ranges"
            )
        times = tuple(_start(one, "frame_time_ranges") for one in ranges)
        if list(times) != sorted(times):
            raise ChatRefused("frame_time_ranges must not run backwards.", param="frame_time_ranges")
        return times if len(times) == count else times[:1]
    if header and header.strip():
        return (_start(header, "x-frame-time-range"),)
    return (_start(tag, "messages"),) if tag else ()


def _start(given: object, at: str) -> float:
    """Where a range begins, in seconds: `"<1.0 seconds ~ 2.0 seconds>"`, `[1.0, 2.0]`, `{"start": 1.0}` or a number."""
    if isinstance(given, dict):
        given = given.get("start", given.get("start_time"))
    if isinstance(given, list):
        given = given[0] if given else None
    if isinstance(given, str):
        match = None if re.search(r"(?:^|[<\[(\s])-\s*\d", given) else _NUMBER.search(given)
        given = float(match.group()) if match else None
    if isinstance(given, bool) or not isinstance(given, int | float) or not (0 <= given <= MAX_TIME):
        raise ChatRefused(f"{at}: a time is seconds from the start, like `<12.0 seconds>`.", param=at)
    return float(given) if math.isfinite(given) else 0.0


def _delegation(headers: Mapping[str, str]) -> bool | None:
    key = (headers.get("x-system-prompt-key") or "").strip().lower()
    return None if not key else not (_WITHOUT.search(key) or key == "silent")
