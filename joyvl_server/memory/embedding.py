"""Which embedder is in use, which one is wanted, and how both are asked without holding anybody up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.memory.base import Embedder, EmbedderError, EmbedKind, Matrix
from joyvl_server.memory.embedders.loading import DEFAULT, chosen_name, open_embedder
from joyvl_server.memory.faults import PartFault
from joyvl_server.settings import Settings
from joyvl_server.store.memories.vectors import MemoryVectors, Vector

log = structlog.get_logger(__name__)

COMMON = 0.8
"""how much of what questions have in common is taken out"""
OPEN_S = 60.0
"""Longest time that weights may take to load."""
BATCH_S = 30.0
"""Longest time that one batch of memories may take."""
COMMON_QUESTIONS = (
    "Who was there?", "What happened?", "Did anyone come?", "Where is it?", "When did it happen?", "What did they do?",
    "Is something broken?", "Who came to the door?", "What was in the kitchen?", "Did something fall?",
    "Has anything been delivered?", "What did the child do?", "谁来过？", "发生了什么？", "东西在哪里？",
    "什么时候的事？", "有人来了吗？", "出了什么问题？", "孩子做了什么？", "有没有什么坏了？", "门口有什么？",
    "Wer war da?", "Was ist passiert?", "Wo ist es?",
)  # fmt: skip
"""What they have in common says nothing about any memory. It is taken out of each question: otherwise memories that are
near to all questions ("Somebody went away.") crowd out those that are meant."""
RETRY_S = 30.0
"""Seconds between two tries to open one that cannot be opened."""


class EmbeddersInUse:
    """`wanted`: what the settings say; `current`: by whose vectors is searched. They differ while vectors are made.

    Where the wanted one cannot be opened, memories are found by their words alone, and `fault` says why.
    """

    def __init__(self, settings: Settings, vectors: MemoryVectors) -> None:
        self.wanted: Embedder | None = None
        self.current: Embedder | None = None
        self.fault = PartFault("embedder")
        self._settings = settings
        self._vectors = vectors
        self._threads = BoundedThreads("embedder", limit=2, timeout_s=OPEN_S)
        self._common: dict[str, Vector] = {}
        """the mean of `COMMON_QUESTIONS` as each embedder sees it"""
        self._question_failed = False
        self._next_try = 0.0

    async def open(self) -> bool:
        """Open what is wanted, and the one in use where that is another; True once the wanted one is there.

        Tried again at most every half minute. Raises `StoreError`.
        """
        if self.wanted is None:
            now = asyncio.get_running_loop().time()
            if now < self._next_try:
                return False
            self._next_try = now + RETRY_S
            self.wanted = await self._opened()
        if self.wanted is not None and self.current is None:
            await self._find_current(self.wanted)
        return self.wanted is not None

    async def _opened(self) -> Embedder | None:
        try:
            return await self._threads.run(lambda: open_embedder(self._settings, chosen_name(self._settings)))
        except (ConfigError, EmbedderError) as error:
            self.fault.begins(str(error))
        except TimeoutError:
            self.fault.begins(f"The embedder was not ready within {OPEN_S:g} s.")
        except Exception as error:  # weights or packages of others: whatever they raise, the memory goes on without
            self.fault.begins(f"The embedder cannot be opened: {type(error).__name__}: {error}")
        return None

    async def _find_current(self, wanted: Embedder) -> None:
        before = await self._vectors.in_use()
        if before is None or before == wanted.name:
            await self._vectors.use(wanted.name)
            self.current = wanted
        elif (old := await self._old(before)) is not None:
            self.current = old
            log.info("memories are embedded again", embedder=wanted.name, before=before)
        else:
            # Nothing can be asked for the old vectors any more: words find what is not embedded yet.
            log.info("memories are embedded again", embedder=wanted.name, before=before, in_use=False)
            await self.switch()

    async def _old(self, name: str) -> Embedder | None:
        """The one that made the vectors so far, where it can still be opened with the present options."""
        entry = name.partition(":")[0] or DEFAULT
        try:
            old = await self._threads.run(lambda: open_embedder(self._settings, entry))
        except Exception:  # as above; it is on its way out
            return None
        if old.name == name:
            return old
        await old.aclose()
        return None

    async def prepare(self) -> None:
        """Know what questions have in common. Raises `EmbedderError`. Cancelled, it is done the next time."""
        for embedder in self.both():
            if embedder.name not in self._common and getattr(embedder, "crowded", True):
                self._common[embedder.name] = (await self.embed(embedder, COMMON_QUESTIONS, "query")).mean(axis=0)

    def both(self) -> list[Embedder]:
        """Those whose vectors are needed now."""
        found = [embedder for embedder in (self.current, self.wanted) if embedder is not None]
        return found[:1] if len(found) == 2 and found[0] is found[1] else found

    async def switch(self) -> None:
        """All is embedded by the wanted one: it is in use from now on, and the others' vectors go."""
        wanted, old = self.wanted, self.current
        if wanted is None:
            return
        await self._vectors.use(wanted.name)
        self.current = wanted
        if old is not None and old is not wanted:
            await old.aclose()

    async def embed_question(self, question: str, timeout_s: float) -> tuple[str, Vector]:
        """Name of the embedder in use and the question's vector. Raises `EmbedderError`. Cancelled, it is given up."""
        embedder = self.current
        if embedder is None:
            raise EmbedderError("No embedder is open.", code="unavailable")
        try:
            async with asyncio.timeout(timeout_s):
                vector: Vector = (await checked(embedder, [question], "query"))[0]
        except TimeoutError:
            self._question_failed = True
            self.fault.begins(f"The embedder {embedder.name} does not answer in time.")
            raise EmbedderError("It does not answer in time.", code="timeout") from None
        except EmbedderError as error:
            self._question_failed = True
            self.fault.begins(str(error))
            raise
        if self._question_failed:
            self._question_failed = False
            self.fault.ends()
        return embedder.name, without(vector, self._common.get(embedder.name))

    async def embed(self, embedder: Embedder, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """Vectors of memories, or of questions nobody waits for. Raises `EmbedderError`. Cancelled, it is given up."""
        try:
            async with asyncio.timeout(BATCH_S):
                found = await checked(embedder, texts, kind)
        except TimeoutError:
            self.fault.begins(f"The embedder {embedder.name} does not answer in time.")
            raise EmbedderError("It does not answer in time.", code="timeout") from None
        except EmbedderError as error:
            self.fault.begins(str(error))
            raise
        self.fault.ends()
        return found

    async def aclose(self) -> None:
        """Idempotent."""
        for embedder in self.both():
            await embedder.aclose()


def without(vector: Vector, common: Vector | None) -> Vector:
    """The question without what all questions have in common; as it is where nothing would be left."""
    if common is None or common.shape != vector.shape:
        return vector
    rest: Vector = vector - COMMON * common
    length = float(np.linalg.norm(rest))
    return vector if length < 1e-3 else rest / length


async def checked(embedder: Embedder, texts: Sequence[str], kind: EmbedKind) -> Matrix:
    """What it gives, made sure of: a row for each text, numbers all, of length 1. Raises `EmbedderError`."""
    try:
        found = np.asarray(await embedder.embed(texts, kind), dtype=np.float32)
    except EmbedderError:
        raise
    except Exception as error:  # a package of others: whatever it raises, the memory goes on
        raise EmbedderError(f"The embedder {embedder.name} fails: {type(error).__name__}: {error}") from error
    if found.ndim != 2 or len(found) != len(texts) or not found.shape[1] or not np.isfinite(found).all():
        raise EmbedderError(f"The embedder {embedder.name} gives no vectors that can be used.")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Matrix = (found / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit
