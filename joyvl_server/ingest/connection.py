"""Main's end of the connection to one media worker: requests with answers, and the worker's own events."""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from typing import Any, Protocol

import structlog

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.channel import Channel, Message

log = structlog.get_logger(__name__)

Answer = asyncio.Future[Message]


def worker_died() -> SourceError:
    return SourceError("The media worker died. It is being restarted.", code="worker_died")


class EventReceiver(Protocol):
    """Gets every message that is no answer."""

    def receive(self, event: Message) -> None: ...


class WorkerConnection:
    """Nothing here waits longer than its caller says."""

    def __init__(self, receiver: EventReceiver) -> None:
        self._receiver = receiver
        self._channel: Channel | None = None
        self._answers: dict[int, Answer] = {}
        self._ids = count(1)
        self._reader: asyncio.Task[None] | None = None

    async def connect(self, end: socket.socket) -> None:
        """Take over a connected socket. Cancelled, the socket stays the caller's."""
        self._channel = await Channel.over(end)
        self._reader = asyncio.create_task(self._read(self._channel), name="messages of a media worker")

    def ask(self, op: str, **fields: Any) -> Answer:
        """Send a request; the future gets the answer, or `SourceError` (worker_died or the worker's own)."""
        answer: Answer = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_retrieve)
        number = next(self._ids)
        try:
            if self._channel is None:
                raise ConnectionResetError
            self._channel.send({"id": number, "op": op, **fields})
        except ConnectionError:
            answer.set_exception(worker_died())
        else:
            self._answers[number] = answer
            answer.add_done_callback(lambda _: self._answers.pop(number, None))
        return answer

    async def request(self, op: str, timeout_s: float, **fields: Any) -> Message:
        """`ask` and wait. Raises `SourceError`: the worker's own, worker_died, or timeout.

        Cancelled, the worker still does what was asked; nobody gets its answer.
        """
        try:
            return await asyncio.wait_for(self.ask(op, **fields), timeout_s)
        except TimeoutError:
            raise SourceError("The media worker did not answer in time.", code="timeout") from None

    def close(self) -> None:
        """Every open request fails with worker_died."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        for answer in list(self._answers.values()):
            if not answer.done():
                answer.set_exception(worker_died())

    async def _read(self, channel: Channel) -> None:
        async for message in channel.messages():
            if "id" in message:
                self._settle(message)
            else:
                self._deliver(message)

    def _settle(self, message: Message) -> None:
        answer = self._answers.get(message["id"])
        if answer is None or answer.done():
            return  # whoever asked has given up
        if "ok" in message:
            answer.set_result(message["ok"])
        else:
            answer.set_exception(SourceError(message["error"]["message"], code=message["error"]["code"]))

    def _deliver(self, event: Message) -> None:
        try:
            self._receiver.receive(event)
        except Exception:  # a listener's fault must not cut all other sources off
            log.exception("a listener of source states failed")


def _retrieve(answer: Answer) -> None:
    """Nobody may wait any more for a request that failed: asyncio must not complain about that."""
    if not answer.cancelled():
        answer.exception()
