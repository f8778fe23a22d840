"""The parser of answers: what every spelling means, and that no cut into deltas changes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.prompt.answer_parser import MAX_GARBAGE, AnswerParser, Verdict

MARKERS = [
    *("</silence>", "<silence>", "</response>", "<response>"),
    *("</delegation>", "<delegation>", "</delegate>", "<delegate>"),
    *("<|im_end|>", "<|endoftext|>"),
]


def parse(text: str, *, opened: bool = False, limit: int = 2000) -> AnswerParser:
    parser = AnswerParser(opened=opened, limit=limit)
    parser.feed(text)
    parser.finish()
    return parser


@pytest.mark.parametrize(
    "text", ["</silence>", "<silence>", "\n </silence> ", "</silence> but look!", "</silence></response> hi"]
)
def test_silence_in_every_spelling_whatever_follows(text) -> None:
    parser = parse(text)
    assert (parser.verdict, parser.note, parser.garbage) == (Verdict.SILENT, "", "")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("</response> A man came in.", "A man came in."),
        ("<response>A man came in.", "A man came in."),
        (" </response>\n\nfirst line\n second line \n", "first line\n second line"),
        ("</response> a < b <c> </b>", "a < b <c> </b>"),
        ("</response>", ""),
        ("</response>   ", ""),
        ("</response> one </response> two", "one"),
        ("</response> one </silence>", "one"),
        ("</response> one<|im_end|>", "one"),
        ("</response> one </resp", "one"),
    ],
)
def test_a_response_ends_at_the_next_marker(text, note) -> None:
    parser = parse(text)
    assert (parser.verdict, parser.note, parser.question) == (Verdict.RESPONSE, note, "")
    assert not parser.delegated


@pytest.mark.parametrize("marker", ["</delegation>", "</delegate>", "<delegation>", "<delegate>"])
def test_a_delegation_has_a_note_and_a_question(marker) -> None:
    parser = parse(f"</response> One moment. {marker} Who\nis it? </silence> x")
    assert (parser.note, parser.question, parser.delegated) == ("One moment.", "Who\nis it?", True)


def test_a_delegation_may_lack_its_note_or_its_question() -> None:
    assert parse("</response></delegation> Who?").question == "Who?"
    empty = parse("</response> Hm. </delegation> ")
    assert (empty.note, empty.question, empty.delegated) == ("Hm.", "", True)


def test_white_space_before_a_delegation_does_not_reach_the_question() -> None:
    parser = AnswerParser(opened=True)
    shown = parser.feed("a  ") + parser.feed("\n") + parser.feed("</delegate>b")
    assert (shown, parser.question) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "garbage"),
    [
        ("Hello there", "Hello there"),
        ("Hello </response> hi", "Hello </response> hi"),
        ("</delegation> Who?", "</delegation> Who?"),
        ("<|im_end|>", "<|im_end|>"),
        ("", ""),
        ("   ", ""),
        ("</resp", "</resp"),
        ("</Response> hi", "</Response> hi"),
        ("x" * 500, "x" * MAX_GARBAGE),
        (" " * 500 + "</response> hi", ""),
    ],
)
def test_what_is_outside_the_format_is_garbage(text, garbage) -> None:
    parser = parse(text)
    assert (parser.verdict, parser.garbage, parser.note) == (Verdict.GARBAGE, garbage, "")


def test_the_verdict_comes_as_soon_as_it_is_certain() -> None:
    parser = AnswerParser()
    for delta, verdict in [("\n", Verdict.PENDING), ("</sil", Verdict.PENDING), ("ence>", Verdict.SILENT)]:
        parser.feed(delta)
        assert parser.verdict is verdict
    assert parser.ended

    parser = AnswerParser()
    parser.feed("</response")
    assert parser.verdict is Verdict.PENDING
    assert parser.feed("> Hi") == "Hi"
    assert parser.verdict is Verdict.RESPONSE
    assert not parser.ended

    parser = AnswerParser()
    parser.feed("<b")
    assert parser.verdict is Verdict.GARBAGE


def test_no_part_of_a_marker_is_ever_shown() -> None:
    parser = AnswerParser(opened=True)
    assert [parser.feed(char) for char in " a <b </deleg"] == ["", "a", "", "", " <b", "", *[""] * 7]
    assert parser.feed("ation> q") == ""
    assert parser.note == "a <b"


def test_an_endless_answer_is_cut_and_then_ignored() -> None:
    parser = AnswerParser(opened=True, limit=10)
    shown = [parser.feed("word ") for _ in range(1000)]
    assert "".join(shown) == "word word"
    assert parser.ended
    assert len(parser.take_rest()) == 10

    cut = AnswerParser(opened=True, limit=10)
    assert cut.feed("eight    </delegates") == "eight"  # never "</"

    endless = AnswerParser()
    for _ in range(1000):
        endless.feed("blah ")
    assert endless.ended
    assert len(endless.garbage) == MAX_GARBAGE


def test_the_rest_is_handed_on_once_with_the_markers_of_delegation() -> None:
    parser = AnswerParser()
    parser.feed(" </response> One mo")
    assert parser.take_rest() == " One mo"
    assert parser.take_rest() == ""
    parser.feed("ment. </dele")
    assert parser.take_rest() == "ment. "
    parser.feed("gate> Who?</silence> more")
    assert parser.take_rest() == "</delegate> Who?"


TEXTS = st.lists(
    st.sampled_from([*MARKERS, "</", "<", ">", " ", "\n", "a", "Hi. ", "</resp", "silence>", "x" * 60])
    | st.text(max_size=4)
).map("".join)


def outcome(parser: AnswerParser) -> tuple[object, ...]:
    return (parser.verdict, parser.note, parser.question, parser.delegated, parser.garbage)


@given(TEXTS, st.data(), st.booleans(), st.integers(1, 200))
def test_how_the_answer_was_cut_never_matters(text, data, opened, limit) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    parser = AnswerParser(opened=opened, limit=limit)
    shown = "".join(parser.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    parser.finish()
    assert outcome(parser) == outcome(parse(text, opened=opened, limit=limit))
    assert shown == parser.note
    assert parser.ended


@given(TEXTS, st.data())
def test_the_rest_read_again_means_the_same(text, data) -> None:
    """An engine reads the whole stream and hands the rest on; the observer reads that."""
    first, second = AnswerParser(), AnswerParser(opened=True)
    for char in text:
        first.feed(char)
        if data.draw(st.booleans()):
            second.feed(first.take_rest())
    first.finish()
    second.feed(first.take_rest())
    second.finish()
    if first.verdict is Verdict.RESPONSE:
        assert second.delegated == first.delegated
        for told, read in ((first.note, second.note), (first.question, second.question)):
            # A "<" right before the marker that ended the answer is dropped: it might have begun another one.
            assert told.startswith(read)
            assert told == read or any(marker.startswith(told[len(read) :].strip()) for marker in MARKERS)
    else:
        assert (second.note, second.question) == ("", "")


@given(TEXTS)
def test_what_is_shown_holds_no_marker_and_no_outer_white_space(text) -> None:
    parser = parse(text)
    for said in (parser.note, parser.question):
        assert not any(marker in said for marker in MARKERS)
        assert said == said.strip()
