"""The shapes in which a simulated server answers, and what it is asked: as vLLM, as far as we rely on it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.simulation.batcher import Job
from bench.simulation.card import CARD, Card
from bench.simulation.prompt import Message
from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import RESPONSE
from joyvl_server.engines.openai.abilities import LETTERS, Abilities

SILENCE_ID, RESPONSE_ID, FIRST_LETTER_ID = 1, 2, 100
SCORE, SAY, CHOOSE, WARM, WRITE = "score", "say", "choose", "warm", "write"
SLICES = (WARM, WRITE)


def abilities(card: Card = CARD, context_tokens: int = 30_000) -> Abilities:
    """What the simulated server can do: all that vLLM can."""
    return Abilities(
        mode="scored",
        silence_id=SILENCE_ID,
        response_id=RESPONSE_ID,
        letters=tuple(range(FIRST_LETTER_ID, FIRST_LETTER_ID + len(LETTERS))),
        prefills=True,
        uuids=True,
        priority=True,
        grows=True,
        context_tokens=context_tokens,
        cache_tokens=card.cache_tokens,
    )


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    messages: Sequence[Message]
    bytes: int
    prefilled: bool

    @property
    def last(self) -> Message:
        return self.messages[-1]

    @property
    def turn(self) -> Message:
        """The newest turn with pictures; the last message where there is none."""
        return next((message for message in reversed(self.messages) if message.images), self.messages[-1])

    @property
    def so_far(self) -> str:
        return self.last.text.removeprefix(RESPONSE) if self.prefilled else ""


class SimulatedCompletion:
    """A `Completion`."""

    def __init__(self, tokens: asyncio.Queue[str | None], job: Job, abort: Callable[[], None]) -> None:
        self._tokens = tokens
        self._job = job
        self._abort = abort
        self._ended = False

    @property
    def usage(self) -> Mapping[str, Any]:
        return usage_of(self._job) if self._ended else {}

    async def read(self) -> str | None:
        if self._ended:
            return None
        token = await self._tokens.get()
        self._ended = token is None
        return token

    async def drain(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while await self.read() is not None:
                    pass
        except TimeoutError:
            pass
        await self.aclose()

    async def aclose(self) -> None:
        self._abort()


def kind_of(fields: Mapping[str, Any]) -> str:
    ids = list(fields.get("logprob_token_ids", ()))
    if ids:
        return SCORE if RESPONSE_ID in ids else CHOOSE
    return WARM if fields.get("max_tokens") == 1 and not fields.get("continue_final_message") else WRITE


def token(number: int) -> str:
    return {SILENCE_ID: SILENCE, RESPONSE_ID: RESPONSE}.get(number) or LETTERS[number - FIRST_LETTER_ID]


def usage_of(job: Job) -> dict[str, Any]:
    return {
        "prompt_tokens": job.total,
        "completion_tokens": job.produced,
        "total_tokens": job.total + job.produced,
        "prompt_tokens_details": {"cached_tokens": job.cached},
    }


def completion(job: Job, text: str, whole: bool, ids: Sequence[int], shares: Sequence[float]) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop" if whole else "length",
    }
    if ids:
        top = [
            {"token": f"token_id:{number}", "logprob": math.log(max(share, 1e-9))}
            for number, share in zip(ids, shares, strict=True)
        ]
        choice["logprobs"] = {"content": [{"token": text, "logprob": 0.0, "top_logprobs": top}]}
    return {"id": "simulated", "object": "chat.completion", "choices": [choice], "usage": usage_of(job)}
