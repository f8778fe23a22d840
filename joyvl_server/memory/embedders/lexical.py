"""The embedder that needs nothing: words hashed into a vector. It finds memories that share words with the question."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from joyvl_server.core.errors import ConfigError
from joyvl_server.memory.base import EmbedderContext, EmbedKind, Matrix
from joyvl_server.store.memories.words import STOP, is_cjk, words

DIMENSIONS = 384
WORD, STOP_WORD, PIECE, CHARACTER, PAIR = 1.0, 0.08, 0.3, 0.45, 0.9
"""what each counts: a word, one that every text has, a piece of a word, a Chinese character, two that follow"""
PIECE_LENGTH = 4
AT_ONCE = 1000
"""characters, as long as a question: they take half a millisecond"""


class LexicalEmbedder:
    """Its vectors depend on the text alone: no training, no state."""

    name = "lexical:1"
    dimensions = DIMENSIONS
    crowded = False

    def __init__(self, options: Mapping[str, Any], context: EmbedderContext) -> None:
        if options:
            raise ConfigError("memory.options.lexical: it has no options.")

    async def embed(self, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """See `Embedder`. A text of 4,000 characters takes about two milliseconds: what is longer than a question is
        embedded in a thread."""
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        if sum(map(len, texts)) <= AT_ONCE:
            return _stacked(texts)
        return await asyncio.to_thread(_stacked, texts)

    def shares(self, question: str, text: str) -> bool:
        """Do they have a word, or a piece of one, in common? Numbers alone do not tell: different words may meet."""
        return not _telling(question).isdisjoint(_features_that_tell(text))

    async def aclose(self) -> None:
        """See `Embedder`."""


def _stacked(texts: Sequence[str]) -> Matrix:
    return np.stack([vector(text) for text in texts])


@lru_cache(maxsize=16)
def _telling(question: str) -> frozenset[str]:
    """One question is compared with many texts."""
    return frozenset(_features_that_tell(question))


def _features_that_tell(text: str) -> Iterator[str]:
    return (feature for feature, weight in _features(words(text)) if weight > STOP_WORD)


def vector(text: str) -> Matrix:
    """Of length 1; of a text without words, the same for all of them."""
    sums = np.zeros(DIMENSIONS, np.float32)
    for feature, weight in _features(words(text)):
        number = zlib.crc32(feature.encode())
        sums[number % DIMENSIONS] += weight if number & 0x8000_0000 else -weight
    length = float(np.linalg.norm(sums))
    if length == 0.0:
        sums[0] = length = 1.0
    return sums / length


def _features(found: list[str]) -> Iterator[tuple[str, float]]:
    for word in dict.fromkeys(found):
        if word in STOP:
            yield word, STOP_WORD
        elif is_cjk(word):
            yield word, CHARACTER
        else:
            yield word, WORD
            pieces = [word[n : n + PIECE_LENGTH] for n in range(len(word) - PIECE_LENGTH + 1)]
            for piece in pieces if len(pieces) > 1 else ():
                yield f"~{piece}", PIECE / len(pieces) ** 0.5
    for one, other in dict.fromkeys(pairwise(found)):
        if is_cjk(one) and is_cjk(other) and not STOP.issuperset((one, other)):
            yield one + other, PAIR
