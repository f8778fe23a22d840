"""Which facts answer a question by their plain words, for engines that read none: all that it names must be in one."""

from __future__ import annotations

from collections.abc import Sequence

from joyvl_server.core.past.questions import PastQuestion
from joyvl_server.store.memories.records import MemoryRecord
from joyvl_server.store.memories.words import stem, terms, words

MOST_TERMS = 24
SHOWN = 5
_ASKED_WITH = """
    put kept keep lay lies lying lie hid hide hang store tell told say said know remember call named find see please
    show need look mean again exactly still hey ok okay many much long happen ask asked mention
    lege liegt liegen steckt stecken steht stehen hangt hangen gelegt getan weiss weisst wissen merken erinnere erinnern
    nochmal gesagt erzahlt heisst heissen bitte sag zeig gebeten finde finden suche"""
_MOVING = """
    come go leave enter move people person persons man woman men women child children visitor guest car dog cat arrive
    visit light dark leute mensch menschen besuch gast kommen gehen auto hund katze kind"""
_SIGNS = "放记住说告诉知道找儿忘"
_EMPTY = frozenset((*(stem(word) for word in _ASKED_WITH.split()), *_SIGNS))
"""how questions are put: no fact needs these"""
_EVERYDAY = _EMPTY | {stem(word) for word in _MOVING.split()} | set("人来走进出离开客动车狗猫")
"""a question of nothing but these is about what happens"""


def facts_that_answer(
    text: str, question: PastQuestion | None, facts: Sequence[MemoryRecord], most: int = SHOWN
) -> list[MemoryRecord]:
    """The latest first. `question`: what `text` asks of the past; None where it asks nothing of it."""
    wanted = [left for term in terms(text, MOST_TERMS) if (left := tuple(w for w in term if w not in _EMPTY))]
    ordered = sorted(facts, key=lambda fact: (fact.wall, fact.id), reverse=True)
    if question is not None and question.telling:
        ordered = [fact for fact in ordered if question.time.contains(fact.wall)]
        if not wanted:
            return ordered[:most]
    if _EVERYDAY.issuperset(word for term in wanted for word in term):
        return []
    return [fact for fact in ordered if _has_all(fact.text, wanted)][:most]


def _has_all(fact: str, wanted: Sequence[tuple[str, ...]]) -> bool:
    said = words(fact)
    return all(any(tuple(said[n : n + len(term)]) == term for n in range(len(said))) for term in wanted)
