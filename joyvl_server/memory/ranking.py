"""The order of what several searches have found: ranks are joined, repeats left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from joyvl_server.memory.base import Recalled
from joyvl_server.store.memories.records import MemoryRecord
from joyvl_server.store.memories.search import share
from joyvl_server.store.memories.words import STOP, words

STEADY = 8.0
"""the larger, the less the first places stand out"""
MEANING, WORDS, LATEST = 1.0, 0.9, 0.05
"""what a first place counts. Words count as far as the memory has those of the question; cosines do not count at all:
those of some embedders all lie close together"""

LIKENESS = 1.0
"""what a memory loses for having the same words as one before it"""
WEIGHED, VARIED = 60, 20
"""Of so many the first places are filled so."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """`seq` as each search found them, the best first; `by_words` with its weights. `records`: those that count."""

    by_meaning: Sequence[int]
    by_words: Sequence[tuple[int, float]]
    latest: Sequence[int]
    records: Mapping[int, MemoryRecord]


def rank(question: str, found: Candidates) -> list[Recalled]:
    """The best first; of memories with the same words only the latest."""
    scores: dict[int, float] = {}
    for place, seq in enumerate(n for n in found.by_meaning if n in found.records):
        scores[seq] = scores.get(seq, 0.0) + MEANING * _worth(place)
    for place, (seq, _) in enumerate(hit for hit in found.by_words if hit[0] in found.records):
        worth = WORDS * share(question, found.records[seq].text)
        scores[seq] = scores.get(seq, 0.0) + worth * _worth(place)
    for place, seq in enumerate(n for n in found.latest if n in found.records):
        scores[seq] = scores.get(seq, 0.0) + LATEST * _worth(place)
    ordered = sorted(scores, key=lambda seq: (-scores[seq], -found.records[seq].wall))
    ranked: dict[tuple[str, ...], Recalled] = {}
    for seq in ordered:
        memory = found.records[seq]
        same = ranked.setdefault((memory.collection, *words(memory.text)), Recalled(memory, scores[seq]))
        if memory.wall > same.memory.wall:
            ranked[(memory.collection, *words(memory.text))] = replace(same, memory=memory)
    return _varied(list(ranked.values()))


def _varied(ranked: list[Recalled]) -> list[Recalled]:
    """What says nearly the same as one before it comes later: cameras see the same things again and again."""
    left = ranked[:WEIGHED]
    content = {recalled.memory.id: frozenset(words(recalled.memory.text)) - STOP for recalled in left}
    likest = dict.fromkeys(content, 0.0)
    chosen: list[Recalled] = []
    while left and len(chosen) < VARIED:
        best = max(left, key=lambda recalled: recalled.score - LIKENESS * likest[recalled.memory.id])
        left.remove(best)
        chosen.append(best)
        said = content[best.memory.id]
        for recalled in left:
            own = content[recalled.memory.id]
            likest[recalled.memory.id] = max(likest[recalled.memory.id], len(own & said) / max(1, len(own | said)))
    return chosen + left + ranked[WEIGHED:]


def _worth(place: int) -> float:
    return STEADY / (STEADY + place)
