"""What goes in and out of the long-term memory, and what an embedder and an index are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from joyvl_server.core.errors import JoyvlError
from joyvl_server.store.memories.records import MemoryKind, MemoryRecord
from joyvl_server.store.memories.vectors import Unindexed, Vector

Matrix = NDArray[np.float32]
EmbedKind = Literal["passage", "query"]


class EmbedderError(JoyvlError):
    """An embedder that cannot be used. Codes: embedder, unavailable, timeout."""

    code = "embedder"


class IndexFault(JoyvlError):
    """The index of vectors cannot be asked now. Codes: unavailable, damaged, full, timeout."""

    code = "unavailable"


@dataclass(frozen=True, slots=True)
class MemoryDraft:
    """A memory to be. `wall` to `until_wall` (None: the same moment) in Unix seconds; `t` in stream seconds.

    `collection`: the id of a camera, `user:NAME` or `browser:ID`. `source`: where it comes from, in a few words.
    """

    collection: str
    kind: MemoryKind
    text: str
    wall: float
    until_wall: float | None = None
    t: float | None = None
    camera_id: str | None = None
    session_id: str | None = None
    event_id: str | None = None
    kept: bool = False
    source: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecallRequest:
    """`collection`: one, several, or None for all. `span`: from (included) to (left out), Unix seconds; only memories
    of that time are recalled. At most `limit` memories of at most `tokens` tokens together. `kinds`: empty for all.
    `meaning_s`: after this many seconds, embedder and index are not waited for, and words and time alone count."""

    text: str
    collection: str | tuple[str, ...] | None = None
    span: tuple[float, float] | None = None
    limit: int = 8
    tokens: int = 600
    kinds: tuple[str, ...] = ()
    meaning_s: float | None = None

    @property
    def collections(self) -> tuple[str, ...]:
        return (self.collection,) if isinstance(self.collection, str) else self.collection or ()


@dataclass(frozen=True, slots=True)
class Recalled:
    """`score`: above 0, the best first; it only orders memories of one recall."""

    memory: MemoryRecord
    score: float


@dataclass(frozen=True)
class EmbedderContext:
    """What an embedder may use: where models are kept."""

    models_dir: Path


class Embedder(Protocol):
    """`name`: its entry point, a colon, and what else its vectors depend on; vectors of one name are compared and kept.
    `dimensions`: numbers of a vector; 0 until the first answer where it is not known before.

    It may have `crowded = False` where unrelated texts are far from each other, as with words that are counted; with
    models they are not, and what all questions have in common is taken out of each.

    It may have `shares(question, text) -> bool` where its nearest may have nothing in common with the question; those
    are left out then.
    """

    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """A row of length 1 for each text. Raises `EmbedderError`. Never blocks the loop. Cancelled, it may go on by
        itself."""

    async def aclose(self) -> None:
        """Give back what it holds. Idempotent."""


class EmbedderFactory(Protocol):
    """What an entry point in `joyvl.embedders` names."""

    def __call__(self, options: Mapping[str, Any], context: EmbedderContext) -> Embedder:
        """Raises `ConfigError` for options that are wrong, `EmbedderError` where something is missing."""


class VectorIndex(Protocol):
    """Nearest vectors among many, kept outside of SQLite. Every method raises `IndexFault` where it cannot be asked."""

    @property
    def fault(self) -> str | None:
        """A sentence while it cannot be used, though it should be, else None."""

    @property
    def usable(self) -> bool:
        """It is up and answers."""

    @property
    def life(self) -> int:
        """Another number after each start: what it holds may be something else then."""

    def begin(self) -> None:
        """It is going to be needed; idempotent. Must not block."""

    async def up(self, timeout_s: float) -> None:
        """Begin, and wait until it is usable or has a fault. Never raises; cancelling it only ends the wait."""

    async def counts(self, embedder: str) -> dict[str, int]:
        """How many vectors it holds, by collection of memories."""

    async def put(self, embedder: str, vectors: Sequence[Unindexed]) -> None:
        """Take these in, in place of what it has under the same ids."""

    async def query(
        self, embedder: str, vector: Vector, collections: Sequence[str], days: Sequence[int], limit: int
    ) -> list[tuple[str, float]]:
        """Ids and distances, the nearest of each collection first, at most `limit` of each; where there are more than
        two, half as many. No `collections` or `days`: all."""

    async def remove(self, memories: Sequence[tuple[str, str]]) -> None:
        """Forget these, given by collection and id, of whichever embedder."""

    async def drop(self, embedder: str, collection: str) -> None:
        """Forget all vectors of this embedder in this collection of memories."""

    async def keep_only(self, embedders: Sequence[str]) -> None:
        """Forget all vectors of other embedders."""

    async def clean(self) -> None:
        """Nothing that was removed is left in free parts of its files."""

    async def aclose(self) -> None:
        """Idempotent."""


class RebuildProgress(Protocol):
    def progress(self, done: int, total: int) -> None:
        """Memories that are embedded and indexed so far. Called often; must not block."""
