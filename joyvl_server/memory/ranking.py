"""The order of what several searches have found: ranks are joined, repeats left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from joyvl_server.memory.base import Recalled
from joyvl_server.store.memories.records import MemoryRecord
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
    `records`: those that count."""

    by_meaning: Sequence[int]
    by_words: Sequence[tuple[int, float]]
    latest: Sequence[int]
    records: Mapping[int, MemoryRecord]


def rank(found: Candidates) -> list[Recalled]:
    """The best first; of memories with the same words only the latest."""
    scores: dict[int, float] = {}
    for place, seq in enumerate(n for n in found.by_meaning if n in found.records):
        scores[seq] = scores.get(seq, 0.0) + MEANING * _worth(place)
    for place, (seq, share) in enumerate(hit for hit in found.by_words if hit[0] in found.records):
        scores[seq] = scores.get(seq, 0.0) + WORDS * share * _worth(place)
    for place, seq in enumerate(n for n in found.latest if n in found.records):
        scores[seq] = scores.get(seq, 0.0) + LATEST * _worth(place)
    ordered = sorted(scores, key=lambda seq: (-scores[seq], -found.records[seq].wall))
    ranked: dict[tuple[str, ...], Recalled] = {}
    for seq in ordered[:WEIGHED]:
        memory = found.records[seq]
        said = (memory.collection, *words(memory.text))
        same = ranked.setdefault(said, Recalled(memory, scores[seq]))
        if memory.wall > same.memory.wall:
            ranked[said] = replace(same, memory=memory)
    return _varied([(recalled, frozenset(said[1:]) - STOP) for said, recalled in ranked.items()])


def _varied(left: list[tuple[Recalled, frozenset[str]]]) -> list[Recalled]:
    """What says nearly the same as one before it comes later: cameras see the same things again and again."""
    likest = [0.0] * len(left)
    chosen: list[Recalled] = []
    open_places = list(range(len(left)))
    while open_places and len(chosen) < VARIED:
        best = max(open_places, key=lambda place: left[place][0].score - LIKENESS * likest[place])
        open_places.remove(best)
        recalled, said = left[best]
        chosen.append(recalled)
        for place in open_places:
            own = left[place][1]
            likest[place] = max(likest[place], len(own & said) / max(1, len(own | said)))
    return chosen + [left[place][0] for place in open_places]


def _worth(place: int) -> float:
    return STEADY / (STEADY + place)
