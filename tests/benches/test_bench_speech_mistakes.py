"""What is a mistake and what is only written otherwise."""

from __future__ import annotations

import pytest
from bench.speech.mistakes import error_rate, plain_chinese, plain_english
from bench.speech.sentences import CHINESE, ENGLISH


@pytest.mark.parametrize(
    ("said", "heard", "language", "rate"),
    [
        ("At eight o'clock, two cats.", "at 8 o'clock two cats", "en", 0),
        ("One two three four.", "One too three four.", "en", 0.25),
        ("One two.", "", "en", 1),
        ("One.", "One one one.", "en", 2),
        ("有三个人来了。", "有3個人來了", "zh", 0),
        ("十二个箱子", "12个箱子", "zh", 0),
        ("有人吗", "有任吗", "zh", 1 / 3),
    ],
)
def test_rates(said, heard, language, rate):
    assert error_rate([(said, heard)], language) == pytest.approx(rate)


def test_rates_are_of_all_words_together():
    assert error_rate([("a b c", "a b c"), ("d", "x")], "en") == 0.25
    assert error_rate([], "en") == 0


def test_the_sentences_hold_nothing_that_is_written_in_two_ways():
    assert len(ENGLISH) == len(CHINESE) == 20
    for sentence in ENGLISH:
        assert " ".join(plain_english(sentence)) == sentence.lower().rstrip(".?").replace(",", "")
    for sentence in CHINESE:
        assert "".join(plain_chinese(sentence)) == sentence.strip("。？").replace("，", "")
