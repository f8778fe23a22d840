"""A server that speaks https on a real port of loopback, over fakes, and a client that trusts it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.patience import PATIENCE_S
from fakes.server.house import URL, House, house
from joyvl_server.api.http.server import ApiServer, bind
from joyvl_server.api.listening.certificate import find_certificate
from joyvl_server.kit.tls.contexts import client_context
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.settings import ServerSettings


@dataclass(frozen=True)
class HttpsSite:
    house: House
    server: ApiServer
    running: asyncio.Task[None]
    certificate: ServedCertificate
    port: int
    session: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def trust(self) -> ssl.SSLContext:
        """What a client needs that has the certificate's file."""
        own = self.certificate.own
        assert own is not None
        return client_context([own.certificate])

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has said nothing yet."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def secure(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust())

    async def stop(self) -> None:
        self.server.should_exit = True
        await asyncio.wait_for(asyncio.shield(self.running), PATIENCE_S)


@asynccontextmanager
async def https_site(folder: Path, **server: object) -> AsyncIterator[HttpsSite]:
    """`server`: settings of the server."""
    settings = {"port": 0, "shutdown_timeout_s": 1.0, "tls": "self-signed", **server}
    async with house(folder, server=settings) as opened:
        view = await opened.registry.cameras.add(CameraDraft("door", URL))
        certificate = find_certificate(opened.settings, time.time())
        assert certificate is not None
        sockets = bind(ServerSettings(port=0))
        started = asyncio.Event()
        running = ApiServer(opened.app, opened.app.state.api, started.set, certificate)
        task = asyncio.create_task(running.serve(sockets))
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        port = sockets[0].getsockname()[1]
        here = HttpsSite(opened, running, task, certificate, port, view.record.session_id or "")
        try:
            yield here
        finally:
            await here.stop()
            for sock in sockets:
                sock.close()
