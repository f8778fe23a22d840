"""Cuts text that is still being written into sentences, as early as can be known that one is over. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sentencex

from joyvl_server.speech.text.language import language_of

LONGEST = 240
"""Characters after which a sentence is cut at the best place before; Chinese ones count three times."""
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]")
WIDE_COUNTS = 3
_SURE_END = re.compile(r"(?:[。！？][”’」』）】》\"']*|\n)\s*$")
"""What ends a sentence without a look at what follows."""
_CLAUSE = re.compile(r"[,;:，；：、—–][\"'”’)\]]*\s*|\s[-–—]\s")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` is the characters `start` to `end` (exclusive) of the whole text, spaces at its end with it."""

    text: str
    start: int
    end: int


class SentenceStream:
    """`feed` it pieces as they come. What it has given out, joined, is the text; `finish` gives out the rest.

    A sentence whose end is sure (。！？, a new line) comes at once; one that ends in a full stop when the next word
    begins, for the stop may be that of an abbreviation or a number. It never keeps more than `longest` characters.
    """

    def __init__(self, language: str = "en", *, longest: int = LONGEST) -> None:
        self._language = language
        self._longest = longest
        self._rest = ""
        self._begin = 0

    def feed(self, delta: str) -> list[Sentence]:
        """The sentences that are over now."""
        self._rest += delta
        found: list[Sentence] = []
        if self._rest.strip():
            *over, last = self._segments()
            if _SURE_END.search(last):
                over, last = [*over, last], ""
            for segment in over:
                found += self._cut_long(segment, whole=True)
            if len(last) * WIDE_COUNTS > self._longest:
                found += self._cut_long(last, whole=False)
        return found

    def finish(self) -> list[Sentence]:
        """The rest."""
        found = self.feed("")
        if self._rest.strip():
            for segment in self._segments():
                found += self._cut_long(segment, whole=True)
        return found

    def _segments(self) -> list[str]:
        language = language_of(self._rest, self._language)
        segments: list[str] = []
        # Each line by itself, with its end: a list has no full stops.
        for line in self._rest.splitlines(keepends=True):
            found = [piece for piece in sentencex.segment(language, line) if piece]
            segments += found if "".join(found) == line else [line]
        return _with_spaces(segments)

    def _cut_long(self, segment: str, *, whole: bool) -> list[Sentence]:
        """The segment, which is what comes next, in pieces that are no longer than allowed; the last one only if it is
        `whole`."""
        found = []
        while segment and self._counts(segment) > self._longest:
            end = self._best_end(segment)
            found.append(self._take(end))
            segment = segment[end:]
        if segment and whole:
            found.append(self._take(len(segment)))
        return [sentence for sentence in found if sentence.text.strip()]

    def _counts(self, text: str) -> int:
        return len(text) + (WIDE_COUNTS - 1) * len(_WIDE.findall(text))

    def _best_end(self, text: str) -> int:
        """The last clause, else the last space, else the last character that fits."""
        fits, counted = 0, 0
        for character in text:
            counted += WIDE_COUNTS if _WIDE.match(character) else 1
            if counted > self._longest:
                break
            fits += 1
        fits = max(1, fits)
        for pattern in (_CLAUSE, _SPACE):
            ends = [match.end() for match in pattern.finditer(text[:fits]) if match.end() > fits // 4]
            if ends:
                return ends[-1]
        return fits

    def _take(self, end: int) -> Sentence:
        text, self._rest = self._rest[:end], self._rest[end:]
        sentence = Sentence(text, self._begin, self._begin + end)
        self._begin += end
        return sentence


def _with_spaces(segments: list[str]) -> list[str]:
    """Segments of nothing but space join the one before, or the one behind where there is none."""
    joined: list[str] = []
    for segment in segments:
        if joined and (not segment.strip() or not joined[-1].strip()):
            joined[-1] += segment
        else:
            joined.append(segment)
    return joined or [""]
