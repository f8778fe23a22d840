"""The kinds that the words of a watch name, read by the lists of `sound_words.py` and `kind_words.py`.

A text is read clause by clause. Phrases are looked for from the top of the list to its end, and what one has taken no
other can take. What is not understood is not guessed: then the watch fires at anything.
"""

from __future__ import annotations

import re
from functools import lru_cache

from joyvl_server.core.watches import kind_words as words
from joyvl_server.core.watches import sound_words
from joyvl_server.core.watches.kinds import PICTURES, Kinds, WatchKind, in_order

MOST = 1000
"""This many characters of a text are read."""
NEAR_WORDS = 3
"""A negation reaches over this many words at most …"""
NEAR_SIGNS = 4
"""… or this many Chinese characters, and is looked for this far back:"""
REACH = 80


def fold(text: str) -> str:
    """Lower case, straight apostrophes, ä as ae, simplified characters."""
    text = text.replace("’", "'").lower().replace("ß", "ss").translate(words.SIMPLIFIED)
    return text.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")


def _list(entries: tuple[tuple[str, Kinds], ...]) -> tuple[tuple[re.Pattern[str], Kinds], ...]:
    return tuple((re.compile(fold(pattern.format(**words.NAMES))), kinds) for pattern, kinds in entries)


_PHRASES, _HINTS = _list(sound_words.PHRASES + words.PHRASES), _list(words.HINTS)
_ANYTHING = re.compile(fold(words.ANYTHING))
_NO_NEGATION = re.compile(fold(words.NO_NEGATION))
_NEGATIONS = re.compile(fold(words.NEGATIONS))
_NEGATIONS_AFTER = re.compile(fold(words.NEGATIONS_AFTER))
_LEFT_OUT = re.compile(fold(words.LEFT_OUT))
_EXCEPT = re.compile(fold(words.EXCEPT))
_TELLS = re.compile(fold(words.TELLS))
_ONLY_ZH = re.compile(words.ONLY_ZH)
_SENTENCES = re.compile(words.SENTENCE_ENDS)
_CLAUSES = re.compile(fold(words.CLAUSE_ENDS))
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@lru_cache(maxsize=1024)
def named_kinds(text: str) -> Kinds:
    """The kinds that the words of a watch name; empty (any) where they name none, or cannot be told by kinds.

    "not when someone leaves" takes a kind out; where nothing else is named, all the others are left. "when nobody
    comes in" is any: no engine says that nothing happened.
    """
    said = _Said()
    for sentence in _SENTENCES.split(_NO_NEGATION.sub(" ", _ONLY_ZH.sub("只", fold(text[:MOST])))):
        said.telling, said.excepting = True, False
        for clause in _CLAUSES.split(sentence):
            if clause.strip():
                said.take(clause.strip())
    return said.kinds()


class _Said:
    """What the clauses so far said. `telling`: what they name is to be told, not left out."""

    def __init__(self) -> None:
        self.telling, self.excepting = True, False
        self._named: set[WatchKind] = set()
        self._hinted: set[WatchKind] = set()
        self._left_out: set[WatchKind] = set()
        self._doubt = False

    def take(self, clause: str) -> None:
        if _EXCEPT.search(clause):
            self.telling, self.excepting = not self.telling, self.telling
        elif _LEFT_OUT.search(clause):
            self._doubt |= self.excepting  # "except when …, do not": which of the two?
            self.telling = False
        elif _TELLS.search(clause):
            self.telling = True
        kinds, unclear = _named(clause, negatable=self.telling)
        (self._named if self.telling else self._left_out).update(kinds)
        self._doubt |= unclear
        if self.telling and _ANYTHING.search(clause):
            self._named.update(PICTURES)
        if self.telling:
            self._hinted.update(kind for pattern, some in _HINTS if pattern.search(clause) for kind in some)

    def kinds(self) -> Kinds:
        named = self._named or self._hinted - self._left_out
        if self._left_out and not named:
            named = set(PICTURES)
        left = named - self._left_out
        return () if self._doubt or left == set(PICTURES) else in_order(left)


def _named(clause: str, *, negatable: bool) -> tuple[set[WatchKind], bool]:
    """(kinds that a clause names, whether one is denied in a way that kinds cannot tell)."""
    rest = clause
    found: list[tuple[int, int, Kinds]] = []
    for pattern, kinds in _PHRASES:
        for match in list(pattern.finditer(rest)):
            rest = rest[: match.start()] + "\0" * len(match[0]) + rest[match.end() :]
            found.append((match.start(), match.end(), kinds))
    named: set[WatchKind] = set()
    unclear = False
    for start, end, kinds in found:
        if not negatable or not _denied(rest, start, end):
            named.update(kinds)
        elif kinds in words.NEGATED:
            named.update(words.NEGATED[kinds])
        else:
            unclear |= bool(kinds)
    return named, unclear


def _denied(rest: str, start: int, end: int) -> bool:
    """Does a negation stand close before it, or, in German, right behind it?"""
    if _NEGATIONS_AFTER.match(rest, end):
        return True
    before = list(_NEGATIONS.finditer(rest, max(0, start - REACH), start))
    if not before:
        return False
    between = rest[before[-1].end() : start]
    if _CHINESE.search(between + before[-1][0]):
        return len(between) <= NEAR_SIGNS
    return len(between.split()) <= NEAR_WORDS
