"""A Realtime client over the WebSocket that checks whatever it gets against the package's types."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S, until
from fakes.realtime import checked
from fakes.server.house import House


class Client:
    """`ask` sends an event; `seen` are all that came, each checked against the package's types."""

    def __init__(self, h: House, wire: Wire) -> None:
        self.h = h
        self.wire = wire
        self.seen: list[dict[str, Any]] = []
        self.closed: dict[str, Any] | None = None
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            got = await self.wire._out.get()
            if got["type"] == "websocket.send":
                self.seen.append(checked(json.loads(got["text"])))
            else:
                self.closed = got

    @property
    def session(self) -> Any:
        return self.h.registry.sessions()[0]

    @property
    def source(self) -> Any:
        return next(iter(self.h.media.sources.values()))

    def ask(self, type: str, **fields: Any) -> None:
        self.say({"type": type, **fields})

    def say(self, event: dict[str, Any] | str) -> None:
        text = event if isinstance(event, str) else json.dumps(event)
        self.wire.say({"type": "websocket.receive", "text": text})

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["type"] == type]

    async def get(self, type: str, count: int = 1) -> dict[str, Any]:
        """The n-th event of this type, waiting for it; the clock stands."""
        await until(lambda: len(self.of(type)) >= count)
        return self.of(type)[count - 1]

    async def seconds(self, condition: Callable[[], Any]) -> None:
        """The clock goes on until it is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self.h.clock.advance(0.1)

    async def error(self, count: int = 1) -> dict[str, Any]:
        return (await self.get("error", count))["error"]

    async def leave(self) -> None:
        self.wire.leave()
        await self.wire.done()
        self._reader.cancel()
        assert self.h.registry.sessions() == []
        assert all(source.closed for source in self.h.media.sources.values())
        assert self.h.api.streams == 0


async def connect(h: House, query: str = "?model=gpt-realtime") -> Client:
    wire = Wire(h.app, "/v1/realtime" + query, kind="websocket", headers={"sec-websocket-protocol": "realtime"})
    first = await wire.open()
    assert first == {"type": "websocket.accept", "subprotocol": "realtime", "headers": []}, first
    return Client(h, wire)
