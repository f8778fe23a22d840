"""Questions with lettered answers, asked at the tail of the pending turn and never kept: what kind of request somebody
made, which watch or question a remark is about, which of them is to end.

Words of people stand in them as data: on one line, in quotation marks, shortened. They cannot add an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from joyvl_server.core.prompt.prefix import MAX_LINE, shorten
from joyvl_server.core.prompt.wire_format import clean, text_tokens

LETTERS = tuple("ABCDEFGHIJKLMNOPQRST")
QUESTION = 232
"""estimated tokens of a question, at most: it takes the place that a context keeps free for the answer"""
REQUEST = 96
"""estimated tokens of somebody's words in a question of their own"""
FRAME = 8
"""of an option without its words"""
LEAST = 20
"""estimated tokens of an option at least; there are as many as there is room for"""
LAST = "Answer with one letter."
NOTHING = "none of these"

T = TypeVar("T")


class RequestKind(StrEnum):
    """What somebody said."""

    ONCE = "once"
    """a question or a request of this moment"""
    STANDING = "standing"
    """an instruction from now on: it becomes a watch"""
    CANCEL = "cancel"
    """the end of a watch, or of a question that is still open"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A watch or an open query that a remark may be about; neither of the two: none of those that were offered."""

    text: str = ""
    watch: str | None = None
    query: str | None = None


NONE = Candidate()


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """A question whose options are the first letters, and what each of them means; None: that is not found out."""

    question: str
    meanings: tuple[T | None, ...]

    @property
    def options(self) -> tuple[str, ...]:
        return LETTERS[: len(self.meanings)]

    def ranked(self, shares: Sequence[float]) -> list[tuple[float, T | None]]:
        """Each share with what it means, the largest first; empty where the shares say nothing."""
        if len(shares) != len(self.meanings) or not all(math.isfinite(value) for value in shares):
            return []
        return sorted(zip(shares, self.meanings, strict=True), key=lambda pair: -pair[0])

    def taken(self, shares: Sequence[float]) -> T | None:
        """The meaning with the largest share, the first of equals; None where the shares say nothing."""
        ranked = self.ranked(shares)
        return ranked[0][1] if ranked else None


def kind_of(request: str) -> Choice[RequestKind]:
    """What kind of request did somebody just make?"""
    lines = [
        f"Someone has just said to you: {_quoted(request, REQUEST)}. What is that?",
        "A: a question or a request for this moment only",
        "B: something to watch for or to keep doing from now on",
        "C: a wish that you stop watching for something, or drop an earlier question",
        LAST,
    ]
    return Choice("\n".join(lines), (RequestKind.ONCE, RequestKind.STANDING, RequestKind.CANCEL))


def about_which(candidates: Sequence[Candidate]) -> Choice[Candidate]:
    """What is a remark about?"""
    return _which("You are about to speak. Which of these is it about?", candidates)


def end_which(request: str, candidates: Sequence[Candidate]) -> Choice[Candidate]:
    """Which of these did somebody ask to stop?"""
    return _which(f"Someone has just said to you: {_quoted(request, REQUEST // 2)}. Which is to stop?", candidates)


def _which(head: str, candidates: Sequence[Candidate]) -> Choice[Candidate]:
    """The first candidates, as many as there is room for; where some are left out, none of those is no finding."""
    available = QUESTION - text_tokens(f"{head}\n{_line(LETTERS[0], NOTHING)}\n{LAST}")
    offered = candidates[: min(available // LEAST, len(LETTERS) - 1)]
    each = available // max(1, len(offered)) - FRAME
    lines = [f"{'question ' if candidate.query else ''}{_quoted(candidate.text, each)}" for candidate in offered]
    lettered = [_line(letter, line) for letter, line in zip(LETTERS, [*lines, NOTHING], strict=False)]
    nothing = NONE if len(offered) == len(candidates) else None
    return Choice("\n".join([head, *lettered, LAST]), (*offered, nothing))


def _line(letter: str, text: str) -> str:
    return f"{letter}: {text}"


def _quoted(text: str, tokens: int) -> str:
    """On one line, in quotation marks that it cannot close, at most `tokens` and the marks."""
    words = shorten(clean(text, MAX_LINE).replace('"', "'"), tokens - 2)  # the sign of what was cut takes two
    return f'"{words}"'
