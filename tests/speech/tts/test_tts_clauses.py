"""The first clause first, and all of the sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.speech.tts.clauses import clauses, weight


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("There is smoke, so please come at once.", ["There is smoke,", " so please come at once."]),
        ("Tell me when someone comes to the front door.", ["Tell me when someone comes ", "to the front door."]),
        ("有人来到前门的时候告诉我。", ["有人来到前门的时候", "告诉我。"]),
        ("Hello.", ["Hello."]),
        ("It costs 3.5 dollars.", ["It costs 3.5 dollars."]),
        ("", []),
    ],
)
def test_where_a_sentence_is_cut(text, pieces):
    assert clauses(text, 10, 90) == pieces


def test_a_first_piece_may_end_at_a_mark_without_being_cut_before_a_joining_word():
    text = "The man with the yellow helmet climbs the ladder, and the dog watches him from the garden."
    assert clauses(text, 36, 160, 150) == [text[:49], text[49:]]
    plain = text.replace(",", "")
    assert clauses(plain, 36, 160, 150) == [plain]
    assert clauses(plain, 36, 160, 80) == [plain[:49], plain[49:]]


@given(st.text(alphabet=st.sampled_from("ab ,.。，你when to"), max_size=400))
def test_nothing_is_lost_and_nothing_is_too_long(text):
    pieces = clauses(text, 10, 90)
    assert "".join(pieces) == text
    assert all(weight(piece) <= 90 + 3 for piece in pieces)
