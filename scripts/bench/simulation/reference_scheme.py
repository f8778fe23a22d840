"""The reference server's scheme, accounted on the same card: what our figures are compared with.

Chunks of 100 turns of which the next one keeps 10; everything is sent with every tick; the question stands in the
prefix, so that a new one makes the whole chunk fresh; the summary of a chunk is awaited under the session's lock.
Taken to its favour: a silent answer is one token, the summary model runs on a card of its own at half the costs, only
the newest summary stands in the prefix, and nothing but ticks is ever in the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from bench.simulation.batcher import ContinuousBatcher, Job
from bench.simulation.card import CARD, Card
from bench.simulation.prompt import Piece
from bench.simulation.seconds import Second
from bench.simulation.sources import View
from joyvl_server.core.prompt.wire_format import image_tokens
from joyvl_server.kit.clock import Clock

TURN_WORDS = 24
"""tokens of a turn beside its picture: two messages around it, time tag, `</silence>`"""
TURN_BYTES = 190
SYSTEM_TOKENS, PREFIX_TOKENS = 400, 150
HEAD_START_S = 8.0
"""a summary is begun this long before its chunk ends: one of 8 s stalls nothing, one of 20 s blinds for 12 s"""


@dataclass(frozen=True, slots=True)
class Scheme:
    chunk_turns: int = 100
    lead_turns: int = 10
    summary_tokens: int = 3000
    """of one chunk's summary"""
    summary_s: float | None = None
    """how long it takes; None: calculated, with half the card's costs"""
    reply_tokens: int = 25

    def summary_takes(self, card: Card, turn: int) -> float:
        if self.summary_s is not None:
            return self.summary_s
        prompt = self.chunk_turns * turn
        seconds = card.prefill(prompt, 0, prompt) + card.request_s
        seconds += self.summary_tokens * card.decode(prompt + self.summary_tokens // 2)
        return seconds / 2

    def summary_takes_on_card(self, view: View, card: Card = CARD) -> float:
        return self.summary_takes(card, image_tokens(view.width, view.height) + TURN_WORDS)


@dataclass(frozen=True, slots=True)
class Tick:
    fresh: int
    bytes: int
    turns: int
    asked: bool
    rolled: bool


class Reference:
    """`await run(count)` and read `seconds` and `ticks`. `questions`: the seconds at which somebody asks."""

    def __init__(self, clock: Clock, view: View, scheme: Scheme, questions: Collection[int], card: Card = CARD) -> None:
        self.seconds: list[Second] = []
        self.ticks: list[Tick] = []
        self._clock = clock
        self._view = view
        self._scheme = scheme
        self._questions = questions
        self._card = card
        self._stepper = ContinuousBatcher(card, clock)
        self._picture = image_tokens(view.width, view.height)
        self._turns: list[int] = []
        self._chunk = 0
        self._query = 0
        self._asked = self._rolled = False
        self._summary: float | None = None
        """when the summary of the present chunk will be there"""

    async def run(self, count: int) -> None:
        start, until, spoken = self._clock.monotonic(), 0.0, 0.0
        running = asyncio.ensure_future(self._stepper.run())
        for number in range(count):
            due = start + number
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            if number in self._questions:
                self._query += 1
                self._asked = True
            free = max(due, until if until - due > 0 and spoken == until else due)
            if until > due:
                self.seconds.append(Second(due, None, free))  # the lock is held: this picture is lost
                continue
            lock = self._roll_over() - self._clock.monotonic()
            if lock > 0:
                until = due + lock
                self.seconds.append(Second(due, None, due))
                continue
            scored, ended, asked = await self._tick(number)
            until, spoken = ended, ended if asked else 0.0
            self.seconds.append(Second(due, scored, free, spoke=asked))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    def _roll_over(self) -> float:
        """Begin the next chunk where this one is full; begin its summary shortly before. Until when it is locked."""
        left = self._scheme.chunk_turns - len(self._turns)
        if self._summary is None and left <= HEAD_START_S:
            took = self._scheme.summary_takes_on_card(self._view, self._card)
            self._summary = self._clock.monotonic() + took
        if left > 0:
            return 0.0
        self._turns = self._turns[-self._scheme.lead_turns :]
        self._chunk += 1
        self._rolled = True
        locked, self._summary = self._summary or 0.0, None
        return locked

    async def _tick(self, number: int) -> tuple[float, float, bool]:
        """When it was scored and when its answer ended, and whether it answered a question."""
        asked, self._asked = self._asked, False
        rolled, self._rolled = self._rolled, False
        self._turns.append(number)
        loop = asyncio.get_running_loop()
        scored, ended = loop.create_future(), loop.create_future()
        produce = 1 + (self._scheme.reply_tokens if asked else 0)

        def on_token(count: int) -> None:
            if count == 1:
                scored.set_result(self._clock.monotonic())
            if count == produce:
                ended.set_result(self._clock.monotonic())

        job = Job(self._prompt(), produce, on_token)
        self._stepper.add(job)
        result = (await scored, await ended, asked)
        words = 4 * (SYSTEM_TOKENS + self._history)
        sent = len(self._turns) * (self._view.bytes * 4 // 3 + TURN_BYTES) + words
        self.ticks.append(Tick(job.fresh, sent, len(self._turns), asked, rolled))
        return result

    @property
    def _history(self) -> int:
        return PREFIX_TOKENS + (self._scheme.summary_tokens if self._chunk else 0)

    def _prompt(self) -> tuple[Piece, ...]:
        head = (Piece("system", SYSTEM_TOKENS), Piece(f"prefix {self._chunk} {self._query}", self._history))
        pictures = (Piece(f"turn {n}", TURN_WORDS + self._picture, self._picture) for n in self._turns)
        return (*head, *pictures)


def roll_overs(ticks: Collection[Tick]) -> list[int]:
    """Fresh tokens of the ticks that began a chunk, without those that also had a question."""
    return [tick.fresh for tick in ticks if tick.rolled and not tick.asked]


def as_measured(scheme: Scheme | None = None) -> Scheme:
    """The scheme as it ran when the reference was measured: summaries of about 500 tokens that took 20 s."""
    return replace(scheme or Scheme(), summary_tokens=500, summary_s=20.0)


def figures(ticks: Collection[Tick], seconds: float) -> dict[str, Any]:
    ordered = sorted(tick.bytes for tick in ticks)
    silent = sorted(tick.fresh for tick in ticks if not tick.asked and not tick.rolled)
    return {
        "fresh_tokens_per_s": round(sum(tick.fresh for tick in ticks) / seconds, 1),
        "bytes_per_tick": round(sum(ordered) / len(ordered)),
        "bytes_per_tick_median": ordered[len(ordered) // 2],
        "fresh_silent_tick": silent[len(silent) // 2],
        "fresh_questions": [tick.fresh for tick in ticks if tick.asked],
        "fresh_roll_over": max(roll_overs(ticks), default=None),
    }
