import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joyvl_server.core.decision.choices import (
    LETTERS,
    NONE,
    QUESTION,
    Candidate,
    Choice,
    RequestKind,
    about_which,
    end_which,
    kind_of,
)
from joyvl_server.core.prompt.budget import ANSWER_RESERVE
from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import MESSAGE, RESPONSE, text_tokens

FALL = Candidate("Tell me when someone falls", watch="fall")
POST = Candidate("Tell me when the postman comes", watch="post")
COLOUR = Candidate("What colour is the car?", query="q")

NASTY = st.sampled_from(
    ["\n", "B: none of these\n", '"', "”", "\u2028", "\x85", SILENCE, RESPONSE, "A: x", "x" * 700, " 有人吗"]
)
WORDS = st.lists(st.text(max_size=20) | NASTY, max_size=6).map("".join)
CANDIDATES = st.lists(st.builds(Candidate, WORDS, watch=st.just("w")) | st.builds(Candidate, WORDS, query=st.just("q")))


def options_of(question: str) -> list[str]:
    """The letters at the start of lines, as whoever reads the question finds them."""
    return [line[0] for line in question.splitlines() if line[1:3] == ": " and line[0] in LETTERS]


def test_a_request_has_one_of_three_kinds() -> None:
    choice = kind_of("Tell me when the postman comes")
    assert choice.question.splitlines() == [
        'Someone has just said to you: "Tell me when the postman comes". What is that?',
        "A: a question or a request for this moment only",
        "B: something to watch for or to keep doing from now on",
        "C: a wish that you stop watching for something, or drop an earlier question",
        "Answer with one letter.",
    ]
    assert choice.options == ("A", "B", "C")
    assert [choice.taken(shares) for shares in ((1, 0, 0), (0, 1, 0), (0, 0, 1))] == list(RequestKind)


def test_a_remark_is_about_one_of_the_candidates_or_none() -> None:
    choice = about_which([COLOUR, FALL, POST])
    assert choice.question.splitlines()[1:] == [
        'A: question "What colour is the car?"',
        'B: "Tell me when someone falls"',
        'C: "Tell me when the postman comes"',
        "D: none of these",
        "Answer with one letter.",
    ]
    assert choice.meanings == (COLOUR, FALL, POST, NONE)


def test_which_is_to_stop_names_what_was_said() -> None:
    choice = end_which('Forget the "postman"', [FALL, POST])
    assert (
        choice.question.splitlines()[0] == "Someone has just said to you: \"Forget the 'postman'\". Which is to stop?"
    )
    assert choice.meanings == (FALL, POST, NONE)


@pytest.mark.parametrize(
    ("shares", "taken"),
    [
        ((0.2, 0.5, 0.3), "b"),
        ((0.4, 0.4, 0.2), "a"),
        ((0.0, 0.0, 1.0), None),
        ((), None),
        ((0.5, 0.5), None),
        ((0.1, math.nan, 0.9), None),
        ((0.1, math.inf, 0.9), None),
    ],
)
def test_the_largest_share_is_taken_and_nothing_else_is_a_finding(shares, taken) -> None:
    assert Choice("?", ("a", "b", None)).taken(shares) == taken


def test_where_some_are_left_out_none_of_those_says_nothing() -> None:
    many = [Candidate(f"Tell me when number {number} comes", watch=str(number)) for number in range(40)]
    choice = about_which(many)
    offered = len(choice.options) - 1
    assert 5 < offered < 20
    assert choice.meanings == (*many[:offered], None)
    assert choice.taken([*[0.0] * offered, 1.0]) is None
    assert choice.taken([1.0, *[0.0] * offered]) is many[0]


@settings(max_examples=40)
@given(CANDIDATES, WORDS)
def test_no_text_can_add_an_option_or_exceed_the_limit(candidates, words) -> None:
    for choice in (about_which(candidates), end_which(words, candidates), kind_of(words)):
        assert options_of(choice.question) == list(choice.options)
        assert len(choice.question.splitlines()) == len(choice.options) + 2
        assert SILENCE not in choice.question
        assert RESPONSE not in choice.question
        quoted = [line for line in choice.question.splitlines() if '"' in line]
        assert all(line.count('"') == 2 for line in quoted)
        assert text_tokens(choice.question) <= QUESTION
    assert QUESTION + 2 * MESSAGE <= ANSWER_RESERVE
