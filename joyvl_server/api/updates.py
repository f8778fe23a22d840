"""One ordered, resumable stream of updates a session: server-sent events and WebSocket under one address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Generic, TypeVar

import structlog
from fastapi import APIRouter, Header, Query, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from joyvl_server.api.context import MAX_STREAMS, ApiContext, ApiDep, api_of
from joyvl_server.api.http.auth import SUBPROTOCOL
from joyvl_server.api.http.encoding import to_json
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.http.relay import StreamEnd, UpdateRelay
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.updates import Subscription, Update
from joyvl_server.sessions.speech.broadcast import AudioListening

log = structlog.get_logger(__name__)

router = APIRouter(tags=["sessions"])

T = TypeVar("T")
UPDATES = "/v1/sessions/{session_id}/updates"
FAREWELL_S = 2.0
RETRY_MS = 2000
SLOW_MESSAGE = "You read too slowly, so this stream was closed. Connect again and resume with the last id."

# WebSocket close codes: 1000 and 1012 are the standard's, 4000 and up are for applications.
CLOSE_CODES = {StreamEnd.OVER: 1000, StreamEnd.STOPPING: 1012, StreamEnd.MISUSED: 1003, StreamEnd.SLOW: 4008}
CLOSE_REASONS = {
    StreamEnd.OVER: "the session is over",
    StreamEnd.STOPPING: "the server stops",
    StreamEnd.MISUSED: "this stream only sends",
    StreamEnd.SLOW: "slow: resume with the last id",
}

After = Annotated[str | None, Query(max_length=200, description="Resume after the update with this id.")]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=200,
        description="The same, as browsers send it when they reconnect; wins over `after`.",
    ),
]


@router.get(
    UPDATES,
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "The stream; see docs/reference/updates.md."},
        **problems(404, 503),
    },
)
async def stream_updates(
    api: ApiDep, session_id: str, after: After = None, last_event_id: LastEventId = None
) -> Response:
    """Everything a session does, as server-sent events; with an `Upgrade` header the same as a WebSocket.

    Without a known id the first message is `session.created` with the whole session; with one, what was missed follows.
    """
    session = _session(api, session_id)
    return UpdateStream(api, session.updates.since(last_event_id or after))


@router.websocket(UPDATES)
async def socket_updates(
    socket: WebSocket, session_id: str, after: After = None, audio: bool = False, speaks: bool = False
) -> None:
    """`audio`: also the sound of what is said, never again later. `speaks`: the client has a voice of its own."""
    api = api_of(socket)
    session = _session(api, session_id)
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None)
    with counted(api, "websocket"), contextlib.ExitStack() as presence:
        updates = session.updates.since(after)
        if speaks:
            presence.enter_context(session.speech.client())
        sound = presence.enter_context(session.speech.listening()) if audio else None
        channel = SocketChannel(socket, updates, sound)
        end = await UpdateRelay(api.clock, updates, channel, api.stopping).run()
    _note(api, end)
    if end in CLOSE_CODES:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await socket.close(CLOSE_CODES[end], CLOSE_REASONS[end])
        except (TimeoutError, OSError, RuntimeError, WebSocketDisconnect):
            pass


class SocketChannel:
    """See `UpdateChannel`. A WebSocket that only sends."""

    def __init__(self, socket: WebSocket, updates: Subscription, sound: AudioListening | None = None) -> None:
        self._socket = socket
        self._updates = updates
        self._sound = sound

    async def deliver(self, update: Update) -> None:
        await self._socket.send_text(_json(update))

    async def beat(self) -> None:
        """Scripts in a browser do not see the protocol's own pings (see `serve`)."""
        await self.deliver(self._updates.heartbeat())

    async def gone(self) -> StreamEnd:
        """Sends the sound meanwhile: it waits for no update, and no update for it."""
        sending = asyncio.create_task(self._send_sound())
        try:
            message = await self._socket.receive()
        finally:
            sending.cancel()
        return StreamEnd.GONE if message["type"] == "websocket.disconnect" else StreamEnd.MISUSED

    async def _send_sound(self) -> None:
        if self._sound is not None:
            with contextlib.suppress(OSError, RuntimeError, WebSocketDisconnect):
                async for piece in self._sound:
                    await self._socket.send_text(to_json(piece.to_update()))


class EventChannel(Generic[T]):
    """See `UpdateChannel`. The body of a stream of server-sent events."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def write(self, text: str, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": more})

    async def deliver(self, update: T, /) -> None:
        raise NotImplementedError

    async def beat(self) -> None:
        raise NotImplementedError

    async def gone(self) -> StreamEnd:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return StreamEnd.GONE


class UpdateEvents(EventChannel[Update]):
    def __init__(self, receive: Receive, send: Send, updates: Subscription) -> None:
        super().__init__(receive, send)
        self._updates = updates

    async def deliver(self, update: Update, /) -> None:
        await self.write(f"id: {update.id}\ndata: {_json(update)}\n\n")

    async def beat(self) -> None:
        await self.write(f"data: {_json(self._updates.heartbeat())}\n\n")


class EventStream(Response, Generic[T]):
    """`text/event-stream`. Without the `event` field, so that one `onmessage` gets every type; it is in the data."""

    media_type = "text/event-stream"

    def __init__(self, api: ApiContext, updates: AsyncIterator[T]) -> None:
        # No content-length: the body is not known yet.
        self.status_code, self.background = 200, None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._api = api
        self._updates = updates

    def channel(self, receive: Receive, send: Send) -> EventChannel[T]:
        """The way to the client."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel = self.channel(receive, send)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await channel.write(f"retry: {RETRY_MS}\n\n")
        with counted(self._api, "sse"):
            end = await UpdateRelay(self._api.clock, self._updates, channel, self._api.stopping).run()
        _note(self._api, end)
        if end is StreamEnd.GONE:
            return
        last = {StreamEnd.SLOW: f"data: {_SLOW}\n\n", StreamEnd.STOPPING: ": the server stops\n\n"}.get(end, "")
        try:
            async with asyncio.timeout(FAREWELL_S):
                await channel.write(last, more=False)
        except (TimeoutError, OSError):
            pass


class UpdateStream(EventStream[Update]):
    def __init__(self, api: ApiContext, updates: Subscription) -> None:
        super().__init__(api, updates)
        self._subscription = updates

    def channel(self, receive: Receive, send: Send) -> UpdateEvents:
        return UpdateEvents(receive, send, self._subscription)


_SLOW = to_json({"type": "error", "error": {"code": "slow", "message": SLOW_MESSAGE}})


def _session(api: ApiContext, session_id: str) -> Session:
    session = api.registry.session(session_id)
    check_streams(api)
    return session


def check_streams(api: ApiContext) -> None:
    """Raises `Unavailable` while as many streams are open as may be."""
    if api.streams >= MAX_STREAMS:
        raise Unavailable(f"{MAX_STREAMS} update streams are open; close one first.", code="too_many_streams")


@contextlib.contextmanager
def counted(api: ApiContext, transport: str) -> Iterator[None]:
    """One stream more, as long as the block lasts."""
    api.streams += 1
    gauge = api.metrics.streams.labels(transport)
    gauge.inc()
    try:
        yield
    finally:
        api.streams -= 1
        gauge.dec()


def _note(api: ApiContext, end: StreamEnd) -> None:
    if end is StreamEnd.SLOW:
        api.metrics.slow.inc()
        log.info("update stream closed: the client read too slowly")


def _json(update: Update) -> str:
    return to_json(update.to_dict())
