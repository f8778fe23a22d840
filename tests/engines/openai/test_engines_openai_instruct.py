"""A model without the markers: its JSON is read piece by piece, and nothing outside of it is ever said."""

import json
import random

import pytest

from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.answer_parser import MAX_ANSWER, MAX_GARBAGE, AnswerParser, Verdict
from joyvl_server.engines.openai.instruct import JsonReader, as_json, letter_of, system_prompt


def read(text: str, size: int = 0) -> tuple[Verdict, str, str]:
    reader, rest = JsonReader(), ""
    for at in range(0, len(text), size or len(text) or 1):
        reader.feed(text[at : at + (size or len(text))])
        rest += reader.take_rest()
    reader.finish()
    return reader.verdict, rest + reader.take_rest(), reader.garbage


GOOD = [
    ('{"decision": "silent", "text": "", "question": ""}', Verdict.SILENT, ""),
    ('{"decision": "silent", "text": "not said"}', Verdict.SILENT, ""),
    ('{"decision": "speak", "text": "a man", "question": ""}', Verdict.RESPONSE, " a man"),
    (
        ' {\n"decision"\n:"speak","text":"a \\"man\\" \\n\\u00e9 \\ud83d\\ude00"}',
        Verdict.RESPONSE,
        ' a "man" \n\u00e9 \U0001f600',
    ),
    (
        '{"decision":"delegate","text":"one moment","question":"which bird?"}',
        Verdict.RESPONSE,
        " one moment </delegation> which bird?",
    ),
    ('```json\n{"decision":"speak","text":"hi"}\n```', Verdict.RESPONSE, " hi"),
    ('{"decision":"speak","sure":0.9,"ok":true,"text":"hi","more":null}', Verdict.RESPONSE, " hi"),
    ('{"decision":"speak","text":"a lone \\ud83d half"}', Verdict.RESPONSE, " a lone  half"),
    ('{"decision":"speak","text":"cut off in the mid', Verdict.RESPONSE, " cut off in the mid"),
    ('{"decision":"speak","text":"hi"} {"decision":"speak","text":"again"}', Verdict.RESPONSE, " hi"),
]
BAD = [
    "",
    "I see a man.",
    '{"decision":"shout","text":"x"}',
    '{"text":"x"}',
    "{}",
    '{"decision": {"a": 1}}',
    '{"decision":"spe',
    "[1]",
    "{" + " " * 500,
]


@pytest.mark.parametrize(("text", "verdict", "rest"), GOOD)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
def test_an_answer_is_read_however_it_is_cut(text: str, verdict: Verdict, rest: str, size: int) -> None:
    assert read(text, size)[:2] == (verdict, rest)


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("size", [0, 1])
def test_what_is_no_decision_is_garbage(text: str, size: int) -> None:
    verdict, rest, garbage = read(text, size)
    assert (verdict, rest) == (Verdict.GARBAGE, "")
    assert len(garbage) <= MAX_GARBAGE


def test_a_decision_is_known_before_the_text_ends() -> None:
    reader = JsonReader()
    reader.feed('{"decision": "speak", "text": "a m')
    assert (reader.verdict, reader.take_rest(), reader.ended) == (Verdict.RESPONSE, " a m", False)
    silent = JsonReader()
    silent.feed('{"decision": "silent"')
    assert (silent.verdict, silent.ended) == (Verdict.SILENT, True)


def test_an_endless_answer_is_cut() -> None:
    reader = JsonReader()
    reader.feed('{"decision":"speak","text":"')
    for _ in range(100):
        reader.feed("x" * 100)
    assert reader.ended
    assert len(reader.take_rest()) == MAX_ANSWER + 1
    white = JsonReader()
    for _ in range(100):
        white.feed(" " * 100)
    assert (white.verdict, white.ended) == (Verdict.GARBAGE, True)


def test_noise_never_raises_and_never_speaks() -> None:
    draw = random.Random(3)
    pieces = ["{", "}", '"', ":", ",", "decision", "speak", "text", "\\", "\\u12", "\\ud83d", " ", "x", "[", "\n"]
    for _ in range(3000):
        text = "".join(draw.choices(pieces, k=draw.randrange(30)))
        verdict, rest, _ = read(text, draw.randrange(1, 5))
        assert (verdict is Verdict.RESPONSE) or rest == ""


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ("</silence>", ("silent",)),
        ("</response> a man", ("speak", "a man")),
        ("</response> hm </delegation> which?", ("delegate", "hm", "which?")),
    ],
)
def test_the_history_stands_in_the_same_words(answer: str, fields: tuple[str, ...]) -> None:
    text = as_json(answer)
    assert tuple(json.loads(text).values()) == fields
    reader = JsonReader()
    reader.feed(text)
    parser = AnswerParser()
    parser.feed("</response>" + reader.take_rest() if fields[0] != "silent" else "</silence>")
    assert tuple(filter(None, (parser.note, parser.question))) == fields[1:]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        (" B.", "B"),
        ("B: the door", "B"),
        ("(B)", "B"),
        ("</response> B", "B"),
        ('{"answer": "B"}', "B"),
        ("Answer: B", "B"),
        ("Beautiful", ""),
        ("b", ""),
        ("Z", ""),
        ("", ""),
        ("[1]", ""),
        ('{"answer": 7}', ""),
        ("[" * 9000, ""),
    ],
)
def test_a_letter_is_found_where_one_is_named(text: str, letter: str) -> None:
    assert letter_of(text, "ABC") == letter


def test_its_system_prompt_is_told_without_markers() -> None:
    plain = system_prompt(wire_format.system_prompt(), delegation=True)
    assert "</" not in plain
    assert '"delegate"' in plain
    assert '"delegate"' not in system_prompt(wire_format.system_prompt(), delegation=False)
    assert system_prompt("Guard the door.", delegation=True).startswith("Guard the door.\n")
