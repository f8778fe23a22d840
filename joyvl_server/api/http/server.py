"""uvicorn inside our own process: our sockets, our signals, and a shutdown that is over in time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import shlex
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from joyvl_server.api.context import ApiContext
from joyvl_server.api.http.connections import (
    TIMEOUTS_S,
    ConnectionPhase,
    Connections,
    ConnectionState,
    HttpConnection,
    WebSocketConnection,
    raise_descriptor_limit,
)
from joyvl_server.api.http.hosts import HostPolicy, ProxyPolicy
from joyvl_server.api.listening.listener import Listener
from joyvl_server.api.listening.plain import PlainHttpAnswer
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.settings import ServerSettings

BACKLOG = 128
STUCK_MS = 30_000
"""A client that takes nothing for so long is cut off; else a stream nobody reads would keep its socket for ever."""
PING_S = 15.0
PONG_S = 30.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)
CLIENTS_DOING = (
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
    "ASGI callable returned without completing handshake.",
    "ASGI callable returned without completing response.",
)
MAX_MESSAGE = 65_536
"""Bytes of a WebSocket message to us; most clients have nothing to say there."""
CONNECTIONS_S = 3.0
"""Most seconds, and at most a third of the shutdown time, for requests that are being answered."""


def _is_news(record: logging.LogRecord) -> bool:
    """What clients do wrong is no mistake of the app, as uvicorn takes it, and must not fill the log.

    Nor is a request that the end of the server cuts off: uvicorn tells their number in one line.
    """
    cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and record.getMessage() not in CLIENTS_DOING


class ApiServer(uvicorn.Server):
    """Signals are the caller's business. `announce` runs once it really listens; streams end when it shuts down.

    With a `certificate` it speaks https, and tells so to whom speaks http.
    """

    def __init__(
        self,
        app: FastAPI,
        api: ApiContext,
        announce: Callable[[], None],
        certificate: ServedCertificate | None = None,
    ) -> None:
        settings = api.settings.server
        super().__init__(
            _config(
                app,
                settings,
                ws=WebSocketConnection,
                ws_max_size=MAX_MESSAGE,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PONG_S,
                ws_per_message_deflate=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
            )
        )
        self._plain = _config(PlainHttpAnswer(HostPolicy.of(settings)), settings, ws="none", proxy_headers=False)
        self._certificate = certificate
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._connections = Connections(settings.max_connections, raise_descriptor_limit(), ProxyPolicy.of(settings))
        self.server_state = ConnectionState(self._connections)
        self._api = api
        self._announce = announce

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise the signal again at the end, and a clean stop would look like a crash."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self.servers = [Listener(sockets or [], self._connections, self._connect, self._certificate)]  # type: ignore[list-item]
        self._announce()

    def _connect(self, expected: bool) -> HttpConnection:
        return HttpConnection(self.config if expected else self._plain, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._api.stop_by = self._api.clock.monotonic() + self._api.settings.server.shutdown_timeout_s
        self._api.stopping.set()
        await super().shutdown(sockets)


def _config(app: ASGIApp, settings: ServerSettings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=HttpConnection,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(TIMEOUTS_S[ConnectionPhase.IDLE]),
        timeout_graceful_shutdown=math.ceil(min(CONNECTIONS_S, settings.shutdown_timeout_s / 3)),
        backlog=BACKLOG,
        **more,
    )


_HINTS = {
    errno.EADDRNOTAVAIL: "It is not an address of this machine: set server.host to one of its own, or 0.0.0.0 for all.",
    errno.EACCES: "Ports below 1024 are root's: choose server.port from 1024 on.",
}


def bind(settings: ServerSettings) -> list[socket.socket]:
    """Sockets for every address of `host`. Raises `ConfigError` with a sentence when one cannot be had; `JoyvlError`
    where another program has it, which may end."""
    host, port = settings.host.strip("[]"), settings.port
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise ConfigError(f"server.host: {host} is not an address of this machine.") from None
    # Of a free port of the system's choice there is one, not one per address.
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))[: 1 if port == 0 else None]
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            sockets.append(_socket(family, address))
    except OSError as error:
        for opened in sockets:
            opened.close()
        said = f"Cannot listen on {host} port {port}: {error.strerror or error}."
        if error.errno == errno.EADDRINUSE:
            look = f"joyvl doctor port --host {shlex.quote(host or '0.0.0.0')} --port {port}"
            hint = f"Stop the other program ({look} names it), or choose another server.port."
            raise JoyvlError(f"{said} {hint}") from None
        hint = _HINTS.get(error.errno or 0, "Check server.host and server.port.")
        raise ConfigError(f"{said} {hint}") from None
    return sockets


def _socket(family: int, address: tuple[object, ...]) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; accepted ones inherit it.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Accepted connections inherit it from the listening socket.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MS)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def url_of(sockets: list[socket.socket], scheme: str = "http") -> str:
    host, port = sockets[0].getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class StopSignal:
    """What a signal does: end the server; before there is one, cancel its start."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self.server: ApiServer | None = None
        self.asked = False
        self._task = asyncio.current_task()
        self._on_stop = on_stop

    def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        self.asked = True
        self._on_stop()
        if self.server is not None:
            self.server.should_exit = True
        elif self._task is not None:
            self._task.cancel()


@contextlib.asynccontextmanager
async def hang_ups() -> AsyncIterator[asyncio.Event]:
    """Set at every SIGHUP in the block, also while the server starts. On a terminal that is closed it ends the process,
    as it does any other program."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    ours = threading.current_thread() is threading.main_thread() and not (sys.stdin and sys.stdin.isatty())
    if ours:
        loop.add_signal_handler(signal.SIGHUP, heard.set)
    try:
        yield heard
    finally:
        if ours:
            loop.remove_signal_handler(signal.SIGHUP)


@contextlib.asynccontextmanager
async def until_signal(on_stop: Callable[[], None]) -> AsyncIterator[StopSignal]:
    """See `StopSignal`. A block that a signal has cancelled ends without an error."""
    stop = StopSignal(on_stop)
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            loop.add_signal_handler(number, stop)
    try:
        yield stop
    except asyncio.CancelledError:
        if not stop.asked:
            raise
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
