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


@given(st.text(alphabet=st.sampled_from("ab ,.。，你when to"), max_size=400))
def test_nothing_is_lost_and_nothing_is_too_long(text):
    pieces = clauses(text, 10, 90)
    assert "".join(pieces) == text
    assert all(weight(piece) <= 90 + 3 for piece in pieces)
