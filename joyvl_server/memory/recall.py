"""Which memories a question brings up: those near it in meaning and those that share its words, within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from joyvl_server.core.past.questions import is_question
from joyvl_server.core.prompt.wire_format import text_tokens
from joyvl_server.memory.base import EmbedderError, IndexFault, Recalled, RecallRequest, VectorIndex
from joyvl_server.memory.embedding import EmbeddersInUse
from joyvl_server.memory.ranking import Candidates, Ranked, rank
from joyvl_server.memory.text import MAX_QUESTION, clean
from joyvl_server.memory.upkeep import Upkeep
from joyvl_server.store.memories.nearest import Numbers
from joyvl_server.store.memories.records import DAY_S, MemoryFilter, day_of
from joyvl_server.store.memories.search import BriefMemory, FirstLook, MemoryReader, MemorySearch
from joyvl_server.store.memories.vectors import Vector, nearness

CANDIDATES = 60
"""memories of each kind of search that are weighed against the others"""
EXACT, EXACT_IN_SPAN = 600, 20_000
"""memories that are compared one by one; among more the index is asked. Within a time that is quicker than its own
filter, which looks at far more"""
EXACT_WITHOUT_INDEX = 8000
"""while there is none; of more, the newest"""
MOST_DAYS = 62
TAG_TOKENS = 16
"""of the time before each memory in a prompt"""

Hits = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class RecallParts:
    """What a recall reads."""

    search: MemorySearch
    embedders: EmbeddersInUse
    index: VectorIndex
    upkeep: Upkeep


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Of a question. `hits`: ids and distances that the index gave, None where it was not asked or failed.
    `newest`: it lacks some, which the newest are searched for."""

    embedder: str
    vector: Vector
    hits: Hits | None = None
    newest: bool = False


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
        few = EXACT if chosen.since is None else EXACT_IN_SPAN
        looking = asyncio.ensure_future(self._parts.search.look(question, chosen, few=few, limit=CANDIDATES))
        try:
            meaning = await self._by_meaning(question, chosen, looking, request.meaning_s)
            look = await looking
        finally:
            looking.cancel()
        shares = getattr(self._parts.embedders.current, "shares", None)

        def work(reader: MemoryReader) -> list[Recalled]:
            near = [] if meaning is None else _near(reader, meaning, look.all)
            numbers = list(dict.fromkeys([*near, *(seq for seq, _ in look.words), *look.latest]))
            memories = {seq: memory for seq, memory in reader.brief(numbers).items() if not _only_asked(memory)}
            if shares is not None:
                near = [seq for seq in near if seq in memories and shares(question, memories[seq].text)]
            ranked = rank(Candidates(near, look.words, look.latest, memories))
            scores = {one.memory.seq: one.score for one in within(ranked, request.limit, request.tokens)}
            whole = reader.whole(list(scores))
            return [Recalled(memory, scores[seq]) for seq, memory in whole.items()]

        return await self._parts.search.read(chosen, work)

    async def _by_meaning(
        self, question: str, chosen: MemoryFilter, looking: asyncio.Future[FirstLook], within_s: float | None
    ) -> _Meaning | None:
        """None where the embedder fails, which it tells itself, or where no time is left. Where few match, and they
        are compared one by one, nobody waits for the index."""
        embed_s = self._embed_timeout_s if within_s is None else min(self._embed_timeout_s, within_s)
        end = None if within_s is None else asyncio.get_running_loop().time() + within_s
        try:
            embedder, vector = await self._parts.embedders.embed_question(question, embed_s)
        except EmbedderError:
            return None
        asking = None
        if chosen.since is None and self._parts.index.usable:  # while words are looked for
            asking = asyncio.ensure_future(self._ask_index(embedder, vector, chosen))
        try:
            if (await looking).all is not None:
                return _Meaning(embedder, vector)
            asking = asking or asyncio.ensure_future(self._ask_index(embedder, vector, chosen))
            async with asyncio.timeout_at(end):
                hits = await asking
        except TimeoutError:
            return None  # told by the index once it takes too long for anybody
        finally:
            if asking is not None:
                asking.cancel()
        return _Meaning(embedder, vector, hits, hits is None or not self._parts.upkeep.complete)

    async def _ask_index(self, embedder: str, vector: Vector, chosen: MemoryFilter) -> Hits | None:
        """None where it fails, which it tells itself."""
        with suppress(IndexFault):
            return await self._parts.index.query(embedder, vector, chosen.collections, _days(chosen), CANDIDATES)
        return None


def _near(reader: MemoryReader, meaning: _Meaning, few: Numbers | None) -> list[int]:
    """`seq` of the nearest, nearest first: exactly among few, otherwise what the index has found, and what it does not
    hold among the newest."""
    embedder, vector = meaning.embedder, meaning.vector
    if few is not None:
        return [seq for seq, _ in reader.nearest(embedder, vector, few, CANDIDATES)]
    hits = sorted(meaning.hits or [], key=lambda hit: hit[1])[: 2 * CANDIDATES]
    numbers = reader.numbers([memory_id for memory_id, _ in hits])
    found = {numbers[memory_id]: 1.0 - distance for memory_id, distance in hits if memory_id in numbers}
    if meaning.newest:
        found |= dict(reader.nearest(embedder, vector, reader.latest(EXACT_WITHOUT_INDEX), CANDIDATES))
    return [seq for seq, _ in sorted(found.items(), key=nearness)]


def _only_asked(memory: BriefMemory) -> bool:
    """A question that somebody typed says nothing of what was; it would be found in place of what it asks for."""
    return memory.kind == "heard" and memory.event_id is None and is_question(memory.text)


def within(ranked: Iterable[Ranked], limit: int, tokens: int) -> list[Ranked]:
    """The first that fit, one left out where only a shorter one still does."""
    found: list[Ranked] = []
    left = tokens
    for one in ranked:
        cost = text_tokens(one.memory.text) + TAG_TOKENS
        if cost <= left:
            found.append(one)
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
