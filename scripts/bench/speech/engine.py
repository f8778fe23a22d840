"""What the engines of these benches share: an OpenAI-compatible server in a thread, as long as a block lasts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

from fakes.engines.openai_server import FakeOpenAI, Reply, Request

START_S = 20.0


class BenchEngine:
    """`with …Engine() as engine:` runs it; `settings` are `engine` of the server that asks it."""

    def __init__(self) -> None:
        self._server = FakeOpenAI(models=["instant"])
        self._server.otherwise = self._reply
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="engine", daemon=True)

    @property
    def settings(self) -> dict[str, Any]:
        options = {"base_url": self._server.base_url, "model": "instant", "protocol": "markers"}
        return {"name": "openai", "options": {"openai": options}}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("The engine did not start.")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def _reply(self, request: Request) -> Reply:
        """Called in the thread, for each request."""
        raise NotImplementedError

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._server:
            self._ready.set()
            await self._stop.wait()
