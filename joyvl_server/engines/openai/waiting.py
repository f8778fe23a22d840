"""Waits for a server: bounded in time, and ended at once when the session closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from joyvl_server.core.errors import EngineError, EngineTimeout


class Waiting:
    """The one wait of a session; calls to a session never overlap, but closing it may come at any time."""

    def __init__(self, server: str) -> None:
        self.closed = False
        self._server = server
        self._wait: asyncio.Timeout | None = None
        self._quiet = asyncio.Event()

    @asynccontextmanager
    async def until(self, deadline: float, late: str) -> AsyncIterator[None]:
        """Raises `EngineTimeout` ("the server {late}") at `deadline`, `EngineError` when the session closes."""
        self.check_open()
        self._quiet.clear()
        try:
            async with asyncio.timeout_at(deadline) as self._wait:
                yield
        except TimeoutError:
            self.check_open()
            raise EngineTimeout(
                f"{self._server} {late}. It is overloaded, or the timeout is too short for it."
            ) from None
        finally:
            self._wait = None
            self._quiet.set()

    async def close(self) -> None:
        """End the wait of whoever waits, and let no other begin. Cancelled, it does not see that wait end."""
        self.closed = True
        while self._wait is not None:
            if not self._wait.expired():
                self._wait.reschedule(now())
            await self._quiet.wait()

    def check_open(self) -> None:
        if self.closed:
            raise EngineError("The engine session is closed.", code="engine_closed")


def now() -> float:
    return asyncio.get_running_loop().time()
