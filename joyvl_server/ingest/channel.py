"""Messages between main and a media worker: one JSON object a line, over a socket pair.

Main asks: {"id": 7, "op": "look", …}. The worker answers {"id": 7, "ok": {…}} or {"id": 7, "error": {code, message}},
and sends events of its own: {"event": "state", "source": …, …}. URLs with passwords travel only here, never on a
command line.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

Message = dict[str, Any]

MAX_LINE = 512 * 1024
MAX_UNREAD = 4 * 1024 * 1024
"""Bytes that may wait for the other side to read them. Beyond, it is stuck, and the connection is given up."""


class Channel:
    """One end. `send` never waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """Take over a connected socket. Cancelled, the socket stays the caller's."""
        reader, writer = await asyncio.open_connection(sock=end, limit=MAX_LINE)
        return cls(reader, writer)

    def send(self, message: Message) -> None:
        """Raises `ConnectionError` when the other side is gone or reads nothing any more."""
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self._writer.transport.abort()
            raise ConnectionAbortedError("the other side does not read")
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """Until the other side is gone. Cancelled, it loses no message."""
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):  # ValueError: a line longer than the limit
                return
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)

    def close(self) -> None:
        """`messages` ends. Idempotent."""
        self._writer.close()
