import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.media.frames import make_frame
from joyvl_server.core.prompt.turns import ImagePart, Look, TextPart, UserTurn
from joyvl_server.core.prompt.wire_format import (
    QUERY_HEADER,
    answer,
    clean,
    query_block,
    system_prompt,
    time_tag,
    user_parts,
)


def test_time_tags_have_one_decimal_and_are_never_negative() -> None:
    assert time_tag(12) == "<12.0 seconds>"
    assert time_tag(0.26) == "<0.3 seconds>"
    assert time_tag(-3) == "<0.0 seconds>"


def test_a_plain_second_is_a_time_tag_and_a_picture() -> None:
    frame = make_frame(3.0)
    text, image = user_parts(UserTurn(1, 3.0, frame, Look.GLANCE))
    assert text == TextPart("<3.0 seconds>\n")
    assert image == ImagePart.of(frame, Look.GLANCE)


def test_parts_come_in_order_prefix_notices_query_time_picture() -> None:
    turn = UserTurn(1, 3.0, make_frame(3.0), query="What colour is the car?", news=("[Result] a", "[Result] b"))
    text, image = user_parts(turn, prefix="[Clock] noon")
    assert text.text.split("\n") == [
        "[Clock] noon",
        "",
        "[Result] a",
        "[Result] b",
        QUERY_HEADER,
        "What colour is the car?",
        "<3.0 seconds>",
        "",
    ]
    assert isinstance(image, ImagePart)


def test_the_separator_is_a_setting() -> None:
    turn = UserTurn(1, 0.0, make_frame(0.0), query="Why?")
    text, _ = user_parts(turn, separator="")
    assert text == TextPart(f"{QUERY_HEADER}\nWhy?<0.0 seconds>")


def test_answers_in_the_wire_format() -> None:
    assert answer("") == "</silence>"
    assert answer("A man came in.") == "</response> A man came in."
    assert answer("One moment.", "Who is it?") == "</response> One moment. </delegation> Who is it?"
    assert answer("", "Who is it?") == "</response> </delegation> Who is it?"


def test_the_query_header_stands_on_a_line_of_its_own() -> None:
    assert query_block("Why?") == f"{QUERY_HEADER}\nWhy?"


def test_the_system_prompt_offers_delegation_only_where_there_is_one() -> None:
    with_agent, without = system_prompt(), system_prompt(delegation=False)
    assert "three actions" in with_agent
    assert "</delegation>" in with_agent
    assert "two actions" in without
    assert "delegation" not in without
    assert all(marker in without for marker in ("</silence>", "</response>"))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  two\nlines ", "two lines"),
        ("say </response> fire", "say fire"),
        ("a <|im_end|> b", "a b"),
        ("</sil</silence>ence>", "</sil ence>"),
        ("</DELEGATE>now", "now"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("x" * 30, "x" * 9 + "…"),
    ],
)
def test_words_of_others_cannot_steer_the_format(text, cleaned) -> None:
    assert clean(text, 10 if text.startswith("xx") else 100) == cleaned


MARKERS = re.compile(r"</?(silence|response|delegation|delegate)>|<\|im_end\|>|<\|endoftext\|>")
PIECES = st.sampled_from(
    ["</sil", "ence>", "</silence>", "<", "</", "response>", "<|im_", "end|>", "<|", "|>", " ", "a", "\n"]
)


@given(st.lists(PIECES).map("".join) | st.text(), st.integers(1, 50))
def test_cleaned_words_hold_no_marker_and_keep_to_their_length(text, limit) -> None:
    cleaned = clean(text, limit)
    assert not MARKERS.search(cleaned)
    assert len(cleaned) <= limit
    assert "\n" not in cleaned
