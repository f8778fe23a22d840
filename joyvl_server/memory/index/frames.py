"""What goes over the connection to the index process: a JSON object and vectors with it, each with its length in front.

Ours: {"op": "open", "folder" or "url" and "key"}, then {"id": 7, "op": …} (see `worker`), {"op": "ping"}. Theirs:
{"event": "ready"}, {"event": "failed", "message"}, {"event": "pong"}, and for each request {"id": 7, "result": …} or
{"id": 7, "error": …, "code": …}. Vectors are rows of little-endian 4-byte floats. Both sides use this file.
"""

from __future__ import annotations

import json
import struct
from typing import Any

Head = dict[str, Any]

PREFIX = struct.Struct(">II")
MAX_HEAD = 4 * 1024 * 1024
MAX_DATA = 64 * 1024 * 1024
VECTOR = "<f4"


class BadIndexFrame(ValueError):
    """The other side speaks something else."""


def pack(head: Head, data: bytes = b"") -> bytes:
    """Raises `BadIndexFrame` where it is longer than the other side would take."""
    text = json.dumps(head, separators=(",", ":")).encode()
    if len(text) > MAX_HEAD or len(data) > MAX_DATA:
        raise BadIndexFrame("the message is too long")
    return PREFIX.pack(len(text), len(data)) + text + data


def lengths(prefix: bytes) -> tuple[int, int]:
    """Of the head and of the data. Raises `BadIndexFrame`."""
    head, data = PREFIX.unpack(prefix)
    if head > MAX_HEAD or data > MAX_DATA:
        raise BadIndexFrame("the message is too long")
    return head, data


def read_head(text: bytes) -> Head:
    """Raises `BadIndexFrame`."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise BadIndexFrame("the message has no head")
    return head
