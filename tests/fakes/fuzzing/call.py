"""One request to an ASGI app, its bytes as they are; of an answer without an end, only the beginning."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

MOST_BYTES = 2_000_000
PATIENCE_S = 20.0
GRACE_S, WAITS_S = 1.0, 0.3
"""for answers that come only with time, which stands still"""


@dataclass(frozen=True)
class Call:
    """`target`: path and query as on the wire. `route`: of the OpenAPI document. `caller`: whose key it has."""

    route: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"")
    caller: str = "admin"

    def to_json(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode()
        return {
            "route": self.route,
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body": body,
            "caller": self.caller,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Call:
        headers = tuple((name, value) for name, value in found["headers"])
        body = base64.b64decode(found["body"])
        return cls(found["route"], found["method"], found["target"], headers, body, found["caller"])


@dataclass(frozen=True)
class Answer:
    """`status` 0: none came in time, as for an answer that waits for something.

    `route`: whose function was called, which odd paths may make another than was meant; empty where none was.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    route: str = ""


async def ask(app: Any, call: Call, key: str | None = None) -> Answer:
    path, _, query = call.target.partition("?")
    headers = [(b"host", b"127.0.0.1:8099"), *((n.lower().encode(), v.encode("latin-1")) for n, v in call.headers)]
    if key is not None:
        headers.append((b"authorization", b"Bearer " + key.encode()))
    if call.body or call.method not in ("GET", "DELETE"):
        headers.append((b"content-length", str(len(call.body)).encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": call.method, "scheme": "http",
        "path": unquote(path, errors="replace"), "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "headers": headers, "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8099), "state": {},
    }  # fmt: skip
    told: dict[str, Any] = {"status": 0, "headers": {}, "body": b""}
    gone, sent = asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": call.body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told["status"] = message["status"]
            told["headers"] = {n.decode().lower(): v.decode("latin-1") for n, v in message["headers"]}
            if told["headers"].get("content-type", "").startswith(("text/event-stream", "multipart/x-mixed")):
                gone.set()  # without an end
        elif message["type"] == "http.response.body":
            told["body"] += message.get("body", b"")
            if not message.get("more_body") or len(told["body"]) > MOST_BYTES:
                gone.set()

    running = asyncio.ensure_future(app(scope, receive, send))
    ended = asyncio.ensure_future(gone.wait())
    waits = any(name.lower() == "prefer" for name, _ in call.headers) or "mjpeg" in call.route
    await asyncio.wait({running, ended}, timeout=WAITS_S if waits else PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    gone.set()
    done, _ = await asyncio.wait({running}, timeout=GRACE_S)
    if not done:
        running.cancel()
        await asyncio.wait({running}, timeout=PATIENCE_S)
    ended.cancel()
    if running.done() and not running.cancelled() and (error := running.exception()) is not None:
        return Answer(599, {}, repr(error).encode())
    route = getattr(scope.get("route"), "path", "")
    return Answer(told["status"], told["headers"], told["body"], route)
