"""Request bodies: only kinds we read, never larger than the setting, whole before a route sees them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive

REALTIME_PATH = "/v1/realtime"
CALLS_PATH = REALTIME_PATH + "/calls"
JSON = "application/json"
CHAT_PATH = "/v1/chat/completions"
CHAT_BYTES = 8 * 1024 * 1024
"""of a request with pictures, as base64"""
ANYBODYS_BYTES = 4096
"""of what somebody without a key may send"""
CALL_TYPES = (JSON, "application/sdp", "multipart/form-data")

READ_TIMEOUT_S = 30.0
# A client that is still sending would not see our answer: a body that is too large is read off, within reason.
DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_TIMEOUT_S = 5.0


# Whoever sends a body of unknown fields makes us write an error for each, on the event loop: 10 µs each.
SMALL_BYTES = 16_384
MAX_FIELDS = 2000
MAX_VALUES = 20_000


class BodyRefused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class ClientGone(Exception):
    """It hung up before it had sent everything; there is nobody to answer."""


@dataclass(slots=True)
class BufferedBody:
    """Stands in for `receive`: gives the whole body once, then what the connection says (a disconnect)."""

    body: bytes
    receive: Receive
    given: bool = False

    async def __call__(self) -> Message:
        if self.given:
            return await self.receive()
        self.given = True
        return {"type": "http.request", "body": self.body, "more_body": False}


def has_body(headers: Headers) -> bool:
    return headers.get("transfer-encoding") is not None or headers.get("content-length", "0") != "0"


def check_type(path: str, headers: Headers) -> None:
    """Raises `BodyRefused` (415). A form or plain text could come from a page elsewhere without being asked for."""
    kind = _kind(headers)
    allowed = CALL_TYPES if path == CALLS_PATH else (JSON,)
    if kind not in allowed:
        sent = f"not as {kind[:80]}" if kind else "and says so in the Content-Type header"
        raise BodyRefused(415, "unsupported_media_type", f"The body must be sent as {' or '.join(allowed)}, {sent}.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyRefused(415, "unsupported_media_type", "The body must be uncompressed: leave Content-Encoding out.")


def _kind(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def limit_of(path: str, limit: int) -> int:
    """The longest body at this address, in bytes."""
    return max(limit, CHAT_BYTES) if path == CHAT_PATH else limit


async def read(headers: Headers, receive: Receive, path: str, setting: int, *, known: bool) -> BufferedBody:
    """`setting`: server.max_body_bytes. `known`: who sends it has a key, or none is asked for.

    Raises `BodyRefused` (400, 408, 413) or `ClientGone`. Cancelled, what has come of it is lost."""
    limit = limit_of(path, setting) if known else min(setting, ANYBODYS_BYTES)
    why = " (setting server.max_body_bytes)" if limit == setting else f", the limit of {path}"
    why = why if known else ", the limit without a key"
    too_large = BodyRefused(413, "body_too_large", f"The body is larger than {limit} bytes{why}.")
    declared = headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdecimal()):
        raise BodyRefused(400, "bad_request", "Content-Length is not a number.")
    if declared is not None and int(declared) > limit:
        # A client that waits for 100-continue has not begun: it is told before it sends anything.
        if headers.get("expect", "").lower() != "100-continue":
            await _drain(receive)
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    break
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return BufferedBody(b"".join(chunks), receive)
    except TimeoutError:
        raise BodyRefused(408, "body_timeout", f"The body did not arrive within {READ_TIMEOUT_S:.0f} s.") from None
    if message.get("more_body", False):
        await _drain(receive)
    raise too_large


def check_size(headers: Headers, body: bytes) -> None:
    """Raises `BodyRefused` (413) for JSON of more fields or values than any of our requests has.

    Counted in the text: even to parse a megabyte of small values would hold up every session.
    """
    if len(body) <= SMALL_BYTES or _kind(headers) != JSON:
        return
    marks = _outside_strings(body)
    if marks.count(b":") > MAX_FIELDS or marks.count(b",") > MAX_VALUES:
        detail = f"The body holds more than {MAX_FIELDS} fields or {MAX_VALUES} values; no request here has so many."
        raise BodyRefused(413, "body_too_large", detail)


def _outside_strings(text: bytes) -> bytes:
    """A JSON text without its strings."""
    return b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
