"""Which words of an utterance were heard, from how much of its sound was played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

USUAL_S = 0.065
"""seconds of speech a character of an alphabet, where nothing is known yet"""
USUAL_WIDE_S = 0.22
"""… and a character of Chinese or Japanese"""


@dataclass(slots=True)
class _Sentence:
    start: int
    end: int
    seconds: float = 0.0
    whole: bool = False


class Alignment:
    """Sentences in order: `begin` one, `add` its sound as it is made, `finish` it. Characters are of the whole text."""

    def __init__(self) -> None:
        self._text = ""
        self._sentences: list[_Sentence] = []

    def begin(self, text: str, start: int, end: int) -> None:
        """The next sentence is `text[start:end]`; `text` is the utterance as far as it is known."""
        self._text = text
        self._sentences.append(_Sentence(start, end))

    def add(self, seconds: float) -> None:
        """So much more sound of the sentence begun last."""
        self._sentences[-1].seconds += seconds

    def finish(self) -> None:
        """The sentence begun last has all its sound."""
        self._sentences[-1].whole = True

    @property
    def seconds(self) -> float:
        """Of all sound so far."""
        return sum(sentence.seconds for sentence in self._sentences)

    def heard(self, played_s: float) -> int:
        """Characters of the text heard after `played_s` seconds: whole words, and those of which half was played."""
        heard = 0
        for sentence in self._sentences:
            if sentence.whole and played_s >= sentence.seconds - 1e-3:
                played_s -= sentence.seconds
                heard = sentence.end
                continue
            length = sentence.seconds if sentence.whole else max(sentence.seconds, self._expected(sentence))
            share = min(1.0, max(0.0, played_s) / length) if length > 0 else 0.0
            position = sentence.start + share * (sentence.end - sentence.start)
            words_end = whole_words(self._text, position, sentence.start)
            return words_end if words_end > sentence.start else heard
        return heard

    def _expected(self, sentence: _Sentence) -> float:
        words = self._text[sentence.start : sentence.end]
        wide = sum(map(_is_wide, words))
        return wide * USUAL_WIDE_S + (len(words) - wide) * USUAL_S


def whole_words(text: str, position: float, start: int = 0) -> int:
    """The end of the last word that was heard when speech got to `position`; nothing before `start` is looked at."""
    end = start
    for first, last in _words(text, start):
        if position < (first + last) / 2:
            break
        end = last
    return end


def _words(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Start and end of each word; a Chinese character is a word of its own."""
    begin: int | None = None
    for index in range(start, len(text)):
        character = text[index]
        if character.isspace() or _is_wide(character):
            if begin is not None:
                yield begin, index
                begin = None
            if not character.isspace():
                yield index, index + 1
        elif begin is None:
            begin = index
    if begin is not None:
        yield begin, len(text)


def _is_wide(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7af" or "\uf900" <= character <= "\ufaff"
