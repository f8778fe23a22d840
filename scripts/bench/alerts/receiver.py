"""A receiver of webhooks that is down now and then, times out, answers 500, or takes a message and says nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

FAULTS = ("500", "hang", "cut")
HANG_S = 3.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that was taken. `wall`: Unix seconds. `number`: of the event that it tells of."""

    wall: float
    id: str
    number: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class FaultyReceiver:
    """`faulty`: the share of requests that meet a fault."""

    def __init__(self, random: Random, faulty: float) -> None:
        self.receipts: list[Receipt] = []
        self.faults = 0
        self.faulty = faulty
        self.down = False
        self.port = 0
        self._random = random

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                pairs = (line.partition(":") for line in head.split("\r\n")[1:-2])
                headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                if not await self._answer(headers, body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        if self.down:
            return False
        fault = self._random.choice(FAULTS) if self._random.random() < self.faulty else ""
        self.faults += bool(fault)
        if fault == "500":
            writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return True
        if fault == "hang":
            await asyncio.sleep(HANG_S)
            return False
        number = int(json.loads(body)["data"]["text"])
        self.receipts.append(Receipt(time.time(), headers["webhook-id"], number, headers, body))
        if fault == "cut":
            return False
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def receiving(random: Random, faulty: float) -> AsyncIterator[FaultyReceiver]:
    receiver = FaultyReceiver(random, faulty)
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
