"""When espeak-ng says each word of a sentence, as its library tells: the truth for what was heard."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

from joyvl_server.core.errors import JoyvlError

VOICE, WORDS_PER_MINUTE = "en-us", 165
"""as the voice `espeak` of the server speaks where nothing else is set"""
_SYNCHRONOUS, _RATE, _UTF8, _CHARACTER = 2, 1, 1, 1
_WORD = 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, or a few that are said in one go; `begin` and `end` in seconds of the sound."""

    text: str
    begin: float
    end: float


@cache
def _library() -> tuple[Any, int]:
    """The library, ready, and the rate of its sound. Raises `JoyvlError` where there is none."""
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError as error:
        raise JoyvlError(f"The library of espeak-ng is missing: {error}.") from None
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
    library.espeak_SetVoiceByName(VOICE.encode())
    library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
    return library, rate


@cache
def timed_words(sentence: str) -> tuple[TimedWord, ...]:
    """The words of one sentence, in order. Not for two threads at once."""
    library, rate = _library()
    found: list[tuple[int, float]] = []
    samples = 0

    def take(_: int, count: int, events: Any) -> int:
        nonlocal samples
        samples += count
        index = 0
        while (event := events[index]).type:
            if event.type == _WORD:
                found.append((event.text_position - 1, event.audio_ms / 1000))
            index += 1
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))(take)
    library.espeak_SetSynthCallback(callback)
    text = sentence.encode()
    library.espeak_Synth(text, len(text) + 1, 0, _CHARACTER, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    ends = [begin for _, begin in found[1:]] + [samples / rate]
    # What it says in one go ("in the") is told as its first word: the text up to the next one belongs to it.
    stops = [at for at, _ in found[1:]] + [len(sentence)]
    return tuple(
        TimedWord(sentence[at:stop].strip(), begin, end)
        for (at, begin), stop, end in zip(found, stops, ends, strict=True)
    )
