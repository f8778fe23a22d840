"""Was it said to us?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.wake_word import AddressGate, Judged, ListenMode, WakeWord, distance


@pytest.mark.parametrize(
    ("wake_word", "text", "left"),
    [
        ("hey joy", "Hey Joy, tell me when someone comes.", "tell me when someone comes."),
        ("hey joy", "hey joy", ""),
        ("hey joy", "Hey, Joey! What is that?", "What is that?"),
        ("hey joy", "Heyjoy what is that?", "what is that?"),
        ("hey joy", "Um, hey Joy, stop.", "stop."),
        ("hey joy", "Hi Joy. Stop.", "Stop."),
        ("joy", "Joy, what do you see?", "what do you see?"),
        ("joy", "What do you see, Joy?", "What do you see?"),
        ("computer", "Can you tell me, computer, what this is?", "Can you tell me, computer, what this is?"),
        ("computer", "Komputer, stop.", "stop."),
        ("hey jarvis", "Hey Jervis, stop.", "stop."),
        ("hey jarvis", "A Jarvis, stop.", "stop."),
        ("小乔|小桥", "小桥，有人来了告诉我。", "有人来了告诉我。"),
        ("你好小乔", "你好，小巧，厨房里有人吗？", "厨房里有人吗？"),
        ("小乔", "厨房里有人吗，小乔？", "厨房里有人吗？"),
    ],
)
def test_it_is_found_and_taken_away(wake_word, text, left):
    assert WakeWord(wake_word).judge(text) == Judged(True, left)


@pytest.mark.parametrize(
    ("wake_word", "text"),
    [
        ("hey joy", "Hey boy, come here."),
        ("hey joy", "I enjoy this."),
        ("joy", "That is a boy."),
        ("joy", "They cried tears of joy when they heard it."),
        ("joy", "Enjoy your meal."),
        ("computer", "The consumer is late."),
        ("hey jarvis", "Hey Travis, stop."),
        ("小乔", "小心，地上有水。"),
        ("小乔", "有人来了。"),
        ("joy", ""),
        ("joy", "…"),
    ],
)
def test_it_is_not_found_where_it_was_not_said(wake_word, text):
    assert not WakeWord(wake_word).judge(text).addressed


def gate(mode=ListenMode.OPEN, wake_word="hey joy", follow_up_s=8.0):
    return AddressGate(mode, WakeWord(wake_word) if wake_word else None, follow_up_s)


def test_after_the_wake_word_none_is_needed_for_a_while():
    speech = gate()
    assert not speech.judge("What is that?", 0, 1).addressed
    assert speech.judge("Hey Joy, what is that?", 2, 4) == Judged(True, "what is that?")
    assert speech.judge("And that?", 11.9, 13) == Judged(True, "And that?")
    assert speech.judge("And this?", 20, 21).addressed
    assert not speech.judge("And here?", 29.5, 30).addressed
    speech.follow_up(40)  # our answer ended
    assert speech.judge("And there?", 47, 48).addressed


def test_an_open_microphone_without_a_wake_word_hears_all():
    assert gate(wake_word="").judge(" What is that? ", 0, 1) == Judged(True, "What is that?")
    assert gate(wake_word=" , ").judge("What is that?", 0, 1).addressed
    assert not gate(ListenMode.OFF).judge("Hey Joy, what is that?", 0, 1).addressed


def test_push_to_talk_hears_what_is_said_while_the_button_is_held():
    speech = gate(ListenMode.PUSH_TO_TALK)
    assert not speech.judge("Before.", 0, 1).addressed
    speech.push(2)
    assert speech.judge("Who is there?", 1.8, 4).addressed
    assert speech.judge("Still held.", 100, 101).addressed
    speech.release(102)
    assert speech.judge("The last word.", 102.2, 103).addressed
    assert not speech.judge("After.", 103, 104).addressed


@given(st.text(max_size=30), st.text(max_size=80))
def test_any_text_is_judged(wake_word, text):
    judged = WakeWord(wake_word).judge(text)
    assert judged.addressed or judged.text == text.strip()


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_a_distance_is_one(first, second):
    assert distance(first, second) == distance(second, first)
    assert (distance(first, second) == 0) == (first == second)
