"""The engine's steps: what runs goes on before what waits begins, and each step costs what is fresh in it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from bench.simulation.card import Card
from bench.simulation.prefix_cache import Node, PrefixCache
from bench.simulation.prompt import HEAD_OF_ANSWER, Piece
from joyvl_server.kit.clock import Clock


@dataclass(eq=False, slots=True)
class Job:
    """One request: its prompt, and how many tokens it produces. `on_token(n)` is called as the n-th one is there."""

    prompt: tuple[Piece, ...]
    produce: int
    on_token: Callable[[int], None]
    priority: int = 0
    kind: str = ""
    answer: Callable[[int], tuple[Piece, ...]] = lambda produced: ()
    """what the first `produced` tokens of the answer are as pieces, which stay in the cache"""
    arrived: float = 0.0
    finished: float = 0.0
    total: int = 0
    cached: int = 0
    fresh_images: int = 0
    done: int = 0
    """tokens of the prompt that are computed or were cached"""
    produced: int = 0
    reserved: int = 0
    node: Node | None = None
    found: int = 0
    """pieces that were found in the cache"""
    dropped: bool = False

    @property
    def fresh(self) -> int:
        return self.total - self.cached

    @property
    def context(self) -> int:
        return self.done + self.produced


class ContinuousBatcher:
    """One card. `run` it in a task; `add` a job, `drop` one that nobody wants any more."""

    def __init__(self, card: Card, clock: Clock) -> None:
        self.card = card
        self.cache = PrefixCache(card.cache_tokens)
        self.stalled_until = 0.0
        """until then no step begins (a fault that a test brings about)"""
        self.spent: defaultdict[str, float] = defaultdict(float)
        """seconds of work by kind of job; a decoding step is shared by all that produce in it"""
        self._clock = clock
        self._running: list[Job] = []
        self._waiting: list[Job] = []
        self._work = asyncio.Event()

    @property
    def jobs(self) -> list[Job]:
        return [*self._running, *self._waiting]

    def add(self, job: Job) -> None:
        """Raises `ValueError` where a prompt can never fit."""
        job.arrived = self._clock.monotonic()
        job.total = sum(piece.tokens for piece in job.prompt)
        if job.total + job.produce > self.card.cache_tokens:
            raise ValueError(f"{job.total} tokens do not fit {self.card.cache_tokens}")
        self._waiting.append(job)
        self._work.set()

    def drop(self, job: Job) -> None:
        """The request was aborted: from the next step on it takes no time."""
        job.dropped = True
        if job in self._waiting:
            self._waiting.remove(job)

    async def run(self) -> None:
        while True:
            self._leave_dropped()
            if not self._running and not self._waiting:
                self._work.clear()
                await self._work.wait()
            stall = self.stalled_until - self._clock.monotonic()
            if stall > 0:
                await self._clock.sleep(stall)
                continue
            seconds, producing = self._plan()
            await self._clock.sleep(seconds)
            for job in producing:
                self._produced(job)

    def _plan(self) -> tuple[float, list[Job]]:
        """Share the budget out; the step's time, and who produces a token at its end."""
        card, budget, seconds = self.card, self.card.budget, 0.0
        producing: list[Job] = []
        for job in self._running:
            if job.done == job.total and budget:
                budget -= 1
                producing.append(job)
        for job in [*self._running, *sorted(self._waiting, key=lambda job: (job.priority, job.arrived))]:
            if not budget:
                break
            if job.done == job.total and job.node is not None:
                continue
            alone = 0.0
            if job.node is None:
                if not self._begin(job):
                    break
                alone = card.request_s
            take = min(budget, job.total - job.done)
            images = round(job.fresh_images * take / job.fresh) if job.fresh else 0
            alone += card.prefill(take, job.done, images)
            seconds += alone
            self.spent[job.kind] += alone
            job.done += take
            budget -= take
            if job.done == job.total:
                producing.append(job)
        if producing:
            together = card.decode(sum(job.context for job in producing))
            seconds += together
            for job in producing:
                self.spent[job.kind] += together / len(producing)
        return seconds, producing

    def _begin(self, job: Job) -> bool:
        """From waiting to running; False while there is no room for it."""
        node, tokens, found = self.cache.match(job.prompt)
        self.cache.pin(node)
        if not self.cache.reserve(job.total - tokens + job.produce):
            self.cache.unpin(node)
            return False
        # The last token is always computed, and only whole blocks are found again.
        job.cached = min(tokens, job.total - 1) // self.card.block * self.card.block
        job.node, job.found, job.done = node, found, job.cached
        job.reserved = job.total - tokens + job.produce
        job.fresh_images = sum(piece.image for piece in job.prompt[found:])
        self._waiting.remove(job)
        self._running.append(job)
        return True

    def _produced(self, job: Job) -> None:
        if job.dropped:
            return
        job.produced += 1
        last = job.produced >= job.produce
        if last:
            self._leave(job)
        job.on_token(job.produced)

    def _leave_dropped(self) -> None:
        for job in [job for job in self._running if job.dropped]:
            self._leave(job)

    def _leave(self, job: Job) -> None:
        """What was computed stays in the cache; the rest of its room is given back."""
        assert job.node is not None
        self._running.remove(job)
        new = list(job.prompt[job.found :]) if job.done == job.total else self._computed(job)
        answer = job.answer(job.produced) if job.done == job.total and job.produced else ()
        if answer:
            new += answer
        elif new and new[-1] is HEAD_OF_ANSWER:
            new.pop()  # nobody goes on from there: it would only take room
        needed = sum(piece.tokens for piece in new)
        if needed > job.reserved:  # an answer whose pieces count more than it produced
            new = new[: len(job.prompt) - job.found]
            needed = sum(piece.tokens for piece in new)
        self.cache.release(job.reserved - needed)
        self.cache.insert(job.node, new)
        self.cache.unpin(job.node)
        job.finished = self._clock.monotonic()

    def _computed(self, job: Job) -> list[Piece]:
        before = sum(piece.tokens for piece in job.prompt[: job.found])
        kept = []
        for piece in job.prompt[job.found :]:
            before += piece.tokens
            if before > job.done:
                break
            kept.append(piece)
        return kept
