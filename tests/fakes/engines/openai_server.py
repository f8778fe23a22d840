"""A scripted OpenAI-compatible server on a real socket, for what a real one does only on bad days.

    async with FakeOpenAI() as server:
        server.script(says("</response> a man", " enters"), cut("</response> half a"))
        engine = OpenAIEngine({"base_url": server.base_url})

Each completion takes the next reply of the script; when the script is empty, `server.otherwise` (silence). What the
server is (models, key, fields it takes) is set on it. Every request is recorded, and `request.aborted` says that the
client left before the answer was whole.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

End = Literal["done", "no_done", "cut", "hang", "endless"]
"""How a stream ends: well; without `[DONE]` and finish reason; with a lost connection; never (silent, or talking)."""


@dataclass(frozen=True)
class Reply:
    """One answer. `deltas` are streamed; with `body` set it is sent whole instead."""

    deltas: tuple[str, ...] = ("</silence>",)
    end: End = "done"
    status: int = 200
    body: bytes | None = None
    events: tuple[str, ...] = ()
    """raw `data:` lines before the deltas"""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    """before the headers"""
    gap_s: float = 0.0
    """before each delta"""
    alive: str = ""
    """where it hangs: what it sends every `gap_s` all the same"""
    split: int = 0
    """bytes per write, where the stream must be cut across events and letters"""


def says(*deltas: str, **changes: Any) -> Reply:
    return Reply(deltas, **changes)


def silence() -> Reply:
    return Reply()


def cut(*deltas: str) -> Reply:
    """The connection is lost after the deltas."""
    return Reply(deltas, end="cut")


def mute(*deltas: str) -> Reply:
    """Headers, perhaps some deltas, then nothing for ever."""
    return Reply(deltas, end="hang")


def endless(*deltas: str) -> Reply:
    """The last delta again and again; no end, whatever `max_tokens` says."""
    return Reply(deltas, end="endless", gap_s=0.0005)


def dripping(text: str, gap_s: float) -> Reply:
    """One letter at a time, slowly."""
    return Reply(tuple(text), gap_s=gap_s)


def slow(reply: Reply, delay_s: float) -> Reply:
    """The same reply, its headers after `delay_s` seconds."""
    return replace(reply, delay_s=delay_s)


def refuses(status: int, message: str, *, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """An error as OpenAI's servers write it."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": status}}).encode()
    return Reply(status=status, body=body, content_type="application/json", headers=tuple(headers))


def whole(body: bytes, content_type: str, status: int = 200) -> Reply:
    """Any body, not streamed."""
    return Reply(status=status, body=body, content_type=content_type)


def raw(*lines: str, end: End = "done") -> Reply:
    """These `data:` lines and nothing of our own before the end."""
    return Reply((), events=lines, end=end)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    """number of the connection it came over, from 1"""
    raw: bytes = field(default=b"", repr=False)
    """the body as it came"""
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]


class FakeOpenAI:
    def __init__(
        self,
        *,
        models: Iterable[str] = ("fake",),
        api_key: str = "",
        fields: Iterable[str] | None = None,
        port: int = 0,
    ) -> None:
        self.models = list(models)
        self.models_reply: Reply | None = None
        """what `/v1/models` answers instead of the list"""
        self.api_key = api_key
        self.fields = None if fields is None else {"model", "messages", "stream", *fields}
        """fields it takes; others are refused with 400. None takes all, as vLLM does"""
        self.otherwise: Reply | Callable[[Request], Reply] = silence()
        """the reply when the script is empty, or what makes it"""
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        """a completion was asked for"""
        self.connections = 0
        self._script: deque[Reply] = deque()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def completions(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def script(self, *replies: Reply) -> None:
        self._script.extend(replies)

    async def __aenter__(self) -> FakeOpenAI:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after `stop()` on the same port again."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=2**26)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    # ------------------------------------------------------------------------------------------------------- serving

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        number = self.connections
        try:
            while (request := await _read_request(reader, number)) is not None:
                self.requests.append(request)
                if request.path.endswith("/chat/completions"):
                    self.asked.set()
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False when the connection is over."""
        replying = asyncio.ensure_future(_send(self._reply(request), request.body.get("model", ""), writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({replying, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not replying.done():
                request.aborted.set()
                return False
            return replying.result()
        except ConnectionError:
            request.aborted.set()
            return False
        finally:
            request.finished.set()
            for task in (replying, leaving):
                task.cancel()
            await asyncio.gather(replying, leaving, return_exceptions=True)

    def _reply(self, request: Request) -> Reply:
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return refuses(401, f"Incorrect API key provided: {request.headers.get('authorization', '')}")
        if request.path == "/v1/models":
            if self.models_reply is not None:
                return self.models_reply
            listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            return whole(json.dumps(listed).encode(), "application/json")
        if request.path != "/v1/chat/completions":
            return whole(b'{"detail":"Not Found"}', "application/json", 404)
        unknown = set(request.body) - self.fields if self.fields is not None else set()
        if unknown:
            return refuses(400, f"Unknown field in request: {', '.join(sorted(unknown))}")
        if request.body["model"] not in self.models:
            return refuses(404, f"The model `{request.body['model']}` does not exist.")
        reply = self._script.popleft() if self._script else self.otherwise
        reply = reply if isinstance(reply, Reply) else reply(request)
        return reply if request.body.get("stream") else _unstreamed(reply)


def _unstreamed(reply: Reply) -> Reply:
    """A good answer to a request that asked for no stream."""
    if reply.body is not None or reply.events or reply.end != "done":
        return reply
    choice = {"message": {"role": "assistant", "content": "".join(reply.deltas)}, "finish_reason": "stop"}
    body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
    return replace(reply, body=body, content_type="application/json")


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """The next request of a connection; None when the client has closed it."""
    head = b""
    with suppress(asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
    if not head:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(body) if body else {}, connection, body)


async def _send(reply: Reply, model: str, writer: asyncio.StreamWriter) -> bool:
    """Send one reply. False when the connection must be dropped after it."""
    await asyncio.sleep(reply.delay_s)
    headers = [("content-type", reply.content_type or "text/event-stream; charset=utf-8"), *reply.headers]
    if reply.body is not None:
        length = len(reply.body) + (reply.end == "cut")
        _write_head(writer, reply.status, [*headers, ("content-length", str(length))])
        writer.write(reply.body)
        await writer.drain()
        return reply.end != "cut"
    _write_head(writer, reply.status, [*headers, ("transfer-encoding", "chunked")])
    await writer.drain()
    for line in reply.events:
        await _chunk(writer, f"data: {line}\n\n", reply.split)
    for delta in reply.deltas:
        await asyncio.sleep(reply.gap_s)
        await _chunk(writer, _event(model, delta), reply.split)
    while reply.end == "endless":
        await asyncio.sleep(reply.gap_s)
        await _chunk(writer, _event(model, reply.deltas[-1]), reply.split)
    while reply.end == "hang" and reply.alive:
        await asyncio.sleep(reply.gap_s)
        await _chunk(writer, reply.alive, reply.split)
    if reply.end == "hang":
        await asyncio.Event().wait()
    if reply.end == "cut":
        return False
    if reply.end == "done":
        await _chunk(writer, _event(model, "", "stop") + "data: [DONE]\n\n", reply.split)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _write_head(writer: asyncio.StreamWriter, status: int, headers: list[tuple[str, str]]) -> None:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers)]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


async def _chunk(writer: asyncio.StreamWriter, text: str, split: int) -> None:
    data = text.encode()
    for at in range(0, len(data), split or len(data)):
        piece = data[at : at + (split or len(data))]
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
        if split:
            await asyncio.sleep(0)


def _event(model: str, delta: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": delta}, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "model": model, "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"
