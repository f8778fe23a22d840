"""Accepts connections; where there is a certificate, also the greeting of TLS, which must not hold the others up."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from joyvl_server.api.http.connections import TIMEOUTS_S, Connection, ConnectionPhase, Connections, HttpConnection
from joyvl_server.kit.tls.served import ServedCertificate

log = structlog.get_logger(__name__)

ACCEPTS_AT_ONCE = 16
ACCEPT_PAUSE_S = 0.5
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
TLS_RECORD = b"\x16"
"""The first byte of whoever speaks TLS: a record of its handshake."""


class Listener:
    """Accepts on listening sockets. asyncio's own would log each of thousands of refused accepts with a traceback.

    Has what uvicorn asks of an `asyncio.Server`: `close` and `wait_closed`. The sockets belong to the caller.
    `connect` makes the protocol of a connection. With a `certificate` it is called with True for a client that speaks
    TLS, with False for one that speaks http to a port of https; without one always with True.
    """

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        connections: Connections,
        connect: Callable[[bool], HttpConnection],
        certificate: ServedCertificate | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = list(sockets)
        self._connections = connections
        self._connect = connect
        self._certificate = certificate
        self._connecting: set[asyncio.Task[None]] = set()
        self._resume: dict[socket.socket, asyncio.TimerHandle] = {}
        self._failing = False
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def close(self) -> None:
        for timer in self._resume.values():
            timer.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
        if self._certificate is not None:  # a handshake may never end
            for task in self._connecting:
                task.cancel()

    async def wait_closed(self) -> None:
        """Wait for the connections that are being made. Cancelled, it cancels these too."""
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                client, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            if self._failing:
                self._failing = False
                log.info("connections are accepted again")
            self._admit(client, str(address[0]) if address else "")

    def _admit(self, client: socket.socket, address: str) -> None:
        client.setblocking(False)
        place = self._connections.admit(address)
        if place is None:
            with client, suppress(OSError):
                if self._certificate is None:
                    client.send(BUSY)
            return
        greeting = self._serve(client, place) if self._certificate is None else self._greet(client, place)
        task = self._loop.create_task(greeting, name="connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        if self._certificate is not None:
            place.handshake = task
            self._connections.waits(place, True)

    async def _greet(self, client: socket.socket, place: Connection) -> None:
        """As `_serve`, once the client has said whether it speaks TLS; all of that in the time of a handshake."""
        assert self._certificate is not None
        try:
            async with asyncio.timeout(TIMEOUTS_S[ConnectionPhase.HANDSHAKE]):
                first = await self._first_byte(client)
                if first:
                    await self._serve(client, place, self._certificate.context if first == TLS_RECORD else None)
        except (OSError, TimeoutError):
            pass
        finally:
            if place.transport is None:
                client.close()
                self._connections.remove(place)

    async def _first_byte(self, client: socket.socket) -> bytes:
        """What the client says first, left where it is; empty when it is gone. Cancelling leaves nothing behind."""
        readable = asyncio.Event()
        self._loop.add_reader(client, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(client)
        return client.recv(1, socket.MSG_PEEK)

    async def _serve(self, client: socket.socket, place: Connection, tls: ssl.SSLContext | None = None) -> None:
        protocol = self._connect(tls is not None or self._certificate is None)
        protocol.place = place
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
        except OSError:  # gone already
            client.close()
            self._connections.remove(place)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """No descriptor is left, mostly: make room for one, and try again in a moment."""
        if not self._failing:
            self._failing = True
            log.error("connections cannot be accepted", error=error.strerror, held=len(self._connections))
        self._connections.close_one()
        self._loop.remove_reader(listening)
        self._resume[listening] = self._loop.call_later(
            ACCEPT_PAUSE_S, self._loop.add_reader, listening, self._accept, listening
        )
