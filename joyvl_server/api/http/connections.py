"""Connections are bounded in number and in time, so that nobody keeps the others out by holding many of them.

A connection that waits for its client (for a request, or for the rest of one) may be closed: after its time, or when
all places are taken and a new client comes. Then the one goes that has waited longest, those first that never sent an
authorised request. A connection that we are answering on is never taken away.
"""

from __future__ import annotations

import asyncio
import enum
import resource
from collections import Counter
from typing import Any, cast

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from joyvl_server.api.http.auth import client_of
from joyvl_server.api.http.bodies import REALTIME_PATH
from joyvl_server.api.http.hosts import ProxyPolicy

log = structlog.get_logger(__name__)

MAX_DESCRIPTORS = 65_536
MAX_REALTIME_MESSAGE = 4 * 1024 * 1024
"""Bytes of a WebSocket message of a Realtime client: pictures and sound in base64."""
CLIENT_SHARE = 0.75
"""One address holds at most this part of all places, a trusted proxy all of them."""


class ConnectionPhase(enum.Enum):
    """What a connection waits for. From the client: TLS, a whole head, the rest of a body, a next request. Or our
    answer."""

    HANDSHAKE = "handshake"
    HEAD = "head"
    BODY = "body"
    IDLE = "idle"
    ANSWER = "answer"


TIMEOUTS_S = {
    ConnectionPhase.HANDSHAKE: 10.0,
    ConnectionPhase.HEAD: 10.0,
    ConnectionPhase.BODY: 45.0,
    ConnectionPhase.IDLE: 30.0,
}
"""A body has its own shorter timeout with an answer (`bodies`); this one ends clients that go on after the answer."""


def raise_descriptor_limit() -> int:
    """The soft limit of this process and its children becomes the hard one, within reason. Returns the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


class Connection:
    """One place. `transport` is None until it is connected, `handshake` what connects it where that takes time."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.transport: asyncio.Transport | None = None
        self.handshake: asyncio.Task[None] | None = None
        self.proven = False

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()


class Connections:
    """The places. At least half of the descriptors stay for everything else that the server has to open."""

    def __init__(self, limit: int, descriptors: int, proxies: ProxyPolicy) -> None:
        self.limit = max(1, min(limit, descriptors // 2))
        self._share = max(1, int(self.limit * CLIENT_SHARE))
        self._proxies = proxies
        self._held: set[Connection] = set()
        self._of_client: Counter[str] = Counter()
        self._waiting: tuple[dict[Connection, None], dict[Connection, None]] = ({}, {})
        """Unproven and proven ones that wait for their client, longest first."""
        self._full = False

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, address: str) -> Connection | None:
        """A place for a new connection, if need be that of another. None: every place is in use."""
        client = client_of(address)
        crowding = self._of_client[client] >= self._share and not self._proxies.trusts(address)
        if (crowding or len(self._held) >= self.limit) and not self.close_one(client if crowding else None):
            return None
        connection = Connection(client)
        self._held.add(connection)
        self._of_client[client] += 1
        return connection

    def close_one(self, client: str | None = None) -> bool:
        """Close the connection (of this client) that has waited longest. False: none waits."""
        if not self._full:
            self._full = True
            log.warning("connections are at their limit; those that wait longest are closed", limit=self.limit)
        waiting = (one for line in self._waiting for one in line if client is None or one.client == client)
        found = next(waiting, None)
        if found is None:
            return False
        self.remove(found)
        found.abort()
        return True

    def waits(self, connection: Connection, waits: bool) -> None:
        """It begins, or ends, to wait for its client."""
        for line in self._waiting:
            line.pop(connection, None)
        if waits and connection in self._held:
            self._waiting[connection.proven][connection] = None

    def remove(self, connection: Connection) -> None:
        self.waits(connection, False)
        if connection not in self._held:
            return
        self._held.remove(connection)
        self._of_client[connection.client] -= 1
        if not self._of_client[connection.client]:
            del self._of_client[connection.client]
        if self._full and len(self._held) <= self.limit // 2:
            self._full = False
            log.info("connections are below their limit again", limit=self.limit)


class ConnectionState(ServerState):
    """What uvicorn gives to every protocol."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self.places = connections


class HttpConnection(H11Protocol):
    """uvicorn's protocol, with a timeout for whatever the client owes us."""

    place: Connection
    _phase: ConnectionPhase | None = None
    _timer: asyncio.TimerHandle | None = None
    _asked = False

    @property
    def _places(self) -> Connections:
        return cast(ConnectionState, self.server_state).places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.place.transport = transport
        self._follow()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        authorised = self.scope["state"].get("authorised", False)
        self.place.proven = self.place.proven or bool(authorised)
        super().on_response_complete()
        self._follow()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._enter(ConnectionPhase.ANSWER)
        super().handle_websocket_upgrade(event)
        upgraded = cast(WebSocketConnection, self.transport.get_protocol())
        upgraded.place = self.place
        if self.scope["path"] == REALTIME_PATH:
            upgraded.conn.max_message_size = MAX_REALTIME_MESSAGE

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter(ConnectionPhase.ANSWER)
        self._places.remove(self.place)
        super().connection_lost(exc)

    def _follow(self) -> None:
        if self.transport.get_protocol() is not self:
            return
        if self.transport.is_closing():
            # TLS ends with a word of the client, too: until then its place may be had by others.
            self._places.waits(self.place, self.scheme == "https")
            return
        theirs = self.conn.their_state
        self._asked = self._asked or theirs is not h11.IDLE
        if theirs is h11.SEND_BODY:
            self._enter(ConnectionPhase.BODY)
        elif theirs is not h11.IDLE:
            self._enter(ConnectionPhase.ANSWER)
        elif self._asked and not self.conn.trailing_data[0]:
            self._enter(ConnectionPhase.IDLE)
        else:
            self._enter(ConnectionPhase.HEAD)

    def _enter(self, phase: ConnectionPhase) -> None:
        if phase is self._phase:
            return  # whoever sends byte by byte does not get more time for it
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase in TIMEOUTS_S:
            self._timer = self.loop.call_later(TIMEOUTS_S[phase], self.transport.abort)
        self._places.waits(self.place, phase is not ConnectionPhase.ANSWER)


class WebSocketConnection(WebSocketsSansIOProtocol):
    """An upgraded connection keeps its place; uvicorn's pings find out whether somebody is still there."""

    place: Connection

    def connection_lost(self, exc: Exception | None) -> None:
        cast(ConnectionState, self.server_state).places.remove(self.place)
        super().connection_lost(exc)

    def __init__(self, config: Any, server_state: ServerState, app_state: dict[str, Any], **more: Any) -> None:
        super().__init__(config, server_state, app_state, **more)
        self.server_state = server_state
