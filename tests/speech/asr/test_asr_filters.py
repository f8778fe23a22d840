"""What is no speech is not taken for it, and what is speech is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.asr.filters import Decoded, is_doubtful, is_too_fast, understood, without_loop


@pytest.mark.parametrize(
    "decoded",
    [
        Decoded("Thanks for watching!", 3.0, -0.3, 0.4),
        Decoded(" Thank you.", 6.0, -0.3, 0.01),
        Decoded("谢谢观看", 3.0, -0.9, 0.05),
        Decoded("you", 1.0, -0.2, 0.3),
        Decoded("字幕由Amara.org社区提供", 3.0, -0.2, 0.0),
        Decoded("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", 5.0, -0.1, 0.0),
        Decoded("Please subscribe to my channel for more.", 4.0, -0.1, 0.0),
        Decoded("以下是普通话的句子。", 2.0, -0.1, 0.0, "以下是普通话的句子。"),
        Decoded("The man is here.", 2.0, -0.4, 0.95),
        Decoded("The man is here.", 2.0, -1.2, 0.7),
        Decoded("Blurb the gneiss.", 2.0, -2.0, 0.1),
        Decoded("Where are my keys? " * 7, 3.0, -0.1, 0.0),
        Decoded("嗯嗯嗯嗯嗯嗯嗯嗯嗯嗯", 3.0, -0.1, 0.0),
        Decoded("...", 2.0),
        Decoded("♪", 2.0),
        Decoded("Yes, I would like to know where he is.", 0.2),
        Decoded("One two three four five six seven eight nine ten eleven twelve thirteen fourteen.", 0.8),
    ],
)
def test_nothing_was_said(decoded):
    assert understood(decoded) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thank you.", 1.0),
        ("No, no, no, no, no!", 2.0),
        ("Stop.", 0.5),
        ("Yes.", 0.4),
        ("Tell me when someone subscribes to the newspaper.", 3.0),
        ("打开字幕。", 1.5),
        ("Ha ha ha, very funny.", 2.0),
        ("谢谢。", 0.9),
        ("Call 0 4 4 3 3 3 2 2 now.", 3.0),
    ],
)
def test_it_was_said(text, seconds):
    assert understood(Decoded(text, seconds, -0.3, 0.05)) == text


def test_a_loop_at_the_end_takes_nothing_from_what_stands_before_it():
    assert without_loop("Tell me when he comes comes comes comes comes comes comes") == "Tell me when he comes"
    assert without_loop("Hello there. I am. I am. I am. I am. I am.") == "Hello there. I am."


def test_a_loop_that_nobody_could_say_has_no_beginning_either():
    """What whisper made of four seconds of a rumble, on a processor with other integer instructions."""
    loop = "A car was a car that " + "was a car that " * 14
    assert understood(Decoded(loop, 4.0)) == ""
    assert understood(Decoded("Tell me when he comes " + "comes " * 60, 4.0)) == "Tell me when he comes"


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40), st.integers(6, 20))
def test_no_loop_is_left(words, times):
    text = without_loop(" ".join([*words, *["x", "y"] * times]))
    assert text == without_loop(text)
    assert "x y x y x y x y" not in text


def test_what_looks_wrong_is_looked_at_again():
    assert is_doubtful(Decoded("Where are my keys? " * 7, 3.0, -0.1))
    assert is_doubtful(Decoded("Murmur.", 3.0, -1.3))
    assert not is_doubtful(Decoded("Where are my keys?", 2.0, -0.3))
    assert not is_too_fast("Where are my keys?", 0.8)
