"""Carries a session's updates to one client until one side ends it. SSE and WebSocket share this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from starlette.websockets import WebSocketDisconnect

from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.sinks.updates import SlowReader

HEARTBEAT_S = 2.0
"""Seconds of silence after which a sign of life is sent. Clients that hear nothing for some of them know that the line
is dead, long before the network says so."""
SEND_TIMEOUT_S = 20.0
"""Seconds one message may wait for the client to read before the client counts as too slow."""
LOOK_S = 1.0

T = TypeVar("T")
Sent = TypeVar("Sent", contravariant=True)


class StreamEnd(StrEnum):
    """Why a stream ended."""

    OVER = "over"
    """the session ended and everything was sent"""
    SLOW = "slow"
    """the client read too slowly"""
    GONE = "gone"
    """the client went away"""
    STOPPING = "stopping"
    """the server shuts down"""
    MISUSED = "misused"
    """the client sent something to a stream that only sends"""


class UpdateChannel(Protocol[Sent]):
    """The way to one client. Sending raises `OSError` or `WebSocketDisconnect` when the client is gone.

    After a call that was cancelled nothing more is sent.
    """

    async def deliver(self, update: Sent, /) -> None:
        """Send one update."""

    async def beat(self) -> None:
        """Send a sign of life."""

    async def gone(self) -> StreamEnd:
        """Wait until the client ends the stream."""


@dataclass(slots=True)
class UpdateRelay(Generic[T]):
    """What the channel does is cancelled, and the subscription is let go, before `run` returns."""

    clock: Clock
    updates: AsyncIterator[T]
    channel: UpdateChannel[T]
    stopping: asyncio.Event
    _sending_since: float | None = field(default=None, init=False)
    _sent_at: float = field(default=0.0, init=False)

    async def run(self) -> StreamEnd:
        self._sent_at = self.clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            ends = [
                tasks.create_task(self.channel.gone()),
                tasks.create_task(self._stopped()),
                tasks.create_task(self._pump()),
                tasks.create_task(self._pulse()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            # Of several at once the one that says most: who has left was also too slow.
            first = next(task for task in ends if task.done())
            for task in ends:
                task.cancel()
        return first.result()

    async def _pump(self) -> StreamEnd:
        try:
            async for update in self.updates:
                self._sending_since = self.clock.monotonic()
                await self.channel.deliver(update)
                self._sending_since = None
                self._sent_at = self.clock.monotonic()
                await asyncio.sleep(0)  # a long backlog must not hold the loop
        except SlowReader:
            return StreamEnd.SLOW
        except (OSError, WebSocketDisconnect):
            return StreamEnd.GONE
        return StreamEnd.OVER

    async def _pulse(self) -> StreamEnd:
        try:
            while True:
                await self.clock.sleep(LOOK_S)
                now = self.clock.monotonic()
                if self._sending_since is not None:
                    if now - self._sending_since >= SEND_TIMEOUT_S:
                        return StreamEnd.SLOW
                elif now - self._sent_at >= HEARTBEAT_S:
                    self._sent_at = now
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self.channel.beat()
        except TimeoutError:
            return StreamEnd.SLOW
        except (OSError, WebSocketDisconnect):
            return StreamEnd.GONE

    async def _stopped(self) -> StreamEnd:
        await self.stopping.wait()
        return StreamEnd.STOPPING
