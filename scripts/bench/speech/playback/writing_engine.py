"""An engine that writes what it is told to at its next decision, and tells when it did."""

from __future__ import annotations

import time

from bench.speech.engine import BenchEngine
from fakes.engines.openai_server import Reply, Request, says, silence
from joyvl_server.core.prompt.wire_format import RESPONSE


class WritingEngine(BenchEngine):
    def __init__(self) -> None:
        super().__init__()
        self.written: float | None = None
        """Unix seconds at which the last text was given out; None while it waits for a decision"""
        self._text: str | None = None

    def write(self, text: str) -> None:
        """The next decision is to say this."""
        self.written, self._text = None, text

    def _reply(self, request: Request) -> Reply:
        if self._text is None or not request.body.get("stream"):
            return silence()
        text, self._text = self._text, None
        self.written = time.time()
        return says(f"{RESPONSE} {text}")
