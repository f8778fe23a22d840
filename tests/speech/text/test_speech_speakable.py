"""What a voice is given to say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.text import speakable as module
from joyvl_server.speech.text.language import base_language, language_of
from joyvl_server.speech.text.speakable import speakable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Two** people _came_ in, `really`.", "Two people came in, really."),
        ("# Report\n\n- one\n- two", "Report, one, two"),
        ("1. open\n2. close", None),
        ("See [the page](https://x.org/a_b) now.", "See the page now."),
        ("Look at https://www.example.com/path?q=1&x=2.", "Look at example.com."),
        ("<speak>Hi <break time='1s'/>there</speak>", "Hi there"),
        ("Fire! 🔥🔥 Run 👍🏽 🇩🇪 now", "Fire! Run now"),
        ("a\x00b\x07c\u200bd\u202ee", "a b cde"),
        ("Tom &amp; Jerry", "Tom and Jerry"),
        ("!!!???", ""),
        ("---", ""),
        ("😀", ""),
        ("| a | b |\n|---|---|\n| c | d |", "a, b, c, d"),
        ("Noooooooooooooo!!!!!!!!", "Nooo!!!"),
        ("[[h@'loU]]", "[h@'loU]"),
        ("שלום לכולם", "שלום לכולם"),
        ("snake_case stays", "snake_case stays"),
        ("It is 25.5°C and 5 km.", "It is twenty five point five degrees Celsius and five kilometers."),
        ("Room 101: 2 people", "Room one hundred and one: two people"),
        ("温度25.5℃，3个人", "温度二十五点五摄氏度，三个人"),
        ("价格¥3.50，25.5°C", "价格三点五零元，二十五点五摄氏度"),
        ("“3 cars” — he’s gone", '"three cars" — he’s gone'),
    ],
)
def test_it_is_what_a_person_would_read(text, spoken):
    found = speakable(text)
    assert found == spoken if spoken is not None else found


def test_without_the_package_numbers_are_left_to_the_voice(monkeypatch):
    monkeypatch.setattr(module, "_normalizer", lambda language: None)
    assert speakable("3 cars at 9:30.") == "3 cars at 9:30."


@given(st.text(max_size=300))
def test_whatever_comes_it_does_not_fail_and_holds_no_control_characters(text):
    spoken = speakable(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202e\u2066" for c in spoken)


def test_ten_thousand_characters_and_no_more():
    assert len(speakable("word " * 4000)) <= 10_000


@pytest.mark.parametrize(
    ("text", "default", "language"),
    [
        ("There is a cat on the table.", "en", "en"),
        ("有人来了。", "en", "zh"),
        ("OK，他们在 door 那里等你。", "en", "zh"),
        ("The word 好 means good.", "zh", "en"),
        ("今日はいい天気です。", "en", "ja"),
        ("Привет, мир", "en", "ru"),
        ("Der Hund ist da und schläft.", "en", "de"),
        ("Kamera 3", "de", "de"),
        ("The dog is here", "de", "en"),
        ("12:30", "zh", "zh"),
        ("", "en-US", "en"),
        ("שלום", "en", "he"),
    ],
)
def test_the_language_of_a_text(text, default, language):
    assert language_of(text, default) == language


def test_names_of_languages():
    assert [base_language(tag) for tag in ("en-US", "cmn-latn-pinyin", "zh_CN", "PT-br")] == ["en", "zh", "zh", "pt"]
