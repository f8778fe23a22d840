"""An OpenAI-shaped engine that answers every question at once, and notes when each one came and went."""

from __future__ import annotations

import json
import time

from bench.speech.engine import BenchEngine
from fakes.engines.openai_server import Reply, Request, says, silence
from joyvl_server.core.prompt.wire_format import QUERY_HEADER

ANSWER = "I can see three of them."
LETTERS = "Answer with one letter."


class AnsweringEngine(BenchEngine):
    """`asked`: Unix seconds at which each request came that holds words of somebody in its newest turn; the kind of
    request (`once`) is asked first, so there are two for a question. `chosen`: the letter for that."""

    def __init__(self, chosen: str = "A") -> None:
        super().__init__()
        self.asked: list[float] = []
        self.chosen = chosen

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
