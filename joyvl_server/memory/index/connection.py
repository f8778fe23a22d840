"""Our side of the connection to the index process: requests and their answers."""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from typing import Any, Protocol

from joyvl_server.kit.processes.messages import BadMessage, Head
from joyvl_server.memory.base import IndexFault
from joyvl_server.memory.index.frames import FORMAT

MAX_UNREAD = 128 * 1024 * 1024
"""Bytes that may wait for the process to read them."""


class IndexEvents(Protocol):
    """Hears what is no answer."""

    def hear(self, event: Head) -> None:
        """Must not block."""

    def lost(self) -> None:
        """The process's end is closed, or it sent what cannot be read. Must not block."""


class IndexConnection:
    """Made for one life of the process."""

    def __init__(self, events: IndexEvents) -> None:
        self._events = events
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)

    async def connect(self, end: socket.socket) -> None:
        """Take over a connected socket. Cancelled, the socket stays the caller's."""
        reader, self._writer = await asyncio.open_connection(sock=end)
        self._reading = asyncio.create_task(self._read(reader), name="answers of the index of memories")

    def send(self, head: Head, data: bytes = b"") -> None:
        """Raises `IndexFault` where nobody reads."""
        if self._writer is None or self._writer.is_closing():
            raise IndexFault("The index of memories is not running.")
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            raise IndexFault("The index of memories does not read what it is sent.", code="timeout")
        self._writer.write(FORMAT.pack(head, data))

    async def ask(self, op: str, fields: Head, data: bytes, timeout_s: float) -> Any:
        """The result, as JSON has it. Raises `IndexFault`. Cancelled, the answer is dropped when it comes."""
        number = next(self._ids)
        self.send({"id": number, "op": op, **fields}, data)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise IndexFault(f"The index of memories gave no answer within {timeout_s:g} s.", code="timeout") from None
        finally:
            self._answers.pop(number, None)

    def close(self, error: IndexFault) -> None:
        """Every open request fails with `error`. Idempotent."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        answers, self._answers = list(self._answers.values()), {}
        for answer in answers:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever asked may be gone

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                self._settle((await FORMAT.read(reader))[0])
        except (OSError, EOFError, BadMessage, KeyError, TypeError, ValueError):
            self._events.lost()

    def _settle(self, head: Head) -> None:
        if "id" not in head:
            self._events.hear(head)
            return
        answer = self._answers.get(head["id"])
        if answer is None or answer.done():
            return
        if "error" in head:
            answer.set_exception(IndexFault(str(head["error"]), code=str(head["code"])))
        else:
            answer.set_result(head["result"])
