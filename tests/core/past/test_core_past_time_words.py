"""When does a text mean? Tables of expressions, and what is said of those that nobody can tell."""

# ruff: noqa: E501
from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.past.spans import Span
from joyvl_server.core.past.time_words import read_time
from joyvl_server.sessions.memory.zone_calendar import ZoneCalendar

BERLIN = ZoneCalendar(ZoneInfo("Europe/Berlin"))
THURSDAY = "2026-03-12 10:30"


def at(local: str, fold: int = 0) -> float:
    return BERLIN.unix(datetime.fromisoformat(local).replace(fold=fold))


def spans(text: str, now: str = THURSDAY) -> list[tuple[str, str]]:
    return [
        (f"{BERLIN.local(span.start):%Y-%m-%d %H:%M}", f"{BERLIN.local(span.end):%Y-%m-%d %H:%M}")
        for span in read_time(text, at(now), BERLIN).spans
    ]


def table() -> list[tuple[str, str, str]]:
    """(expression, now, stretches of time): each line of the tables; now is a Thursday unless it says otherwise."""
    rows = []
    for path in sorted((Path(__file__).parent / "expressions").glob("*.txt")):
        for line in path.read_text("utf-8").splitlines():
            said, _, meant = line.partition(" => ")
            text, _, now = said.partition(" @ ")
            rows.append((text, now or THURSDAY, meant))
    return rows


TABLE = table()


def test_there_are_at_least_three_hundred() -> None:
    assert len(TABLE) >= 400


@pytest.mark.parametrize(("text", "now", "meant"), TABLE, ids=[f"{text} @ {now}" for text, now, _ in TABLE])
def test_what_it_means(text: str, now: str, meant: str) -> None:
    wanted = tuple(Span(*(at(moment) for moment in span.split(" – "))) for span in meant.split("; "))
    reading = read_time(text, at(now), BERLIN)
    assert reading.spans == wanted
    assert not reading.not_understood


SENTENCES = [
    ("Did anyone come this morning?", "2026-03-12 04:00", "2026-03-12 12:00"),
    ("Who was at the door yesterday evening, and what did they want?", "2026-03-11 17:00", "2026-03-12 00:00"),
    ("How many people came in between three and four yesterday?", "2026-03-11 15:00", "2026-03-11 16:00"),
    ("Did three people come today?", "2026-03-12 00:00", "2026-03-13 00:00"),
    ("Yesterday someone was here, I think at about 15:30", "2026-03-11 15:00", "2026-03-11 16:00"),
    ("今天早上有人来过吗？", "2026-03-12 04:00", "2026-03-12 12:00"),
    ("昨天晚上八点左右门口有谁？", "2026-03-11 19:30", "2026-03-11 20:30"),
    ("War gestern Nachmittag jemand da?", "2026-03-11 12:00", "2026-03-11 18:00"),
    ("Hat in der letzten halben Stunde jemand geklingelt?", "2026-03-12 10:00", "2026-03-12 10:30"),
]


@pytest.mark.parametrize(("text", "start", "end"), SENTENCES)
def test_in_a_sentence(text: str, start: str, end: str) -> None:
    assert spans(text) == [(start, end)]


@pytest.mark.parametrize(
    "text",
    [
        "when did the third one leave?", "how many people came in?", "where did I put my keys?", "is anyone there?",
        "Wie viele Leute kamen herein?", "我的钥匙放在哪儿了？", "", "   ", "?!", "look after the two dogs",
    ],
)  # fmt: skip
def test_nothing_is_said_about_when(text: str) -> None:
    reading = read_time(text, at(THURSDAY), BERLIN)
    assert reading.spans == ()
    assert reading.contains(0.0)
    assert reading.span is None


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Did anyone come while I was out?", "while I was out"),
        ("Who came after the postman left, yesterday?", "after the postman left"),
        ("Was jemand da, während ich weg war?", "während ich weg war"),
        ("我出门的时候有人来吗？", "我出门的时候"),
        ("What happened at Easter?", "Easter"),
        ("Who was there on 3/4?", "on 3/4"),
        ("春节有人来吗？", "春节"),
        ("Who was there since I left yesterday?", "since I left"),
    ],
)
def test_what_is_not_understood_is_told(text: str, unknown: str) -> None:
    assert unknown in read_time(text, at(THURSDAY), BERLIN).not_understood


def test_this_morning_at_one_in_the_night_is_not_yesterday() -> None:
    (span,) = read_time("Did anyone come this morning?", at("2026-03-12 01:00"), BERLIN).spans
    assert span.start == at("2026-03-12 00:00")


def test_ever_has_no_limit() -> None:
    reading = read_time("Did anyone ever come?", at(THURSDAY), BERLIN)
    assert reading.ever
    assert not reading.spans


def test_what_is_to_come() -> None:
    assert read_time("Will anyone come tomorrow at three?", at(THURSDAY), BERLIN).future
    assert read_time("in two hours", at(THURSDAY), BERLIN).future
    assert not read_time("yesterday", at(THURSDAY), BERLIN).future


def test_the_rest_is_the_question_without_its_time() -> None:
    assert read_time("Did anyone come yesterday evening?", at(THURSDAY), BERLIN).rest == "Did anyone come ?"


# ------------------------------------------------------------------------------------------------ a change of clocks


def test_a_day_that_the_clock_makes_shorter() -> None:
    (span,) = read_time("yesterday", at("2026-03-30 09:00"), BERLIN).spans
    assert span.end - span.start == 23 * 3600


def test_a_day_that_the_clock_makes_longer() -> None:
    (span,) = read_time("gestern", at("2026-10-26 09:00"), BERLIN).spans
    assert span.end - span.start == 25 * 3600


def test_an_hour_that_comes_twice_is_both() -> None:
    (span,) = read_time("between 2:00 and 3:00 am", at("2026-10-25 09:00"), BERLIN).spans
    assert span.start == at("2026-10-25 02:00", fold=0)
    assert span.end - span.start == 2 * 3600


def test_an_hour_that_was_left_out_is_empty() -> None:
    (span,) = read_time("今天凌晨两点到三点", at("2026-03-29 09:00"), BERLIN).spans
    assert span.start == span.end == at("2026-03-29 03:00")


def test_yesterday_evening_across_the_change() -> None:
    (span,) = read_time("yesterday evening", at("2026-03-29 09:00"), BERLIN).spans
    assert (span.start, span.end) == (at("2026-03-28 17:00"), at("2026-03-29 00:00"))


def test_hours_ago_count_by_the_stop_watch_and_days_by_the_clock() -> None:
    now = at("2026-03-29 04:30")  # 3.5 hours after midnight
    (hours,) = read_time("in the last four hours", now, BERLIN).spans
    assert BERLIN.local(hours.start) == datetime.fromisoformat("2026-03-28 23:30")
    (days,) = read_time("in the last two days", now, BERLIN).spans
    assert BERLIN.local(days.start) == datetime.fromisoformat("2026-03-27 04:30")


def test_elsewhere_it_is_another_time() -> None:
    tokyo = ZoneCalendar(ZoneInfo("Asia/Tokyo"))
    (span,) = read_time("this morning", at(THURSDAY), tokyo).spans  # 18:30 there
    assert tokyo.local(span.start) == datetime.fromisoformat("2026-03-12 04:00")


# --------------------------------------------------------------------------------------------------------- odd texts

NO_TIMES = [
    "in March 2500", "on 31/2", "on February 30", "on the 32nd", "on 30.2.", "2026-13-45", "at 25 pm", "at 13 pm",
    "at 9:75", "on 3 March 1900", "in 1901", "13月1日", "2月30日", "99号", "三点九十分", "二十五点", "半半小时前",
    "半半月半日", "半半月3日到5日", "半半月", "半半号", "半半点", "三点半半分", "08:75", "um 9:75 Uhr", "halb fünfzehn", "halb 13",
    "0 nach 25", "um 60 nach drei", "60 minutes past three", "at 25 minutes past 30", "from 5 March to", "March 5-3", "三半天前", "三点三半分",
    "from 3 pm to 4 pm 5 pm",
    "vom 5. bis 3. März", "3月5日到3日",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_read_as_well_as_can_be(text: str) -> None:
    now = at(THURSDAY)
    assert all(span.start <= span.end <= now + 86400 * 30 for span in read_time(text, now, BERLIN).spans)


COMING = [
    "next Friday",
    "nächsten Freitag",
    "next week",
    "next month",
    "next year",
    "nächste Woche",
    "明天",
    "后天早上",
]


@pytest.mark.parametrize("text", COMING)
def test_it_is_still_to_come(text: str) -> None:
    assert read_time(text, at(THURSDAY), BERLIN).future


@given(st.text(max_size=200), st.floats(min_value=0, max_value=4e9))
def test_any_text_is_read(text: str, now: float) -> None:
    reading = read_time(text, now, BERLIN)
    assert all(span.start <= span.end for span in reading.spans)


@pytest.mark.parametrize("text", ["3月以后", "since tomorrow", "after this month", "since next week", "seit morgen"])
def test_what_begins_later_than_now_has_no_length_and_is_to_come(text: str) -> None:
    reading = read_time(text, at(THURSDAY), BERLIN)
    assert [span.end - span.start for span in reading.spans] == [0.0]
    assert reading.future


WORDS = (
    "at around between and from to since before after until yesterday today last this week three 3 30 15:45 0:99 25",
    "pm am morning night Friday ago hours 2 days March 31 2025-02-30 zwischen vor nach bis gestern halb viertel acht",
    "Uhr Montag letzte Woche am im 昨天 上周 五 三点 半 到 之前 以后 3月 31日 最近 几 天 99 号 0 点 60 分 for in 9999",
    "years",
)


@given(st.lists(st.sampled_from(" ".join(WORDS).split()), max_size=12), st.booleans())
def test_any_words_of_time_are_read(words: list[str], chinese: bool) -> None:
    reading = read_time(("" if chinese else " ").join(words), at(THURSDAY), BERLIN)
    assert all(span.start <= span.end for span in reading.spans)
    assert list(reading.spans) == sorted(reading.spans, key=lambda span: span.start)
