"""A real HTTP receiver of webhooks, with the faults that receivers have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass
class Got:
    """One request that was answered with 2xx."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]

    def verify(self, secret: str) -> None:
        """Raises where the signature is wrong, with the public library. (Its time is checked against ours.)"""
        Webhook(secret).verify(self.body, self.headers)


@dataclass
class WebhookReceiver:
    """`answers`: statuses to give, the last one for ever; or "hang", "drip" (a status line that never ends), "cut" (the
    connection closes), "endless" (200 and a body that never ends), or (status, headers)."""

    answers: list[Any] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    requests: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=t0ps3cret"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """It is down: connections are refused until `start`."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            self._server = None

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = head.split("\r\n")[1:-2]
                headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests += 1
                await self._answer(writer, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, headers: dict[str, str], body: bytes) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang":
            await asyncio.Event().wait()
        if answer == "cut":
            raise ConnectionResetError
        if answer == "drip":
            for letter in "HTTP/1.1 200 OK" + "!" * 10_000:
                writer.write(letter.encode())
                await writer.drain()
                await asyncio.sleep(0.05)
        if answer == "endless":
            self.got.append(Got(headers, body))
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
            await writer.drain()
            await asyncio.Event().wait()
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        if 200 <= status < 300:
            self.got.append(Got(headers, body))
        text = b'{"error": "no"}' if status >= 400 else b""
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(text)}", *(f"{k}: {v}" for k, v in more.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        await writer.drain()


@asynccontextmanager
async def webhook_receiver(*answers: Any) -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(list(answers) or [200])
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
