"""Words of a sentence that goes on: which of them will stay, and how often it is worth asking."""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_COST_S = 0.5
"""what an answer may cost while none was measured"""
NEWEST = 0.3
"""how much the newest cost counts in the mean"""


WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
"""characters of scripts that are written without spaces (Chinese, Japanese), for a regular expression"""

_WIDE = re.compile(f"[{WIDE}]")
_WORD = re.compile(rf"\s*(?:[{WIDE}][^\w\s]*|[^\s{WIDE}]+)")


def split_words(text: str) -> list[str]:
    """Words, with the spaces before them and the punctuation after them; each Chinese character is a word."""
    return _WORD.findall(text)


def join_texts(first: str, second: str) -> str:
    """Two texts that were said one after the other, with a space between them where their script has spaces."""
    if not first or not second:
        return first or second
    return first + ("" if _WIDE.match(second) and _WIDE.search(first[-2:]) else " ") + second


def bare(word: str) -> str:
    """The word as it is compared: without case, spaces and punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum())


class LocalAgreement:
    """Commits the words on which two hypotheses in a row agree, from the beginning. What is committed stays.

    Feed it what the engine understood of the sentence so far, each time of a longer beginning of it.
    """

    def __init__(self) -> None:
        self._last: list[str] = []
        self._committed: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._committed).strip()

    @property
    def words(self) -> int:
        return len(self._committed)

    def feed(self, hypothesis: str) -> str:
        """The committed words, joined, with this hypothesis counted."""
        words = [word for word in split_words(hypothesis.strip()) if bare(word)]
        agreed = 0
        while agreed < min(len(words), len(self._last)) and bare(words[agreed]) == bare(self._last[agreed]):
            agreed += 1
        # A hypothesis that changed an earlier word must not take back what somebody has read.
        if agreed > len(self._committed):
            self._committed += words[len(self._committed) : agreed]
        self._last = words
        return self.text


@dataclass
class PartialBudget:
    """How often all sessions together may ask for partials.

    `share`: of one engine's time, between 0 (never) and 1 (always busy). `every_s`: never more often. Pure: the caller
    tells the time, in monotonic seconds.
    """

    share: float = 0.4
    every_s: float = 0.5
    _next: float = float("-inf")
    _cost_s: float | None = None

    @property
    def cost_s(self) -> float:
        """What one answer costs, as measured: the mean, in which newer ones count more."""
        return FIRST_COST_S if self._cost_s is None else self._cost_s

    def allows(self, now: float) -> bool:
        return self.share > 0 and now >= self._next

    def spent(self, now: float, seconds: float) -> None:
        """One was answered just now, after this many seconds of work."""
        self._cost_s = seconds if self._cost_s is None else self._cost_s + NEWEST * (seconds - self._cost_s)
        rest = seconds * (1 / self.share - 1) if self.share > 0 else 0.0
        self._next = max(self._next, now + max(rest, self.every_s - seconds))
