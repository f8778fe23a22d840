"""Which words of a sentence stay, and how often it is worth asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.asr.partials import LocalAgreement, PartialBudget, bare, join_texts, split_words


def test_words_stay_on_which_two_in_a_row_agree():
    agreement = LocalAgreement()
    told = [agreement.feed(text) for text in (
        "Tell", "Tell me when", "Tell me when some", "tell me, when someone comes", "Tell me when someone comes to",
    )]  # fmt: skip
    assert told == ["", "Tell", "Tell me when", "Tell me when", "Tell me when someone comes"]


def test_chinese_grows_by_characters():
    agreement = LocalAgreement()
    assert [agreement.feed(text) for text in ("有人", "有人来到", "有人来到前门。")] == ["", "有人", "有人来到"]


def test_what_was_committed_is_never_taken_back():
    agreement = LocalAgreement()
    for text in ("the cat", "the cat sat", "a dog", "a dog ran"):
        agreement.feed(text)
    assert agreement.text == "the cat"


@given(st.lists(st.lists(st.sampled_from(["a", "b", "猫", "c,"]), max_size=8)))
def test_committed_text_only_grows(hypotheses):
    agreement, before = LocalAgreement(), ""
    for words in hypotheses:
        after = agreement.feed(" ".join(words))
        assert after.startswith(before)
        before = after


@given(st.text(max_size=60))
def test_splitting_loses_no_letter(text):
    assert bare("".join(split_words(text))) == bare(text)


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [("a", "b", "a b"), ("你好。", "再见", "你好。再见"), ("你好", "ok", "你好 ok"), ("", "b", "b"), ("a", "", "a")],
)
def test_texts_are_joined_as_their_script_is_written(first, second, joined):
    assert join_texts(first, second) == joined


def test_the_budget_is_a_share_of_the_time():
    budget = PartialBudget(share=0.25, every_s=0.5)
    now, worked = 100.0, 0.0
    while now < 200.0:
        if budget.allows(now):
            now += 0.3
            worked += 0.3
            budget.spent(now, 0.3)
        else:
            now += 0.05
    assert 0.2 <= worked / 100 <= 0.26


def test_fast_ones_come_no_more_often_than_wanted_and_none_with_no_share():
    budget = PartialBudget(share=1.0, every_s=0.5)
    budget.spent(10.0, 0.1)
    assert not budget.allows(10.3)
    assert budget.allows(10.41)
    assert not PartialBudget(share=0.0).allows(10.0)
