"""No index at all: memories are then compared one by one, the newest few thousand."""

from __future__ import annotations

from collections.abc import Sequence

from joyvl_server.memory.base import IndexFault
from joyvl_server.store.memories.vectors import Unindexed, Vector


class NoIndex:
    """See `VectorIndex`."""

    fault: str | None = None
    usable = False
    life = 0

    def begin(self) -> None:
        """See `VectorIndex`."""

    async def up(self, timeout_s: float) -> None:
        """See `VectorIndex`. Cancelling it changes nothing."""

    async def counts(self, embedder: str) -> dict[str, int]:
        """See `VectorIndex`."""
        raise self._off()

    async def put(self, embedder: str, vectors: Sequence[Unindexed]) -> None:
        """See `VectorIndex`."""
        raise self._off()

    async def query(
        self, embedder: str, vector: Vector, collections: Sequence[str], days: Sequence[int], limit: int
    ) -> list[tuple[str, float]]:
        """See `VectorIndex`."""
        raise self._off()

    async def remove(self, memories: Sequence[tuple[str, str]]) -> None:
        """See `VectorIndex`."""
        raise self._off()

    async def drop(self, embedder: str, collection: str) -> None:
        """See `VectorIndex`."""
        raise self._off()

    async def keep_only(self, embedders: Sequence[str]) -> None:
        """See `VectorIndex`."""
        raise self._off()

    async def clean(self) -> None:
        """See `VectorIndex`."""
        raise self._off()

    async def aclose(self) -> None:
        """See `VectorIndex`."""

    @staticmethod
    def _off() -> IndexFault:
        return IndexFault("There is no index of memories.")
