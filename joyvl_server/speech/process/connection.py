"""Our side of the connection to one child: requests with pieces of answers."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from joyvl_server.kit.processes.messages import BadMessage, Head
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.process.frames import FORMAT

MAX_UNREAD = 32 * 1024 * 1024
"""Bytes that may wait for the child to read them, and bytes of an answer that may wait for whoever asked."""


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """`head` as the engine gave it; `data` is sound, or empty."""

    head: Head
    data: bytes


class ConnectionUser(Protocol):
    """Hears what is no answer."""

    def hear(self, event: Head) -> None:
        """Must not block."""

    def lost(self) -> None:
        """The child's end is closed, or it sent what cannot be read. Must not block."""


class ChildAnswer:
    """Collects the pieces of one request until somebody takes them."""

    def __init__(self) -> None:
        self.asked_at = asyncio.get_running_loop().time()
        self.given_up = False
        self._pieces: deque[AnswerPiece] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._over = False
        self._error: SpeechError | None = None

    async def next(self, timeout_s: float) -> AnswerPiece | None:
        """The next piece; None at the end. Raises `SpeechError`: the engine's own, or timeout. Cancelling it loses no
        piece."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._over:
                return None
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), timeout_s)
            except TimeoutError:
                raise SpeechError(f"No answer within {timeout_s:g} s.", code="timeout") from None
        piece = self._pieces.popleft()
        self._size -= len(piece.data)
        return piece

    def add(self, piece: AnswerPiece) -> None:
        if self.given_up or self._error is not None:
            return
        self._pieces.append(piece)
        self._size += len(piece.data)
        if self._size > MAX_UNREAD:
            self._pieces.clear()
            self.fail(SpeechError("The answer is longer than can be kept.", code="too_long"))
        self._news.set()

    def end(self) -> None:
        self._over = True
        self._news.set()

    def fail(self, error: SpeechError) -> None:
        """What came before is still taken, then this is raised."""
        if not self._over and self._error is None:
            self._error = error
        self._news.set()


class ChildConnection:
    """Nothing here waits but `connect` and the pieces of an answer."""

    def __init__(self, user: ConnectionUser) -> None:
        self._user = user
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, ChildAnswer] = {}
        self._ids = count(1)

    async def connect(self, end: socket.socket) -> None:
        """Take over a connected socket. Cancelled, the socket stays the caller's."""
        reader, self._writer = await asyncio.open_connection(sock=end)
        self._reading = asyncio.create_task(self._read(reader), name="answers of a speech process")

    def send(self, head: Head, data: bytes = b"") -> None:
        """Raises `SpeechError` (unavailable) where nobody reads, (too_long)."""
        if self._writer is None or self._writer.is_closing():
            raise SpeechError("It is not running.", code="unavailable")
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            raise SpeechError("It does not read what it is sent.", code="busy")
        try:
            self._writer.write(FORMAT.pack(head, data))
        except BadMessage:
            raise SpeechError("This is more than can be sent at once.", code="too_long") from None

    def ask(self, method: str, fields: Head, data: bytes) -> tuple[int, ChildAnswer]:
        """Raises as `send` does."""
        number = next(self._ids)
        self.send({"op": "ask", "id": number, "method": method, "fields": fields}, data)
        answer = self._answers[number] = ChildAnswer()
        return number, answer

    def give_up(self, number: int) -> None:
        """Nobody wants the rest of this answer. Until the child says that it stopped, the request counts as open."""
        answer = self._answers.get(number)
        if answer is None:
            return
        answer.given_up = True
        answer.asked_at = asyncio.get_running_loop().time()
        try:
            self.send({"op": "cancel", "id": number})
        except SpeechError:
            self._answers.pop(number, None)

    def overdue_s(self) -> float:
        """For how long the child has not stopped with what it was told to stop with; 0 where there is nothing."""
        now = asyncio.get_running_loop().time()
        return max((now - answer.asked_at for answer in self._answers.values() if answer.given_up), default=0.0)

    def close(self, error: SpeechError) -> None:
        """Every open request fails with `error`. Idempotent."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        answers, self._answers = list(self._answers.values()), {}
        for answer in answers:
            answer.fail(error)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                self._settle(*await FORMAT.read(reader))
        except (OSError, EOFError, BadMessage, KeyError, TypeError, ValueError):
            self._user.lost()

    def _settle(self, head: dict[str, Any], data: bytes) -> None:
        if "id" not in head:
            self._user.hear(head)
            return
        answer = self._answers.get(head["id"])
        if "piece" in head:
            if answer is not None:
                answer.add(AnswerPiece(head["piece"], data))
            return
        self._answers.pop(head["id"], None)
        if answer is None:
            return
        if "error" in head:
            answer.fail(SpeechError(str(head["error"]["message"]), code=str(head["error"]["code"])))
        else:
            answer.end()
