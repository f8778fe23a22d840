"""Which words were heard, from the seconds that were played."""

from __future__ import annotations

import numpy as np
import pytest

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.sessions.speech.alignment import Alignment, whole_words

TEXT = "Someone comes in. It is the postman."


def sound(seconds: float, level: int = 3000) -> Pcm:
    return Pcm(np.full(round(seconds * 1000), level, np.int16), 1000)


def spoken() -> Alignment:
    alignment = Alignment()
    for start, end in ((0, 17), (18, 36)):
        alignment.begin(TEXT, start, end)
        for _ in range(4):
            alignment.add(sound(0.5))
        alignment.finish()
    return alignment


@pytest.mark.parametrize(
    ("played_s", "words"),
    [
        (0.0, ""),
        (0.1, ""),
        (0.9, "Someone"),
        (1.4, "Someone comes"),
        (1.99, "Someone comes in."),
        (2.0, "Someone comes in."),
        (2.2, "Someone comes in. It"),
        (3.0, "Someone comes in. It is the"),
        (4.0, TEXT),
        (9.0, TEXT),
    ],
)
def test_words_count_as_heard_when_half_of_them_was_played(played_s: float, words: str) -> None:
    assert TEXT[: spoken().heard(played_s)] == words


def test_what_was_heard_only_grows_with_the_time_played() -> None:
    alignment = spoken()
    positions = [alignment.heard(step / 50) for step in range(220)]
    assert positions == sorted(positions)
    assert alignment.seconds == 4.0


def test_a_sentence_whose_sound_still_comes_is_measured_by_its_usual_length() -> None:
    alignment = Alignment()
    alignment.begin(TEXT, 0, 17)
    assert alignment.heard(0.0) == 0
    alignment.add(sound(0.2))
    assert TEXT[: alignment.heard(0.2)] == ""
    assert TEXT[: alignment.heard(0.6)] == "Someone"


def test_every_chinese_character_is_a_word() -> None:
    text = "有人来了。请看 door 那边。"
    alignment = Alignment()
    alignment.begin(text, 0, len(text))
    alignment.add(sound(1.5))
    alignment.finish()
    heard = text[: alignment.heard(0.5)]
    assert heard == text[:5]
    assert text[: whole_words(text, 10.5)] in (text[:8], text[:12])


def test_a_sentence_that_could_not_be_spoken_counts_as_passed() -> None:
    alignment = Alignment()
    alignment.begin("🙂 Yes.", 0, 1)
    alignment.finish()
    alignment.begin("🙂 Yes.", 2, 6)
    alignment.add(sound(1.0))
    alignment.finish()
    assert alignment.heard(0.0) == 1
    assert alignment.heard(1.0) == 6


def test_silence_around_a_sentence_is_none_of_its_words() -> None:
    alignment = Alignment()
    alignment.begin(TEXT, 0, 17)
    alignment.add(sound(0.2, level=20))
    alignment.add(sound(1.7))
    alignment.add(sound(0.5, level=-20))
    alignment.finish()
    assert TEXT[: alignment.heard(0.2 + 0.35)] == "Someone"
    assert alignment.heard(0.2 + 0.3) == 0
    assert TEXT[: alignment.heard(0.2 + 1.65)] == "Someone comes in."
