"""Messages between the server and a process of its own: a JSON object and bytes with it, each with its length in front.

What they say is up to the two sides. Both use this file, the child in an environment that may hold none of the server's
packages: plain Python only.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import StreamReader

Head = dict[str, Any]

PREFIX = struct.Struct(">II")
READ_AT_ONCE = 1 << 20


class BadMessage(ValueError):
    """The other side speaks something else."""


@dataclass(frozen=True, slots=True)
class MessageFormat:
    """The most bytes of a head and of the data; what is longer is neither sent nor taken."""

    max_head: int
    max_data: int

    def pack(self, head: Head, data: bytes = b"") -> bytes:
        """Raises `BadMessage` where it is longer than the other side would take."""
        text = json.dumps(head, separators=(",", ":")).encode()
        self._check(len(text), len(data))
        return PREFIX.pack(len(text), len(data)) + text + data

    async def read(self, reader: StreamReader) -> tuple[Head, bytes]:
        """The next message. Raises `BadMessage`, `EOFError`, `OSError`. Cancelled in the middle of one, the rest of the
        stream cannot be read."""
        head, data = self.lengths(await reader.readexactly(PREFIX.size))
        return read_head(await reader.readexactly(head)), await reader.readexactly(data)

    def lengths(self, prefix: bytes) -> tuple[int, int]:
        """Of the head and of the data. Raises `BadMessage`."""
        head, data = PREFIX.unpack(prefix)
        self._check(head, data)
        return head, data

    def _check(self, head: int, data: int) -> None:
        if head > self.max_head or data > self.max_data:
            raise BadMessage("the message is too long")


def read_head(text: bytes) -> Head:
    """Raises `BadMessage`."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise BadMessage("the message has no head")
    return head


class ServerConnection:
    """The child's end. Blocking. Ends the process where the server's side is gone."""

    def __init__(self, end: socket.socket, format: MessageFormat) -> None:
        self._end = end
        self._format = format
        self._sending = threading.Lock()

    def send(self, head: Head, data: bytes = b"") -> None:
        """From any thread. Raises `BadMessage`."""
        message = self._format.pack(head, data)
        with self._sending:
            try:
                self._end.sendall(message)
            except OSError:
                os._exit(0)

    def receive(self) -> tuple[Head, bytes] | None:
        """None where the server's side is gone, or sends what cannot be read."""
        try:
            head, data = self._format.lengths(self._read(PREFIX.size))
            return read_head(self._read(head)), self._read(data)
        except (EOFError, OSError, BadMessage):
            return None

    def _read(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count:
            piece = self._end.recv(min(count, READ_AT_ONCE))
            if not piece:
                raise EOFError
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
