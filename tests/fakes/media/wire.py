"""A client that speaks ASGI by hand: streams and WebSockets message by message, and it can stop reading."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fakes.patience import PATIENCE_S

Headers = list[tuple[bytes, bytes]]


class Wire:
    """`await wire.open()` starts the app; `next()` gives what it sent; `leave()` hangs up."""

    def __init__(
        self, app: Any, path: str, *, kind: str = "http", method: str = "GET", headers: dict[str, str] | None = None
    ) -> None:
        path, _, query = path.partition("?")
        raw: Headers = [(b"host", b"127.0.0.1:8099")]
        raw += [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
        self.scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws" if kind == "websocket" else "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": raw,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8099),
        }
        if kind == "http":
            self.scope["method"] = method
        else:
            offered = (headers or {}).get("sec-websocket-protocol", "")
            self.scope["subprotocols"] = [p.strip() for p in offered.split(",") if p.strip()]
            self.scope["extensions"] = {"websocket.http.response": {}}
        self.blocked = asyncio.Event()
        self.blocked.set()
        self._app = app
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    def stop_reading(self) -> None:
        self.blocked.clear()

    def read_again(self) -> None:
        self.blocked.set()

    async def open(self) -> dict[str, Any]:
        """Starts it; the first message: the response's start, or the WebSocket's accept or refusal."""
        first = (
            {"type": "websocket.connect"}
            if self.scope["type"] == "websocket"
            else {"type": "http.request", "body": b""}
        )
        self.say(first)
        self.task = asyncio.create_task(self._app(self.scope, self._in.get, self._send))
        return await self.next()

    def say(self, message: dict[str, Any]) -> None:
        self._in.put_nowait(message)

    def leave(self) -> None:
        kind = "websocket.disconnect" if self.scope["type"] == "websocket" else "http.disconnect"
        self.say({"type": kind, "code": 1001})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self._out.get()

    async def update(self) -> dict[str, Any]:
        """The next update, from either kind of stream; signs of life are passed over."""
        while (message := await self.message())["type"] == "heartbeat":
            pass
        return message

    async def message(self) -> dict[str, Any]:
        """The next update or sign of life."""
        while True:
            message = await self.next()
            if message["type"] == "websocket.send":
                return json.loads(message["text"])
            for line in message.get("body", b"").decode().splitlines():
                if line.startswith("data: "):
                    return json.loads(line.removeprefix("data: "))

    async def problem(self) -> dict[str, Any]:
        """The body of a refusal, after its start."""
        return json.loads((await self.next())["body"])

    async def done(self) -> None:
        """The app has returned."""
        assert self.task is not None
        async with asyncio.timeout(PATIENCE_S):
            await self.task

    async def _send(self, message: dict[str, Any]) -> None:
        await self.blocked.wait()
        self._out.put_nowait(message)
