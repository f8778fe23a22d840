from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.sealed import PREFIX, is_sealed
from joyvl_server.core.texts import TextJoiner, well_formed

ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud83d\ude00\ud800\udfff"))


def test_pairs_are_joined_and_lone_halves_replaced():
    assert well_formed("a door") == "a door"
    assert well_formed("é😀") == "é😀"
    assert well_formed("a\ud83d\ude00b") == "a😀b"
    assert well_formed("a\ud83db") == "a\ufffdb"
    assert well_formed("\ude00\ud83d") == "\ufffd\ufffd"


def test_a_pair_split_between_two_pieces_is_joined():
    joiner = TextJoiner()
    assert [joiner.feed(piece) for piece in ("a\ud83d", "", "\ude00b", "\ud83d", "c")] == [
        "a",
        "",
        "😀b",
        "",
        "\ufffdc",
    ]
    assert joiner.finish() == ""
    assert joiner.feed("\ud83d") + joiner.finish() == "\ufffd"


@given(st.lists(ANY_TEXT, max_size=6))
def test_the_pieces_make_the_text_however_it_was_cut(pieces: list[str]):
    joiner = TextJoiner()
    made = "".join([*map(joiner.feed, pieces), joiner.finish()])
    assert made == well_formed("".join(pieces))
    assert made.encode().decode() == made


def test_words_of_scores_and_errors_are_well_formed():
    dirty = Score(0.5, kind="\ud800", key="a", garbage="\ud83d\ude00")
    assert dirty.clean() == Score(0.5, kind="\ufffd", key="a", garbage="😀")
    assert Score(0.5).clean() == Score(0.5)
    assert str(JoyvlError("it said \ud800")) == "it said \ufffd"


def test_what_is_sealed_is_seen_by_its_beginning():
    assert is_sealed(f"{PREFIX}AAAA")
    assert not is_sealed("rtsp://camera/enc:v1:")
