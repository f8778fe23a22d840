"""Realtime clients on the data channels of calls. A call without one costs nothing here."""

from __future__ import annotations

import asyncio

import structlog

from joyvl_server.api.realtime.connection import RealtimeConnection
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import SourceClient
from joyvl_server.sessions.memory.requests import Asker
from joyvl_server.sessions.session import Session

log = structlog.get_logger(__name__)

MAX_WAITING = 256
"""events of one client that may wait; what comes more is dropped"""


class CallTransport:
    """A `RealtimeTransport` over the data channel of one call."""

    def __init__(self, client: SourceClient) -> None:
        self._client = client
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    def came(self, text: str) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(text)

    async def send(self, text: str) -> None:
        """See `RealtimeTransport`."""
        await self._client.send(text)

    async def receive(self) -> str:
        """See `RealtimeTransport`."""
        return await self._waiting.get()


class DataChannels:
    """Of all calls of this server."""

    def __init__(self) -> None:
        self._running: dict[str, ChannelClient] = {}

    def __len__(self) -> int:
        """How many clients there are."""
        return sum(one.running for one in self._running.values())

    def serve(self, session: Session, wanted: CallSession, asker: Asker) -> None:
        """From the moment the client opens its data channel until the session is over."""
        self._running = {id: one for id, one in self._running.items() if not one.over}
        client = self._running[session.id] = ChannelClient(session, wanted, asker)
        session.source.client.listen(client.take)

    def close(self) -> None:
        """The server stops."""
        for one in self._running.values():
            one.close()
        self._running.clear()


class ChannelClient:
    """One call's client: a connection for each time that it opens the channel."""

    def __init__(self, session: Session, wanted: CallSession, asker: Asker) -> None:
        self._session = session
        self._wanted = wanted
        self._asker = asker
        self._transport: CallTransport | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def over(self) -> bool:
        """Is its session?"""
        return self._session.updates.closed and not self.running

    def take(self, text: str | None) -> None:
        """See `TextListener`."""
        if text is not None:
            if self._transport is not None:
                self._transport.came(text)
            return
        self.close()
        self._transport = CallTransport(self._session.source.client)
        self._task = asyncio.create_task(self._run(self._transport), name=f"data channel of {self._session.id}")

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, transport: CallTransport) -> None:
        connection = RealtimeConnection(self._session, self._wanted, transport, call=True, asker=self._asker)
        try:
            await connection.run(asyncio.Event())
        except SourceError:
            pass  # it has gone
        except Exception:  # the edge of one client: its call goes on without events
            log.exception("the data channel of a call failed", session=self._session.id)
