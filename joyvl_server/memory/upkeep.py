"""What goes on behind: memories are embedded and indexed, the index is compared with the record; an embedder that was
changed is replaced once all is embedded by the new one. All follows from the record, so that after a kill it goes on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.memory.base import Embedder, EmbedderError, IndexFault, RebuildProgress, VectorIndex
from joyvl_server.memory.embedding import EmbeddersInUse
from joyvl_server.store.memories.vectors import MemoryVectors, Unembedded

log = structlog.get_logger(__name__)

EMBED_BATCH = 16
INDEX_BATCH = 400
REMOVE_BATCH = 200
INDEX_FROM = 100
"""memories: among fewer none is needed, they are compared one by one"""
LARGE = 20_000
"""Memories of a collection from which on it is not made again because of one that is forgotten."""
TOLD_EVERY = 10
"""steps of a rebuild after which it says how far it is: counting takes time"""
IDLE_S = 30.0
"""Seconds after which it looks by itself whether there is anything to do."""
STARTING_S = 2.0
"""The same while the index starts."""
LONGEST_PAUSE_S = 1.0
"""Between two batches it rests as long as one takes, at most this long: the machine belongs to the sessions."""


class Upkeep:
    """`look` says that something has changed. One batch at a time."""

    def __init__(self, vectors: MemoryVectors, embedders: EmbeddersInUse, index: VectorIndex, clock: Clock) -> None:
        self.complete = False
        """the index holds every vector of the embedder in use"""
        self._vectors = vectors
        self._embedders = embedders
        self._index = index
        self._clock = clock
        self._news = asyncio.Event()
        self._backoff = Backoff(1.0, IDLE_S)
        self._embedded_to: defaultdict[str, int] = defaultdict(int)
        self._indexed_to: defaultdict[str, int] = defaultdict(int)
        self._compared: int | None = None
        self._starting = False
        self._stepping = asyncio.Lock()

    def look(self, *, from_start: bool = False) -> None:
        """There is something new; `from_start`: also among what was done already."""
        if from_start:
            self._embedded_to.clear()
            self._indexed_to.clear()
        self._news.set()

    async def run(self) -> None:
        """For ever. Cancelled, what is half done is done again at the next start."""
        while True:
            self._news.clear()
            began = self._clock.monotonic()
            try:
                worked = await self.step()
            except (EmbedderError, IndexFault, StoreError):
                # Each is told by the part that fails.
                await self._wait(self._backoff.failed())
                continue
            except Exception as error:  # the edge of this task: the memory goes on without what is behind
                log.error("memory fails", part="upkeep", exc_info=error)
                await self._wait(self._backoff.failed())
                continue
            self._backoff.worked()
            if worked:
                await self._clock.sleep(min(self._clock.monotonic() - began, LONGEST_PAUSE_S))
            else:
                await self._wait(STARTING_S if self._starting and self._index.fault is None else IDLE_S)

    async def _wait(self, seconds: float) -> None:
        await wait_until(self._clock, self._news.wait(), self._clock.monotonic() + seconds)

    async def settle(self, progress: RebuildProgress) -> None:
        """Work until there is nothing to do. Raises `EmbedderError`, `IndexFault`, `StoreError`. Cancelled, it goes on
        in the background."""
        worked, steps = True, 0
        while worked:
            worked, steps = await self.step(), steps + 1
            if worked and steps % TOLD_EVERY:
                continue
            progress.progress(*await self._vectors.progress([embedder.name for embedder in self._embedders.both()]))

    async def step(self) -> bool:
        """One batch of each kind; False where there was nothing to do. Raises as `settle`."""
        async with self._stepping:
            if not await self._embedders.open():
                in_use = await self._vectors.in_use()  # forgetting waits for no embedder
                await self._take_out(sorted({*await self._vectors.embedders(), *((in_use,) if in_use else ())}))
                raise EmbedderError("No embedder is open.", code="unavailable")
            await self._embedders.prepare()
            worked = False
            for embedder in self._embedders.both():
                worked = await self._embed(embedder) or worked
            worked = await self._keep_index() or worked
            current, wanted = self._embedders.current, self._embedders.wanted
            if not worked and wanted is not None and current is not wanted:
                await self._embedders.switch()
                worked = True
            return worked

    # ---------------------------------------------------------------------------------------------------------- embed

    async def _embed(self, embedder: Embedder) -> bool:
        after = self._embedded_to[embedder.name]
        texts = await self._vectors.unembedded(embedder.name, EMBED_BATCH, after=after)
        if not texts:
            return False
        try:
            await self._write(embedder, texts)
        except EmbedderError:
            if len(texts) == 1 or not await self._pass_over(embedder, texts[0], texts[1]):
                raise
            texts = texts[:2]
        self._embedded_to[embedder.name] = texts[-1].seq
        return True

    async def _pass_over(self, embedder: Embedder, first: Unembedded, second: Unembedded) -> bool:
        """A batch failed: is it the first text that cannot be embedded? Then it is found by its words alone."""
        try:
            await self._write(embedder, [first])
        except EmbedderError as error:
            await self._write(embedder, [second])
            log.warning("a memory cannot be embedded", seq=first.seq, error=str(error))
            return True
        return False

    async def _write(self, embedder: Embedder, texts: list[Unembedded]) -> None:
        found = await self._embedders.embed(embedder, [text.text for text in texts])
        await self._vectors.put(embedder.name, zip(texts, found, strict=True))

    # ---------------------------------------------------------------------------------------------------------- index

    async def _keep_index(self) -> bool:
        if not self._index.usable:
            self.complete = False
            self._starting = await self._vectors.are_more_than(INDEX_FROM) or bool(await self._vectors.removals(1))
            if self._starting:
                self._index.begin()
            return False
        if self._compared != self._index.life:
            await self._compare()
            return True
        worked = await self._take_out([embedder.name for embedder in self._embedders.both()])
        for embedder in self._embedders.both():
            after = self._indexed_to[embedder.name]
            vectors = await self._vectors.unindexed(embedder.name, INDEX_BATCH, after=after)
            if embedder is self._embedders.current:
                self.complete = not vectors
            if vectors:
                await self._index.put(embedder.name, vectors)
                await self._vectors.indexed(embedder.name, vectors)
                self._indexed_to[embedder.name] = vectors[-1].seq
                worked = True
        return worked

    async def _take_out(self, names: list[str]) -> bool:
        """What was forgotten leaves the index, whose vectors are of these embedders; False where there is nothing."""
        gone = await self._vectors.removals(REMOVE_BATCH)
        if gone and self._index.usable:
            await self._remove(gone, names)
            return True
        if gone:
            self._index.begin()
        return False

    async def _remove(self, gone: list[tuple[str, str]], names: list[str]) -> None:
        """A collection that is not too large is made again without them: what Chroma removes stays in its files."""
        large: set[str] = set()
        for name in names:
            sizes = await self._vectors.indexed_counts(name)
            large |= {collection for collection, size in sizes.items() if size > LARGE}
        for collection in {collection for collection, _ in gone} - large:
            for name in names:
                await self._index.drop(name, collection)
                await self._vectors.unindex(name, collection)
        if rest := [one for one in gone if one[0] in large]:
            await self._index.remove(rest)
        await self._index.clean()
        await self._vectors.removed(gone)
        self._indexed_to.clear()

    async def _compare(self) -> None:
        """After each start of the index: what it does not hold as the record says is put in again."""
        life = self._index.life
        names = [embedder.name for embedder in self._embedders.both()]
        await self._index.keep_only(names)
        for name in await self._vectors.embedders():
            if name not in names:
                await self._vectors.drop(name)
        for name in names:
            there, expected = await self._index.counts(name), await self._vectors.indexed_counts(name)
            for collection in there.keys() | expected.keys():
                if there.get(collection, 0) != expected.get(collection, 0):
                    await self._index.drop(name, collection)
                    await self._vectors.unindex(name, collection)
        self._indexed_to.clear()
        self._compared = life

    async def forget_index(self) -> None:
        """Everything is put into the index again. Raises `IndexFault`, `StoreError`."""
        async with self._stepping:
            await self._index.keep_only([])
            for name in await self._vectors.embedders():
                await self._vectors.unindex(name)
            self._indexed_to.clear()
