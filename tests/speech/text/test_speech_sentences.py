"""Sentences as they are written: early, whole, and all of the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.text.sentences import LONGEST, SentenceStream


def split(text, size=1, language="en"):
    stream = SentenceStream(language)
    early = [s for i in range(0, len(text), size) for s in stream.feed(text[i : i + size])]
    return early, stream.finish()


def words(sentences):
    return [s.text.strip() for s in sentences]


@pytest.mark.parametrize(
    ("text", "early", "rest"),
    [
        ("Two people came in. They sit down. One", ["Two people came in.", "They sit down."], ["One"]),
        ("Dr. Smith left at 9:30 a.m. with 3.5 kg. Then", ["Dr. Smith left at 9:30 a.m. with 3.5 kg."], ["Then"]),
        (
            "刚才有两个人。他们在门口！温度是25.5度，好吗？还没完",
            ["刚才有两个人。", "他们在门口！", "温度是25.5度，好吗？"],
            ["还没完"],
        ),
        ("He said “Stop!” Then he ran. End", ["He said “Stop!”", "Then he ran."], ["End"]),
        ("- first\n- second\nlast", ["- first", "- second"], ["last"]),
        ("There is a cat.", [], ["There is a cat."]),
        ("   \n\n ", [], []),
        ("", [], []),
    ],
)
def test_sentences_come_as_soon_as_they_are_over(text, early, rest):
    assert (words(split(text)[0]), words(split(text)[1])) == (early, rest)


def test_a_chinese_sentence_comes_with_its_full_stop():
    stream = SentenceStream("zh")
    assert stream.feed("有人来了") == []
    assert words(stream.feed("。")) == ["有人来了。"]


@given(st.lists(st.text(alphabet=st.sampled_from('ab .,!?。，\n1"””你好é😀'), max_size=80), max_size=12))
def test_what_comes_out_is_what_went_in(deltas):
    stream = SentenceStream()
    found = [s for delta in deltas for s in stream.feed(delta)] + stream.finish()
    text = "".join(deltas)
    for before, after in zip(found, found[1:], strict=False):
        assert before.end <= after.start
    for sentence in found:
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.text.strip()
    said = "".join(s.text for s in found)
    assert "".join(said.split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["word " * 2000, "字" * 10_000, "a" * 10_000, "你好，" * 3000, "A, b. " * 1700])
def test_text_without_ends_is_cut_and_ten_thousand_characters_are_quick(text):
    began = time.process_time()
    early, rest = split(text, 40)
    assert time.process_time() - began < 60
    for sentence in early + rest:
        wide = sum(ord(c) > 0x2E80 for c in sentence.text)
        assert len(sentence.text) + 2 * wide <= LONGEST
    assert "".join(s.text for s in early + rest) == text
