"""The order of what several searches have found: ranks are joined, repeats left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from joyvl_server.store.memories.search import BriefMemory
from joyvl_server.store.memories.words import STOP, words

STEADY = 8.0
"""the larger, the less the first places stand out"""
MEANING, WORDS, LATEST = 1.0, 0.9, 0.05
"""what a first place counts. Words count as far as the memory has those of the question; cosines do not count at all:
those of some embedders all lie close together"""

LIKENESS = 1.0
"""what a memory loses for having the same words as one before it"""
WEIGHED, VARIED = 80, 16
"""How many are weighed, and how many of the first places are varied; what is beyond is left out."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """`seq` as each search found them, the best first; `by_words` with which part of the question's words each has.
    `memories`: those that count."""

    by_meaning: Sequence[int]
    by_words: Sequence[tuple[int, float]]
    latest: Sequence[int]
    memories: Mapping[int, BriefMemory]


@dataclass(frozen=True, slots=True)
class Ranked:
    memory: BriefMemory
    score: float
    said: frozenset[str]
    """its words, without those that all have"""


def rank(found: Candidates) -> Iterator[Ranked]:
    """The best first; of memories with the same words only the latest. Who needs only the first spares the rest."""
    scores: dict[int, float] = {}
    for place, seq in enumerate(n for n in found.by_meaning if n in found.memories):
        scores[seq] = scores.get(seq, 0.0) + MEANING * _worth(place)
    for place, (seq, share) in enumerate(hit for hit in found.by_words if hit[0] in found.memories):
        scores[seq] = scores.get(seq, 0.0) + WORDS * share * _worth(place)
    for place, seq in enumerate(n for n in found.latest if n in found.memories):
        scores[seq] = scores.get(seq, 0.0) + LATEST * _worth(place)
    ordered = sorted(scores, key=lambda seq: (-scores[seq], -found.memories[seq].wall))
    ranked: dict[tuple[str, ...], tuple[BriefMemory, float]] = {}
    for seq in ordered[:WEIGHED]:
        memory = found.memories[seq]
        said = (memory.collection, *words(memory.text))
        same, score = ranked.setdefault(said, (memory, scores[seq]))
        if memory.wall > same.wall:
            ranked[said] = memory, score
    return _varied([Ranked(*best, frozenset(said[1:]) - STOP) for said, best in ranked.items()])


def _varied(left: list[Ranked]) -> Iterator[Ranked]:
    """What says nearly the same as one before it comes later: cameras see the same things again and again."""
    likest = [0.0] * len(left)
    open_places = list(range(len(left)))
    for _ in range(min(VARIED, len(left))):
        best = max(open_places, key=lambda place: left[place].score - LIKENESS * likest[place])
        open_places.remove(best)
        said = left[best].said
        yield left[best]
        for place in open_places:
            own = left[place].said
            if shared := len(own & said):
                likest[place] = max(likest[place], shared / (len(own) + len(said) - shared))
    for place in open_places:
        yield left[place]


def _worth(place: int) -> float:
    return STEADY / (STEADY + place)
