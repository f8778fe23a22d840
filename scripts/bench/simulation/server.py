"""A simulated vLLM in virtual time: prefix cache, continuous batching, pictures known by name. No network, no weights.

It takes what the engine `openai` really sends, and answers as a scripted model does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.simulation.batcher import ContinuousBatcher, Job
from bench.simulation.card import CARD, Card
from bench.simulation.prompt import Piece, Reader, prompt_of, text_pieces, tokens_of
from bench.simulation.replies import (
    CHOOSE,
    RESPONSE_ID,
    SAY,
    SCORE,
    WRITE,
    ParsedRequest,
    SimulatedCompletion,
    completion,
    kind_of,
    token,
)
from bench.simulation.scripted_model import ScriptedModel
from bench.simulation.sources import size_of
from joyvl_server.core.errors import EngineError
from joyvl_server.engines.openai.conversation import request_body
from joyvl_server.engines.openai.failures import Endpoint
from joyvl_server.engines.openai.stream import Completion
from joyvl_server.kit.clock import Clock

MODEL = "simulated"


@dataclass(frozen=True, slots=True)
class Request:
    """One finished request. Times are monotonic; `pictures` are those of its newest turn."""

    kind: str
    began: float
    ended: float
    tokens: int
    cached: int
    fresh: int
    images: int
    """tokens of pictures among the fresh ones"""
    bytes: int
    pictures: tuple[str, ...]
    text: str = ""
    """words of its newest turn"""


@dataclass(slots=True)
class Totals:
    aborted: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """requests begun"""


class SimulatedServer:
    """A `Chat`. `await run()` in a task beside it. `before(kind)` may wait, or raise `EngineError`, for faults."""

    def __init__(self, model: ScriptedModel, clock: Clock, card: Card = CARD, *, keeps: bool = True) -> None:
        self.model = model
        self.batcher = ContinuousBatcher(card, clock)
        self.requests: list[Request] = []
        """all of them, oldest first, where `keeps`"""
        self.totals = Totals()
        self.before: Callable[[str], Awaitable[None]] | None = None
        self.most_waiting = 0
        """requests at once"""
        self.longest = 0
        """prompt, in tokens"""
        self._keeps = keeps
        self._clock = clock
        self._reader = Reader(size_of)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("http://simulated/v1", MODEL)

    async def run(self) -> None:
        await self.batcher.run()

    async def models(self) -> list[str]:
        return [MODEL]

    async def aclose(self) -> None:
        pass

    async def ask(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._read(messages, fields)
        kind = kind_of(fields)
        await self._taken_in(kind)
        produced, text, whole = 1, "", False
        if kind == WRITE:
            text, whole = self.model.write(asked.so_far, int(fields["max_tokens"]))
            produced = len(tokens_of(text)) + whole
        done = asyncio.get_running_loop().create_future()

        def on_token(count: int) -> None:
            if count == produced and not done.done():
                done.set_result(None)

        def answer(count: int) -> tuple[Piece, ...]:
            return text_pieces(text, 1) if kind == WRITE else ()

        job = self._begin(asked, fields, kind, produced, on_token, answer)
        try:
            await done
        finally:
            if not done.done() or done.cancelled():
                self._abort(job)
        self._end(job, asked)
        shares: Sequence[float] = ()
        ids = [int(number) for number in fields.get("logprob_token_ids", ())]
        if kind == SCORE:
            score = self.model.score(asked.turn)
            shares = [score if number == RESPONSE_ID else 1 - score for number in ids]
        elif kind == CHOOSE:
            shares = self.model.choose(asked.last.text, len(ids))
        if kind != WRITE:
            best = max(range(len(ids)), key=lambda at: shares[at], default=None)
            text = "" if best is None else token(ids[best])
        return completion(job, text, whole, ids, shares)

    async def stream(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> Completion:
        asked = self._read(messages, fields)
        await self._taken_in(SAY)
        words = tokens_of(self.model.reply(asked.turn))
        tokens: asyncio.Queue[str | None] = asyncio.Queue()

        def on_token(count: int) -> None:
            tokens.put_nowait(words[count - 1] if count <= len(words) else None)
            if count == len(words) + 1:
                self._end(job, asked)

        def answer(count: int) -> tuple[Piece, ...]:
            return text_pieces("".join(words[:count]), 1)

        job = self._begin(asked, fields, SAY, len(words) + 1, on_token, answer)
        return SimulatedCompletion(tokens, job, lambda: self._abort(job))

    # --------------------------------------------------------------------------------------------------------- helpers

    async def _taken_in(self, kind: str) -> None:
        if self.before is not None:
            await self.before(kind)
        if self.batcher.card.cpu_s:
            await self._clock.sleep(self.batcher.card.cpu_s)

    def _read(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> ParsedRequest:
        size = sum(map(len, messages)) + len(messages) + len(request_body(fields, ()))
        read = [self._reader.read(message) for message in messages]
        if missing := sum(len(message.missing) for message in read):
            raise EngineError(f"Cache miss for {missing} images.", code="engine_forgot")
        return ParsedRequest(read, size, prefilled=bool(fields.get("continue_final_message")))

    def _begin(
        self,
        asked: ParsedRequest,
        fields: Mapping[str, Any],
        kind: str,
        produced: int,
        on_token: Callable[[int], None],
        answer: Callable[[int], tuple[Piece, ...]],
    ) -> Job:
        prompt = prompt_of(asked.messages, prefilled=asked.prefilled)
        job = Job(prompt, produced, on_token, int(fields.get("priority", 0)), kind, answer)
        self.totals.kinds[kind] += 1
        self.batcher.add(job)
        self.most_waiting = max(self.most_waiting, len(self.batcher.jobs))
        self.longest = max(self.longest, job.total)
        return job

    def _abort(self, job: Job) -> None:
        if not job.finished and not job.dropped:
            self.totals.aborted += 1
            self.batcher.drop(job)

    def _end(self, job: Job, asked: ParsedRequest) -> None:
        if self._keeps:
            now = self._clock.monotonic()
            turn = asked.turn
            self.requests.append(
                Request(
                    job.kind,
                    job.arrived,
                    now,
                    job.total,
                    job.cached,
                    job.fresh,
                    job.fresh_images,
                    asked.bytes,
                    turn.images,
                    turn.text,
                )
            )
