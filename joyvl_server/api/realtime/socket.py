"""OpenAI's Realtime API over a WebSocket: the client pushes sound and pictures, and gets sound."""

from __future__ import annotations

import asyncio

import structlog
from fastapi import APIRouter, WebSocket
from fastapi.exceptions import WebSocketRequestValidationError
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from joyvl_server.api.context import MAX_STREAMS, ApiContext, api_of
from joyvl_server.api.http.auth import key_of
from joyvl_server.api.http.bodies import REALTIME_PATH
from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.http.relay import StreamEnd
from joyvl_server.api.realtime.connection import RealtimeConnection
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.api.updates import CLOSE_CODES, CLOSE_REASONS, FAREWELL_S, counted
from joyvl_server.sessions.session import Session

log = structlog.get_logger(__name__)

router = APIRouter(tags=["realtime"])

SUBPROTOCOL = "realtime"


class SocketTransport:
    """A `RealtimeTransport` over a WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """See `RealtimeTransport`."""
        try:
            await self._socket.send_text(text)
        except RuntimeError:
            raise WebSocketDisconnect from None

    async def receive(self) -> str | None:
        """See `RealtimeTransport`."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        text: str | None = message.get("text")
        return text


@router.websocket(REALTIME_PATH)
async def socket_realtime(socket: WebSocket, model: str | None = None) -> None:
    """A session of its own, as long as the connection lasts."""
    api = api_of(socket)
    if api.streams >= MAX_STREAMS:
        raise Unavailable(f"{MAX_STREAMS} streams are open; close one first.", code="too_many_streams")
    try:
        asked = CallSession(model=model) if model is not None else CallSession()
    except ValidationError as error:
        found = [{**one, "loc": ("query", *one["loc"])} for one in error.errors(include_url=False)]
        raise WebSocketRequestValidationError(found) from None
    with counted(api, "websocket"):
        with api.secrets.used(key_of(socket), asked) as wanted:
            session = await api.registry.open_pushed(
                name=wanted.name, spec=wanted.spec(call=False), watches=wanted.drafts()
            )
        try:
            await _serve(api, socket, session, wanted)
        finally:
            await api.registry.close_pushed(session.id)


async def _serve(api: ApiContext, socket: WebSocket, session: Session, wanted: CallSession) -> None:
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None)
    connection = RealtimeConnection(session, wanted, SocketTransport(socket), call=False, asker=socket.state.who.asker)
    end = await connection.run(api.stopping)
    if end is StreamEnd.SLOW:
        log.info("realtime connection closed: the client read too slowly")
    if end in CLOSE_CODES:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await socket.close(CLOSE_CODES[end], CLOSE_REASONS[end])
        except (TimeoutError, OSError, RuntimeError, WebSocketDisconnect):
            pass
