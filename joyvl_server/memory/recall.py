"""Which memories a question brings up: those near it in meaning and those that share its words, within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from joyvl_server.core.past.questions import is_question
from joyvl_server.core.prompt.wire_format import text_tokens
from joyvl_server.memory.base import EmbedderError, IndexFault, Recalled, RecallRequest, VectorIndex
from joyvl_server.memory.embedding import EmbeddersInUse
from joyvl_server.memory.ranking import Candidates, rank
from joyvl_server.memory.text import MAX_QUESTION, clean
from joyvl_server.memory.upkeep import Upkeep
from joyvl_server.store.memories.records import DAY_S, MemoryFilter, MemoryRecord, day_of
from joyvl_server.store.memories.search import MemorySearch
from joyvl_server.store.memories.vectors import MemoryVectors, Vector, nearness

CANDIDATES = 60
"""memories of each kind of search that are weighed against the others"""
EXACT, EXACT_IN_SPAN = 600, 8000
"""memories that are compared one by one; among more the index is asked. Within a time that is quicker than its own
filter, which looks at far more"""
EXACT_WITHOUT_INDEX = 8000
"""while there is none; of more, the newest"""
MOST_DAYS = 62
TAG_TOKENS = 16
"""of the time before each memory in a prompt"""


@dataclass(frozen=True, slots=True)
class RecallParts:
    """What a recall reads."""

    search: MemorySearch
    vectors: MemoryVectors
    embedders: EmbeddersInUse
    index: VectorIndex
    upkeep: Upkeep


class Recall:
    def __init__(self, parts: RecallParts, embed_timeout_s: float) -> None:
        self._parts = parts
        self._embed_timeout_s = embed_timeout_s

    async def find(self, request: RecallRequest) -> list[Recalled]:
        """The best first. Where the embedder or the index fails, what the rest finds. Raises `StoreError`.

        Cancelling it changes nothing.
        """
        question = clean(request.text, MAX_QUESTION)
        chosen = _filter(request)
        if request.limit < 1 or chosen is None:
            return []
        meaning, words, latest = await asyncio.gather(
            self._by_meaning(question, chosen, request.meaning_s),
            self._parts.search.by_words(question, chosen, CANDIDATES),
            self._latest(request, chosen),
        )
        numbers = list(dict.fromkeys([*meaning, *(seq for seq, _ in words), *latest]))
        if not numbers:
            return []
        shares = getattr(self._parts.embedders.current, "shares", None)

        def order(found: Mapping[int, MemoryRecord]) -> list[Recalled]:
            records = {seq: memory for seq, memory in found.items() if not _only_asked(memory)}
            near = meaning
            if shares is not None:
                near = [seq for seq in meaning if seq in records and shares(question, records[seq].text)]
            return rank(Candidates(near, words, latest, records))

        ranked = await self._parts.search.records(numbers, chosen, order)
        return within(ranked, request.limit, request.tokens)

    async def _latest(self, request: RecallRequest, chosen: MemoryFilter) -> list[int]:
        return [] if request.span is None else await self._parts.search.newest(chosen, CANDIDATES)

    async def _by_meaning(self, question: str, chosen: MemoryFilter, within_s: float | None) -> list[int]:
        embed_s = self._embed_timeout_s if within_s is None else min(self._embed_timeout_s, within_s)
        end = None if within_s is None else asyncio.get_running_loop().time() + within_s
        try:
            embedder, vector = await self._parts.embedders.embed_question(question, embed_s)
            async with asyncio.timeout_at(end):
                nearest = await self._nearest(embedder, vector, chosen)
        except (EmbedderError, TimeoutError):
            return []  # told by the embedders, or by the index once it takes too long for anybody
        return [seq for seq, _ in nearest]

    async def _nearest(self, embedder: str, vector: Vector, chosen: MemoryFilter) -> list[tuple[int, float]]:
        among = EXACT if chosen.since is None else EXACT_IN_SPAN
        nearest = await self._parts.vectors.nearest(embedder, vector, chosen, among=among, limit=CANDIDATES)
        return await self._among_many(embedder, vector, chosen) if nearest is None else nearest

    async def _among_many(self, embedder: str, vector: Vector, chosen: MemoryFilter) -> list[tuple[int, float]]:
        """From the index; what it does not hold is looked for among the newest memories."""
        found: dict[int, float] = {}
        with suppress(IndexFault):  # told by the index
            hits = await self._parts.index.query(embedder, vector, chosen.collections, _days(chosen), CANDIDATES)
            hits = sorted(hits, key=lambda hit: hit[1])[: 2 * CANDIDATES]
            numbers = await self._parts.search.numbers([memory_id for memory_id, _ in hits]) if hits else {}
            found = {numbers[memory_id]: 1.0 - distance for memory_id, distance in hits if memory_id in numbers}
        if not self._parts.upkeep.complete:
            newest = await self._parts.vectors.nearest(
                embedder, vector, chosen, among=EXACT_WITHOUT_INDEX, limit=CANDIDATES, or_newest=True
            )
            found |= dict(newest or [])
        return sorted(found.items(), key=nearness)


def _only_asked(memory: MemoryRecord) -> bool:
    """A question that somebody typed says nothing of what was; it would be found in place of what it asks for."""
    return memory.kind == "heard" and memory.event_id is None and is_question(memory.text)


def within(ranked: Sequence[Recalled], limit: int, tokens: int) -> list[Recalled]:
    """The first that fit, one left out where only a shorter one still does."""
    found: list[Recalled] = []
    left = tokens
    for recalled in ranked:
        cost = text_tokens(recalled.memory.text) + TAG_TOKENS
        if cost <= left:
            found.append(recalled)
            left -= cost
        if len(found) == limit:
            break
    return found


def _filter(request: RecallRequest) -> MemoryFilter | None:
    """None where nothing can match."""
    if request.collection is not None and not request.collections:
        return None
    since, until = request.span or (None, None)
    return MemoryFilter(collections=request.collections, kinds=request.kinds, since=since, until=until)


def _days(chosen: MemoryFilter) -> range:
    """The buckets in which what matches may lie; a memory lies in that of its beginning. Empty: any."""
    if chosen.since is None or chosen.until is None:
        return range(0)
    first, last = day_of(chosen.since - DAY_S), day_of(chosen.until)
    return range(first, last + 1) if last - first < MOST_DAYS else range(0)
