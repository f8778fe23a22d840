"""Embedder `sentence_transformers`: any model of that package, from a folder or its cache. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from joyvl_server.kit.net.option_checks import validated
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.memory.base import EmbedderContext, EmbedderError, EmbedKind, Matrix
from joyvl_server.memory.embedders.options import SentenceTransformersOptions

TIMEOUT_S = 60.0


class SentenceTransformersEmbedder:
    """Runs in a thread, one batch at a time."""

    def __init__(self, options: Mapping[str, Any], context: EmbedderContext) -> None:
        """Blocking. Raises `ConfigError`, `EmbedderError` where the package or the model is missing."""
        chosen = validated(SentenceTransformersOptions, options, "memory.options.sentence_transformers")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise EmbedderError(
                "The embedder sentence_transformers needs its package: pip install sentence-transformers",
                code="unavailable",
            ) from None
        try:
            self._model = SentenceTransformer(chosen.model, device=chosen.device, local_files_only=True)
        except Exception as error:  # it raises whatever its parts raise
            raise EmbedderError(
                f"{chosen.model} cannot be loaded ({type(error).__name__}: {str(error)[:200]}). Nothing is fetched "
                "silently: give a folder with the model.",
                code="unavailable",
            ) from None
        self.name = f"sentence_transformers:{chosen.model}"
        self.dimensions = int(self._model.get_sentence_embedding_dimension() or 0)
        self._prefix = {"query": chosen.query_prefix, "passage": chosen.passage_prefix}
        self._threads = BoundedThreads("sentence_transformers", limit=1, timeout_s=TIMEOUT_S)

    async def embed(self, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """See `Embedder`."""
        prefixed = [self._prefix[kind] + text for text in texts]
        try:
            found = await self._threads.run(lambda: self._model.encode(prefixed, normalize_embeddings=True))
        except TimeoutError:
            raise EmbedderError(f"The embedder {self.name} is busy or hangs.", code="timeout") from None
        return np.asarray(found, np.float32)

    async def aclose(self) -> None:
        """See `Embedder`."""
