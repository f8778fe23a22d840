"""What goes over the connection: a JSON object and bytes with it (sound), both with their length in front.

Ours to the child: {"op": "start", "options": …}, {"op": "ask", "id": 7, "method": "speak", …}, {"op": "cancel", "id":
7}, {"op": "ping"}. The child's: {"event": "ready", …}, {"event": "failed", code, message}, {"event": "pong"}; and of a
request {"id": 7, "piece": {…}}, as often as it likes, then {"id": 7, "end": true} or {"id": 7, "error": {code, …}}.

Both sides use this file, the child in an environment that may hold none of the server's packages: plain Python only.
"""

from __future__ import annotations

import json
import struct
from typing import Any

Head = dict[str, Any]

PREFIX = struct.Struct(">II")
MAX_HEAD = 1024 * 1024
MAX_DATA = 16 * 1024 * 1024
"""30 s of sound at 48 kHz are 3 MB."""


class BadFrame(ValueError):
    """The other side speaks something else."""


def pack(head: Head, data: bytes = b"") -> bytes:
    """Raises `BadFrame` where it is longer than the other side would take."""
    text = json.dumps(head, separators=(",", ":")).encode()
    if len(text) > MAX_HEAD or len(data) > MAX_DATA:
        raise BadFrame("the message is too long")
    return PREFIX.pack(len(text), len(data)) + text + data


def lengths(prefix: bytes) -> tuple[int, int]:
    """Of the head and of the data. Raises `BadFrame`."""
    head, data = PREFIX.unpack(prefix)
    if head > MAX_HEAD or data > MAX_DATA:
        raise BadFrame("the message is too long")
    return head, data


def read_head(text: bytes) -> Head:
    """Raises `BadFrame`."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise BadFrame("the message has no head")
    return head
