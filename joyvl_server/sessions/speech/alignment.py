"""Which words of an utterance were heard, from how much of its sound was played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.tts.voice_pace import is_wide, usual_seconds

QUIET = 330
"""what is not louder, of 32,767 (-40 dB), is no speech: voices put some silence around their sentences"""


@dataclass(slots=True)
class _Sentence:
    start: int
    end: int
    seconds: float = 0.0
    whole: bool = False
    speech_begin: float = 0.0
    """seconds of its sound before the first that is speech"""
    speech_end: float = 0.0
    """… and up to the last so far"""

    def add(self, pcm: Pcm) -> None:
        loud = np.flatnonzero((pcm.samples > QUIET) | (pcm.samples < -QUIET))
        if len(loud):
            if self.speech_end == 0.0:
                self.speech_begin = self.seconds + float(loud[0]) / pcm.rate
            self.speech_end = self.seconds + float(loud[-1] + 1) / pcm.rate
        self.seconds += pcm.seconds


class Alignment:
    """Sentences in order: `begin` one, `add` its sound as it is made, `finish` it. Characters are of the whole text."""

    def __init__(self) -> None:
        self._text = ""
        self._sentences: list[_Sentence] = []

    def begin(self, text: str, start: int, end: int) -> None:
        """The next sentence is `text[start:end]`; `text` is the utterance as far as it is known."""
        self._text = text
        self._sentences.append(_Sentence(start, end))

    def add(self, pcm: Pcm) -> None:
        """More sound of the sentence begun last."""
        self._sentences[-1].add(pcm)

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
            position = sentence.start + self._share(sentence, played_s) * (sentence.end - sentence.start)
            words_end = whole_words(self._text, position, sentence.start)
            return words_end if words_end > sentence.start else heard
        return heard

    def _share(self, sentence: _Sentence, played_s: float) -> float:
        """How much of its words was said, 0 to 1."""
        spoken = sentence.speech_end - sentence.speech_begin or sentence.seconds
        length = spoken if sentence.whole else max(spoken, usual_seconds(self._text[sentence.start : sentence.end]))
        return min(1.0, max(0.0, played_s - sentence.speech_begin) / length) if length > 0 else 0.0


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
        if character.isspace() or is_wide(character):
            if begin is not None:
                yield begin, index
                begin = None
            if not character.isspace():
                yield index, index + 1
        elif begin is None:
            begin = index
    if begin is not None:
        yield begin, len(text)
