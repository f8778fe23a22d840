"""An OpenAI-shaped engine that answers every question at once, and notes when each one came and went."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, says, silence
from joyvl_server.core.prompt.wire_format import QUERY_HEADER

ANSWER = "I can see three of them."
LETTERS = "Answer with one letter."
START_S = 20.0


class AnsweringEngine:
    """`asked`: Unix seconds at which each request came that holds words of somebody in its newest turn; the kind of
    request (`once`) is asked first, so there are two for a question. `chosen`: the letter for that."""

    def __init__(self, chosen: str = "A") -> None:
        self.asked: list[float] = []
        self.chosen = chosen
        self._server = FakeOpenAI(models=["instant"])
        self._server.otherwise = self._reply
        self._loop = asyncio.new_event_loop()

    @property
    def settings(self) -> dict[str, Any]:
        """`engine` of the server's settings."""
        return {
            "name": "openai",
            "options": {"openai": {"base_url": self._server.base_url, "model": "instant", "protocol": "markers"}},
        }

    def _reply(self, request: Request) -> Reply:
        newest = json.dumps(request.messages[-1], ensure_ascii=False)
        if LETTERS in newest:
            if "has just said to you" in newest:
                self.asked.append(time.time())
            return says(self.chosen)
        if QUERY_HEADER not in newest:
            return silence()
        self.asked.append(time.time())
        return says(f"</response> {ANSWER}")

    def run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.start())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._server.stop())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextmanager
def answering_engine(chosen: str = "A") -> Iterator[AnsweringEngine]:
    """In a thread, as long as the block lasts."""
    engine, ready = AnsweringEngine(chosen), threading.Event()
    thread = threading.Thread(target=engine.run, args=(ready,), name="engine", daemon=True)
    thread.start()
    ready.wait(START_S)
    try:
        yield engine
    finally:
        engine.stop()
        thread.join(START_S)
