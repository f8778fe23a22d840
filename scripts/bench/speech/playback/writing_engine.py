"""An engine that writes what it is told to at its next decision, and tells when it did: an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Self

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, says, silence
from joyvl_server.core.prompt.wire_format import RESPONSE

START_S = 10.0


class WritingEngine:
    """`with WritingEngine() as engine:` runs it in a thread; `settings` are those of the server that asks it."""

    def __init__(self) -> None:
        self.written: float | None = None
        """Unix seconds at which the last text was given out; None while it waits for a decision"""
        self._text: str | None = None
        self._url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="engine", daemon=True)

    @property
    def settings(self) -> dict[str, Any]:
        return {"name": "openai", "options": {"openai": {"base_url": self._url, "protocol": "markers"}}}

    def write(self, text: str) -> None:
        """The next decision is to say this."""
        self.written, self._text = None, text

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("The engine did not start.")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with FakeOpenAI() as server:
            server.otherwise = self._reply
            self._url = server.base_url
            self._ready.set()
            await self._stop.wait()

    def _reply(self, request: Request) -> Reply:
        if self._text is None or not request.body.get("stream"):
            return silence()
        text, self._text = self._text, None
        self.written = time.time()
        return says(f"{RESPONSE} {text}")
