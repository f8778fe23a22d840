"""Engine `openai` against a scripted server: what it sends, and what it makes of good answers."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise

import pytest

from fakes.engines.openai_server import FakeOpenAI, mute, raw, says, silence
from fakes.engines.openai_session import opened, said
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.turns import Chunk, Look, SettledTurn
from joyvl_server.engines.base import Engine, EngineSession
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


# ------------------------------------------------------------------------------------------------------------ answers


async def test_silence_is_zero(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        assert await session.score() == Score(0.0)
        assert await said(session) == []


async def test_a_response_is_one_and_its_words_follow_in_the_same_answer(server: FakeOpenAI) -> None:
    server.script(says("</respo", "nse> a man", " comes", " in"))
    async with opened(server) as session:
        assert await session.score() == Score(1.0)
        assert "".join(await said(session)) == " a man comes in"
        assert await said(session) == []
    assert len(server.completions) == 1


async def test_score_does_not_wait_for_the_end_of_the_answer(server: FakeOpenAI) -> None:
    server.script(mute("</response> so far"))
    async with opened(server) as session:
        assert await session.score() == Score(1.0)
        async with aclosing(session.say()) as deltas:
            assert await anext(deltas) == " so far"


async def test_delegation_stays_in_the_text(server: FakeOpenAI) -> None:
    server.script(says("</response> one moment </dele", "gation> which bird is that?"))
    async with opened(server) as session:
        await session.score()
        assert "".join(await said(session)) == " one moment </delegation> which bird is that?"


@pytest.mark.parametrize(
    ("deltas", "garbage"),
    [
        (("I see a man",), "I see a man"),
        (("</delegation> hm",), "</delegation> hm"),
        ((), "(an empty answer)"),
        (("</resp",), "</resp"),
        ((" " * 400,), "(an empty answer)"),
    ],
)
async def test_what_is_outside_the_protocol_is_silence_and_told(
    server: FakeOpenAI, deltas: tuple[str, ...], garbage: str
) -> None:
    server.script(says(*deltas))
    async with opened(server) as session:
        assert await session.score() == Score(0.0, garbage=garbage)
        assert await said(session) == []


async def test_letters_cut_across_packets_arrive_whole(server: FakeOpenAI) -> None:
    server.script(says("</response> 你好", " wörld — ok", split=1))
    async with opened(server) as session:
        assert await session.score() == Score(1.0)
        assert "".join(await said(session)) == " 你好 wörld — ok"


async def test_an_answer_may_end_without_a_finish_reason(server: FakeOpenAI) -> None:
    server.script(raw('{"choices":[{"index":0,"delta":{"content":"</response> yes"}}]}', "[DONE]", end="no_done"))
    async with opened(server) as session:
        assert await session.score() == Score(1.0)
        assert await said(session) == [" yes"]


async def test_events_without_text_are_passed_over(server: FakeOpenAI) -> None:
    events = (
        '{"choices":[]}',
        '{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}',
        '{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}',
        '{"choices":[{"index":0,"delta":null}]}',
        '{"usage":{"prompt_tokens":3}}',
    )
    server.script(says("</response> yes", events=events))
    async with opened(server) as session:
        assert await session.score() == Score(1.0)
        assert await said(session) == [" yes"]


# ----------------------------------------------------------------------------------------------------------- requests


async def test_a_request_is_the_turns_so_far_as_chat_messages(server: FakeOpenAI) -> None:
    server.script(silence(), says("</response> hello"))
    async with opened(server, max_tokens=33, top_p=0.9, image_detail="low", extra_body={"top_k": 5}) as session:
        await session.score()
        await session.settle("</silence>")
        await session.append(turn(1, query="what is it?"))
        await session.score()
    body = server.completions[1].body
    image = {"url": "data:image/jpeg;base64," + base64.b64encode(turn(1).frame.image.jpeg).decode(), "detail": "low"}
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][0]["content"] == "You watch."
    assert body["messages"][2]["content"] == "</silence>"
    assert body["messages"][3]["content"] == [
        {"type": "text", "text": wire_format.query_block("what is it?") + "\n<1.0 seconds>\n"},
        {"type": "image_url", "image_url": image},
    ]
    del body["messages"]
    assert body == {
        "model": "fake",
        "stream": True,
        "max_tokens": 33,
        "temperature": 0.0,
        "top_p": 0.9,
        "skip_special_tokens": False,
        "top_k": 5,
    }


async def test_each_request_is_the_one_before_and_a_tail(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        for step in range(1, 6):
            await session.score()
            await session.settle("</silence>")
            await session.append(turn(step))
    sent = [json.dumps(request.messages)[:-1] for request in server.completions]
    assert all(later.startswith(earlier) for earlier, later in pairwise(sent))
    assert len(set(map(len, sent))) == 5


async def test_the_prefix_stands_in_the_first_turn_only_and_survives_its_rollback(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        await session.begin(chunk(1, prefix="[Video History]\nmuch"))
        await session.append(turn(0))
        await session.rollback()
        for step in (1, 2):
            await session.append(turn(step))
            await session.score()
            await session.settle("</silence>")
    users = [m["content"][0]["text"] for m in server.completions[-1].messages if m["role"] == "user"]
    assert users == ["[Video History]\nmuch\n\n<1.0 seconds>\n", "<2.0 seconds>\n"]


async def test_a_chunk_begins_with_its_lead(server: FakeOpenAI) -> None:
    lead = (SettledTurn(turn(7), "</silence>"), SettledTurn(turn(8), "</response> hi"))
    async with opened(server) as session:
        await session.begin(Chunk(1, "Anew.", "old news", lead))
        await session.append(turn(9))
        await session.score()
    messages = server.completions[0].messages
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[1]["content"][0]["text"] == "old news\n\n<7.0 seconds>\n"
    assert messages[4]["content"] == "</response> hi"
    assert messages[5]["content"][0]["text"] == "<9.0 seconds>\n"


async def test_a_rolled_back_turn_is_never_sent_again(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        await session.score()
        await session.rollback()
        await session.append(turn(1))
        await session.score()
    texts = [m["content"][0]["text"] for m in server.completions[1].messages[1:]]
    assert texts == ["<1.0 seconds>\n"]


async def test_a_glance_sends_the_small_picture(server: FakeOpenAI) -> None:
    small = replace(turn(0, glance=True), look=Look.GLANCE)
    async with opened(server) as session:
        await session.rollback()
        await session.append(small)
        await session.score()
    url = server.completions[0].messages[-1]["content"][1]["image_url"]["url"]
    assert small.frame.glance is not None
    assert base64.b64decode(url.partition(",")[2]) == small.frame.glance.jpeg


async def test_the_key_is_sent_and_needed(server: FakeOpenAI) -> None:
    server.api_key = "sk-hush"
    async with opened(server, api_key="sk-hush") as session:
        assert await session.score() == Score(0.0)


async def test_an_empty_system_prompt_is_no_message(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        await session.begin(chunk(system=""))
        await session.append(turn(0))
        await session.score()
    assert server.completions[0].messages[0]["role"] == "user"


@pytest.mark.parametrize(
    ("options", "given", "sent"),
    [
        ({}, wire_format.system_prompt(), wire_format.system_prompt()),
        ({"delegation": False}, wire_format.system_prompt(), wire_format.system_prompt(delegation=False)),
        ({"delegation": False}, "My own.", "My own."),
    ],
)
async def test_which_system_prompt_is_sent(
    server: FakeOpenAI, options: dict[str, object], given: str, sent: str
) -> None:
    async with opened(server, **options) as session:
        await session.begin(chunk(system=given))
        await session.append(turn(0))
        await session.score()
    assert server.completions[0].messages[0]["content"] == sent


async def test_a_system_prompt_file_replaces_what_the_session_gives(server: FakeOpenAI, tmp_path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("You guard the door.\n")
    async with opened(server, system_prompt_file=file) as session:
        await session.score()
    assert server.completions[0].messages[0]["content"] == "You guard the door."


def test_it_is_what_the_house_calls_an_engine() -> None:
    engine = OpenAIEngine({})
    assert isinstance(engine, Engine)
    assert engine.capabilities.follows_instructions
    assert not engine.capabilities.scores
    assert issubclass(OpenAISession, EngineSession)
