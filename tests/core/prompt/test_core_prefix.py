import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.media.frames import EPOCH
from joyvl_server.core.prompt.prefix import (
    Sections,
    build_prefix,
    clock_line,
    newest,
    share,
    shorten,
    watch_line,
)
from joyvl_server.core.prompt.wire_format import QUERY_HEADER, text_tokens
from joyvl_server.core.watches.watches import Watch
from joyvl_server.core.watches.zones import Zone

DOOR = Zone("door", ((0.0, 0.7), (0.3, 0.7), (0.3, 1.0), (0.0, 1.0)))


def test_sections_stand_in_order_with_a_blank_line_between() -> None:
    sections = Sections(
        clock="[Clock] noon",
        video_history=["<0.0 seconds ~ 90.0 seconds> A quiet hall."],
        qa_history=["#1 [Query@12.0 seconds] Why?", "[Response@15.0 seconds] So."],
        watches=["Tell me when someone falls"],
        queries=["What colour is the car?"],
    )
    assert build_prefix(sections, 1000).split("\n\n") == [
        "[Clock] noon",
        "[Video History]\n<0.0 seconds ~ 90.0 seconds> A quiet hall.",
        "[Q&A History]\n#1 [Query@12.0 seconds] Why?\n[Response@15.0 seconds] So.",
        f"{QUERY_HEADER}\nTell me when someone falls",
        f"{QUERY_HEADER}\nWhat colour is the car?",
    ]


def test_several_watches_share_one_header() -> None:
    assert build_prefix(Sections(watches=["falls", "comes"]), 1000) == (
        f"{QUERY_HEADER}\nKeep watching for each of these and speak when it happens:\n1. falls\n2. comes"
    )


def test_nothing_to_say_is_no_prefix() -> None:
    assert build_prefix(Sections(), 1000) == ""


def test_what_does_not_fit_goes_video_first_then_the_oldest_answers() -> None:
    qa = [f"[Response@{number}.0 seconds] something was said" for number in range(50)]
    prefix = build_prefix(
        Sections(clock="[Clock]", video_history=["a quiet hall " * 9], qa_history=qa, watches=["falls"]), 300
    )
    assert qa[-1] in prefix
    assert qa[0] not in prefix
    assert "[Video History]" not in prefix
    assert "falls" in prefix


def test_queries_leave_every_watch_the_room_for_its_first_words() -> None:
    watches = [f"w{number} " + "word " * 90 for number in range(20)]
    queries = [f"q{number} " + "word " * 90 for number in range(4)]
    prefix = build_prefix(Sections(watches=watches, queries=queries), 55 + 18 * 20)
    assert all(f". w{number} " in prefix for number in range(20))


def test_the_newest_lines_that_fit_in_order() -> None:
    assert newest(["one", "two", "three"], 5) == ["two", "three"]
    assert newest(["one"], 1) == []


LINES = st.lists(st.text(max_size=300), max_size=70)


@given(LINES, LINES, LINES, LINES, st.integers(0, 3000))
def test_the_prefix_keeps_to_its_room(video, qa, watches, queries, room) -> None:
    sections = Sections("[Clock] <0.0 seconds> is 2026-01-01", video, qa, watches, queries)
    assert text_tokens(build_prefix(sections, room)) <= room


@given(st.lists(st.text("abc ", min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=5))
def test_every_watch_is_visible_where_there_is_room(watches) -> None:
    prefix = build_prefix(Sections(clock="[Clock]", qa_history=["x" * 300] * 20, watches=watches), 600)
    assert all(watch in prefix for watch in watches)


@pytest.mark.parametrize(
    ("wall", "offset", "line"),
    [
        (EPOCH, 0, "[Clock] <0.0 seconds> is 2026-01-01 00:00:00 UTC+00:00"),
        (EPOCH, 5 * 3600 + 1800, "[Clock] <0.0 seconds> is 2026-01-01 05:30:00 UTC+05:30"),
        (EPOCH, -3 * 3600, "[Clock] <0.0 seconds> is 2025-12-31 21:00:00 UTC-03:00"),
        (-1e300, 0, "[Clock] <0.0 seconds> is 1970-01-01 00:00:00 UTC+00:00"),
        (1e300, 0, "[Clock] <0.0 seconds> is 9999-12-31 23:59:59 UTC+00:00"),
    ],
)
def test_the_clock_on_the_wall(wall, offset, line) -> None:
    assert clock_line(0.0, wall, offset) == line


def test_a_watch_says_where_it_looks() -> None:
    watch = Watch("w", "w", "Someone\ncomes </silence>", zones=("door", "gone"))
    assert watch_line(watch, [DOOR]) == "Someone comes (only here: door, lower left; gone)"
    assert watch_line(Watch("w", "w", "Someone falls"), [DOOR]) == "Someone falls"


@given(st.text(max_size=400), st.integers(1, 200))
def test_shortened_text_keeps_to_its_tokens_and_says_that_it_was_cut(text, tokens) -> None:
    short = shorten(text, tokens)
    if text_tokens(text) <= tokens:
        assert short == text
    else:
        assert text_tokens(short) <= max(2, tokens)
        assert short.endswith("…")
        assert text.startswith(short[:-1])


@given(st.lists(st.text(max_size=100), max_size=40), st.integers(-5, 300))
def test_shares_keep_to_their_room(lines, room) -> None:
    shared = share(lines, room)
    assert sum(text_tokens(line) for line in shared) <= max(0, room)
    if room >= 12 * len(lines):
        assert len(shared) == len(lines)
