"""The long-term memory: SQLite is the record, what finds memories by meaning follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import IndexFault, MemoryDraft, RebuildProgress, Recalled, RecallRequest, VectorIndex
from joyvl_server.memory.embedding import EmbeddersInUse
from joyvl_server.memory.index.chroma import ChromaIndex, IndexPlace
from joyvl_server.memory.recall import Recall, RecallParts
from joyvl_server.memory.text import clean
from joyvl_server.memory.upkeep import Upkeep
from joyvl_server.settings import Settings
from joyvl_server.store.memories.memories import Forgotten, Memories
from joyvl_server.store.memories.records import KINDS, MemoryFilter, MemoryRecord
from joyvl_server.store.memories.search import MemorySearch
from joyvl_server.store.memories.vectors import MemoryVectors
from joyvl_server.store.sqlite.database import Database

FOLDER = "chroma"
LONGEST_NAME = 400
"""characters of a collection's name"""
INDEX_S = 60.0
"""Longest time that a rebuild waits for the index."""


@dataclass(frozen=True, slots=True)
class _Posted:
    """A memory that was posted: once it is written, there is something to embed."""

    upkeep: Upkeep
    loop: asyncio.AbstractEventLoop

    def settled(self, *, kept: bool) -> None:
        """See `PostListener`."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self.loop.call_soon_threadsafe(self.upkeep.look)


class LongTermMemory:
    """`start` before use, `aclose` at the end. `memories` is the record, for reading.

    Nothing that is written waits for an embedder or an index; a recall waits for the embedder at most
    `memory.embed_timeout_s`.
    """

    def __init__(self, settings: Settings, db: Database, index: VectorIndex, clock: Clock) -> None:
        self.memories = Memories(db)
        self._clock = clock
        self._index = index
        self._vectors = MemoryVectors(db)
        self._embedders = EmbeddersInUse(settings, self._vectors)
        self._upkeep = Upkeep(self._vectors, self._embedders, index, clock)
        parts = RecallParts(MemorySearch(db), self._embedders, index, self._upkeep)
        self._recall = Recall(parts, settings.memory.embed_timeout_s)
        self._running: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, settings: Settings, db: Database, clock: Clock) -> LongTermMemory:
        """With Chroma: in the data folder, or at the server that the settings name."""
        key = settings.memory.chroma_key
        secret = None if key is None else key.get_secret_value()
        place = IndexPlace(settings.data_dir / FOLDER, settings.memory.chroma_url, secret)
        return cls(settings, db, ChromaIndex(place, clock), clock)

    def start(self) -> None:
        """Go on with what is not embedded or indexed yet. Returns at once."""
        if self._running is None:
            self._running = asyncio.create_task(self._upkeep.run(), name="memories are embedded and indexed")

    async def aclose(self) -> None:
        """What is not done goes on at the next start. Idempotent."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._index.aclose()
        await self._embedders.aclose()

    def ready(self) -> str | None:
        """What is wrong, a sentence, or None. Memories are kept and found by their words all the same."""
        return self._embedders.fault.words or self._index.fault

    @property
    def by_meaning(self) -> bool | None:
        """Are memories found by meaning, too, or by their words alone? None where that is not known yet."""
        current = self._embedders.current
        return None if current is None else not hasattr(current, "shares")

    async def add(self, draft: MemoryDraft) -> MemoryRecord:
        """Written when this returns; found by its words at once, by its meaning a little later.

        Raises `ConfigError` for what cannot be a memory, `StoreError`. Cancelled, it may be written.
        """
        return (await self.add_all([draft]))[0]

    async def add_all(self, drafts: Sequence[MemoryDraft]) -> list[MemoryRecord]:
        """All of them or none. See `add`."""
        records = [self.record(draft) for draft in drafts]
        await self.memories.add(records)
        self._upkeep.look()
        return records

    def post(self, draft: MemoryDraft) -> bool:
        """Written as soon as the disk takes it, also where that is full now; nobody waits. False where it is dropped,
        because too much waits. Raises `ConfigError`."""
        return self.memories.post(self.record(draft), _Posted(self._upkeep, asyncio.get_running_loop()))

    def record(self, draft: MemoryDraft) -> MemoryRecord:
        """The memory that a draft becomes, not written yet. Raises `ConfigError`."""
        text = clean(draft.text)
        if not text:
            raise ConfigError("A memory needs a text.")
        if draft.kind not in KINDS:
            raise ConfigError(f"There is no kind {draft.kind!r} of memories. There are: {', '.join(KINDS)}.")
        collection = draft.collection.strip()
        if not 1 <= len(collection) <= LONGEST_NAME:
            raise ConfigError(f"A collection's name has 1 to {LONGEST_NAME} characters.")
        until = draft.wall if draft.until_wall is None else max(draft.wall, draft.until_wall)
        return MemoryRecord(
            new_id("mem"), collection, draft.camera_id, draft.session_id, draft.kind, text, draft.t, draft.wall, until,
            draft.kept, draft.event_id, clean(draft.source, 200), self._clock.wall(), draft.data,
        )  # fmt: skip

    def written(self) -> None:
        """Memories were written by somebody else, in a transaction of their own."""
        self._upkeep.look()

    async def recall(self, request: RecallRequest) -> list[Recalled]:
        """See `Recall.find`. Raises `StoreError`. Cancelling it changes nothing."""
        return await self._recall.find(request)

    async def change(self, memory_id: str, *, text: str | None = None, kept: bool | None = None) -> MemoryRecord:
        """Raises `NotFound`, `ConfigError` for a text that is none. Cancelled, it may be changed all the same."""
        cleaned = None if text is None else clean(text)
        if cleaned == "":
            raise ConfigError("A memory needs a text.")
        memory = await self.memories.change(memory_id, text=cleaned, kept=kept)
        self._upkeep.look(from_start=True)
        return memory

    async def forget(self, filter: MemoryFilter) -> int:
        """How many were deleted for good. Raises `ConfigError` for a filter without a condition. Cancelled, some may
        be deleted."""
        return len(self.forgotten(await self.memories.forget(filter)))

    async def forget_all(self) -> int:
        """How many were deleted for good. Cancelled, some may be deleted."""
        return len(self.forgotten(await self.memories.forget_all()))

    async def purge_index(self) -> None:
        """What was deleted is taken out of the index's files, too, a little later. Cancelling it changes nothing."""
        self._upkeep.look()

    def forgotten(self, gone: list[Forgotten]) -> list[Forgotten]:
        """These were deleted by `memories` itself: the index is told."""
        self._upkeep.look()
        return gone

    async def settled(self, progress: RebuildProgress) -> None:
        """Work until all is embedded and indexed. Raises `EmbedderError`, `IndexFault`, `StoreError`."""
        await self._upkeep.settle(progress)

    async def rebuild(self, progress: RebuildProgress, *, embed: bool = False) -> None:
        """Make the index again from the record; `embed`: the vectors too. Recall goes on meanwhile.

        Raises `EmbedderError`, `IndexFault`, `StoreError`. Cancelled, it goes on in the background.
        """
        if embed:
            for name in await self._vectors.embedders():
                await self._vectors.drop(name)
        self._upkeep.look(from_start=True)
        await self._index.up(INDEX_S)
        if self._index.fault is not None:
            raise IndexFault(self._index.fault)
        if self._index.usable:
            await self._upkeep.forget_index()
        await self._upkeep.settle(progress)
