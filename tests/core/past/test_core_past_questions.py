"""Which questions need the past, and what they ask of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from joyvl_server.core.past.questions import (
    AnsweredBy,
    Asked,
    is_of_what_happened,
    is_question,
    language_of,
    past_question,
)
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.sessions.memory.zone_calendar import ZoneCalendar

BERLIN = ZoneCalendar(ZoneInfo("Europe/Berlin"))
NOW = BERLIN.unix(datetime.fromisoformat("2026-03-12 10:30"))
ENTER, LEAVE = (WatchKind.ENTER,), (WatchKind.LEAVE,)

PAST = [
    ("Did anyone come this morning?", Asked.WHETHER, ENTER, None, "en"),
    ("how many people came in?", Asked.COUNT, ENTER, None, "en"),
    ("When did the third one leave?", Asked.WHEN, LEAVE, 3, "en"),
    ("When did the second visitor leave yesterday?", Asked.WHEN, LEAVE, 2, "en"),
    ("When did someone last come in?", Asked.WHEN, ENTER, -1, "en"),
    ("Who came last?", Asked.LIST, ENTER, -1, "en"),
    ("who left?", Asked.LIST, LEAVE, None, "en"),
    ("Did anything happen last night?", Asked.WHETHER, (), None, "en"),
    ("Did anything move while I was out?", Asked.WHETHER, (), None, "en"),
    ("What happened yesterday?", Asked.LIST, (), None, "en"),
    ("Was it dark at 3?", Asked.WHETHER, (WatchKind.DARK,), None, None),
    ("where did I put my keys?", Asked.LIST, (WatchKind.CHANGED,), None, "en"),
    ("Where are my keys?", Asked.LIST, (), None, "en"),
    ("Whose box is this?", Asked.LIST, (), None, "en"),
    ("What did I tell you about the pills?", Asked.LIST, (), None, "en"),
    ("Has anyone ever been here?", Asked.WHETHER, ENTER, None, "en"),
    ("今天早上有人来过吗？", Asked.WHETHER, ENTER, None, "zh"),
    ("有几个人进来了？", Asked.COUNT, ENTER, None, "zh"),
    ("第三个人什么时候走的？", Asked.WHEN, LEAVE, 3, "zh"),
    ("最后一个人几点离开的？", Asked.WHEN, LEAVE, -1, "zh"),
    ("昨天晚上发生了什么事？", Asked.LIST, (), None, "zh"),
    ("我的钥匙放在哪儿了？", Asked.LIST, (), None, "zh"),
    ("Wie viele Leute kamen herein?", Asked.COUNT, ENTER, None, "de"),
    ("Wann ist der dritte gegangen?", Asked.WHEN, LEAVE, 3, "de"),
    ("War heute Nacht jemand da?", Asked.WHETHER, ENTER, None, "de"),
    ("Was ist gestern passiert?", Asked.LIST, (), None, "de"),
    ("Wo habe ich meinen Schlüssel hingelegt?", Asked.LIST, (WatchKind.CHANGED,), None, "de"),
]
NOT_PAST = [
    "Is anyone there?", "What is on the table?", "Is the stove on?", "what do you see?", "Ist jemand da?",
    "门口有人吗？", "现在几点？", "How many people are in the room?", "what time is it?", "Wie spät ist es?",
    "Will anyone come tomorrow?",
    "tell me when someone comes", "How many people are there now, and what were they doing?", "", "???",
]  # fmt: skip


@pytest.mark.parametrize(("text", "asked", "kinds", "nth", "language"), PAST)
def test_it_needs_the_past(
    text: str, asked: Asked, kinds: tuple[WatchKind, ...], nth: int | None, language: str | None
) -> None:
    question = past_question(text, NOW, BERLIN)
    assert question is not None
    assert (question.asked, question.kinds, question.nth, question.language) == (asked, kinds, nth, language)


@pytest.mark.parametrize("text", NOT_PAST)
def test_it_is_about_now(text: str) -> None:
    assert past_question(text, NOW, BERLIN) is None


def test_it_may_ask_for_what_not_every_engine_tells_apart() -> None:
    question = past_question("how many people came in?", NOW, BERLIN)
    assert question is not None
    assert question.names_things
    question = past_question("what happened yesterday?", NOW, BERLIN)
    assert question is not None
    assert not question.names_things


def test_a_time_that_nobody_can_tell_is_a_question_of_the_past() -> None:
    question = past_question("anything new since my holidays?", NOW, BERLIN)
    assert question is not None
    assert question.time.not_understood == ("since my holidays",)


@pytest.mark.parametrize(
    ("text", "language"), [("gestern war jemand da", "de"), ("who was there", "en"), ("谁", "zh"), ("ok", None)]
)
def test_the_language_of_a_text(text: str, language: str | None) -> None:
    assert language_of(text) == language


NOTES, FACTS, NOTHING = AnsweredBy.NOTES, AnsweredBy.FACTS, AnsweredBy.NOTHING


@pytest.mark.parametrize(
    ("text", "answered_by"),
    [
        ("Did anyone come this morning?", NOTES), ("Who rang?", NOTES), ("Who was in the kitchen?", NOTES),
        ("When did the third one leave?", NOTES), ("What did you say?", NOTES), ("What happened yesterday?", NOTES),
        ("Did anything move while I was out?", NOTES), ("Was it dark at 3?", NOTES), ("anyone this morning?", NOTES),
        ("anything new since my holidays?", NOTES), ("Did someone come to my door?", NOTES),
        ("War heute Nacht jemand da?", NOTES), ("Wer hat geklingelt?", NOTES), ("有几个人进来了？", NOTES),
        ("Where did I put my keys?", FACTS), ("Where was the cat seen today?", FACTS), ("Whose box is this?", FACTS),
        ("When do I take my medicine?", FACTS), ("What did I tell you about the pills?", FACTS),
        ("Is the parcel mine?", FACTS), ("Wo habe ich meinen Schlüssel hingelegt?", FACTS),
        ("Wo ist der Schlüssel?", FACTS),
        ("Was habe ich dir gesagt?", FACTS), ("我的药在哪里？", FACTS), ("What do you remember?", FACTS),
        ("What was on the table yesterday?", FACTS), ("I forgot where my keys are", FACTS),
        ("Did I take my medicine?", NOTHING), ("Have I taken my pills yesterday?", NOTHING),
    ],
)  # fmt: skip
def test_what_can_answer_it_where_nobody_reads_words(text: str, answered_by: AnsweredBy) -> None:
    question = past_question(text, NOW, BERLIN)
    assert question is not None
    assert question.answered_by is answered_by


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my keys",
        "Remember that",
        "Remember to buy milk",
        "Ich habe meinen Schlüssel vergessen",
        "我的钥匙丢了",
    ],
)
def test_what_is_said_and_not_asked_is_no_question(text: str) -> None:
    assert past_question(text, NOW, BERLIN) is None
    assert not is_question(text)


@pytest.mark.parametrize(
    "text", ["What is the alarm code?", "is the stove on", "Ist jemand da?", "药在哪里", "Did it rain"]
)
def test_a_question(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("something came in", True),
        ("what happened today", True),
        ("everything from yesterday", True),
        ("was heute passiert ist", True),
        ("今天发生的事", True),
        ("the blue box is mine", False),
        ("where my keys are", False),
        ("the meeting tomorrow", False),
    ],
)
def test_what_happened_is_told_from_a_fact(text: str, expected: bool):
    assert is_of_what_happened(text, NOW, BERLIN) is expected
