"""What the client of a call, or of a source that it pushes, sends and gets besides its tracks; main's end.

Pictures and sound go to the worker in pieces, one after another: who sends faster than the worker takes it waits.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Protocol

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import TextListener
from joyvl_server.ingest.channel import Message
from joyvl_server.ingest.connection import Answer
from joyvl_server.kit.audio.pcm import Pcm

PIECE_BYTES = 192 * 1024
PIECE_S = 1.0
WAIT_S = 10.0


class LinkWorker(Protocol):
    """What it needs of its media worker."""

    def ask(self, op: str, **fields: object) -> Answer: ...


class ClientLink:
    """Implements `SourceClient`. Its methods are for main's loop."""

    def __init__(self, source_id: str, worker: LinkWorker) -> None:
        self._source_id = source_id
        self._worker = worker
        self._listener: TextListener | None = None
        self._pictures = asyncio.Lock()

    def listen(self, listener: TextListener | None) -> None:
        """See `SourceClient.listen`."""
        self._listener = listener

    async def send(self, text: str) -> None:
        """See `SourceClient.send`."""
        await self._request("client.text", text=text)

    async def show(self, data: bytes) -> None:
        """See `SourceClient.show`."""
        async with self._pictures:
            for start in range(0, len(data), PIECE_BYTES):
                piece = data[start : start + PIECE_BYTES]
                await self._request(
                    "client.picture", data=base64.b64encode(piece).decode(), first=start == 0,
                    last=start + PIECE_BYTES >= len(data),
                )  # fmt: skip

    async def say(self, audio: Pcm) -> None:
        """See `SourceClient.say`."""
        size = max(1, int(PIECE_S * audio.rate))
        for start in range(0, len(audio.samples), size):
            piece = Pcm(audio.samples[start : start + size], audio.rate)
            await self._request("client.sound", audio=piece.to_base64(), rate=piece.rate)

    def apply(self, event: Message) -> None:
        """What came over its data channel."""
        if self._listener is not None:
            self._listener(event["text"])

    async def _request(self, op: str, **fields: object) -> None:
        try:
            await asyncio.wait_for(self._worker.ask(op, source=self._source_id, **fields), WAIT_S)
        except TimeoutError:
            raise SourceError("The media worker did not answer in time.", code="timeout") from None
