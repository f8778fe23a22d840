"""Engine `openai`: what it finds out about a server, and that each thing missing has its fallback and its sentence."""

import asyncio
import json
import math
from collections.abc import AsyncIterator

import pytest

from fakes.engines.engine_events import EventCounter
from fakes.engines.openai_server import FakeOpenAI, cut, mute, refuses, says, whole
from fakes.engines.openai_session import said
from fakes.engines.openai_vllm import RESPONSE_ID, SILENCE_ID, FakeVllm
from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError, EngineUnavailable
from joyvl_server.core.prompt.turns import Draft, SettledTurn
from joyvl_server.engines.base import Capabilities, EngineSession, EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as server:
        yield server


async def begun(engine: OpenAIEngine) -> EngineSession:
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    await session.append(turn(0))
    return session


async def score(engine: OpenAIEngine) -> Score:
    session = await begun(engine)
    try:
        return await session.score()
    finally:
        await session.aclose()


async def test_vllm_with_the_markers_has_it_all(server: FakeVllm) -> None:
    engine = OpenAIEngine({"base_url": server.base_url, "priority": True, "parallel": 7})
    assert await engine.probe() == Capabilities(
        follows_instructions=True,
        scores=True,
        chooses=True,
        prepares=True,
        writes=True,
        prefills=True,
        uuids=True,
        priority=True,
        mode="scored",
        context_tokens=32_768,
        cache_tokens=65_536,
        parallel=7,
    )
    assert (await score(engine)).value == pytest.approx(0.25)
    assert server.requests[-1].body["logprob_token_ids"] == [SILENCE_ID, RESPONSE_ID]
    assert server.requests[-1].body["priority"] == 0
    await engine.aclose()


async def test_before_it_is_probed_the_text_protocol_is_used(server: FakeVllm) -> None:
    engine = OpenAIEngine({"base_url": server.base_url})
    assert engine.capabilities.mode == "markers"
    assert not engine.capabilities.scores
    session = await begun(engine)
    assert await session.score() == Score(0.0)
    await session.settle("</silence>")
    await engine.probe()
    await session.append(turn(1))
    assert (await session.score()).value == pytest.approx(0.25)
    await engine.aclose()


@pytest.mark.parametrize(("lacks", "field"), [({"ids"}, "allowed_token_ids"), ({"ids", "allowed"}, "top_logprobs")])
async def test_scores_come_by_the_next_way(server: FakeVllm, lacks: set[str], field: str) -> None:
    server.has -= lacks
    engine = OpenAIEngine({"base_url": server.base_url})
    assert (await engine.probe()).scores
    assert (await score(engine)).value == pytest.approx(0.25)
    assert field in server.requests[-1].body
    assert "logprob_token_ids" not in server.requests[-1].body
    await engine.aclose()


async def test_a_marker_outside_the_list_counts_as_the_least_in_it(server: FakeVllm) -> None:
    server.has -= {"ids"}
    engine = OpenAIEngine({"base_url": server.base_url})
    await engine.probe()
    listed = [{"token": f"token_id:{SILENCE_ID}", "logprob": -0.1}, {"token": "token_id:5", "logprob": -4.1}]
    content = {**listed[0], "top_logprobs": listed}
    answer = {"choices": [{"message": {"content": "</silence>"}, "logprobs": {"content": [content]}}]}
    server.script(whole(__import__("json").dumps(answer).encode(), "application/json"))
    assert (await score(engine)).value == pytest.approx(1 / (1 + math.exp(4.0)))
    await engine.aclose()


@pytest.mark.parametrize(
    ("lacks", "words", "changed"),
    [
        ("prefill", "does not continue a begun answer", {"prefills": False}),
        ("uuids", "accepts no names for pictures", {"uuids": False, "prepares": False}),
        ("priority", "does not order by priority", {"priority": False}),
        ("grows", "chat template changes earlier turns", {}),
    ],
)
async def test_what_vllm_lacks_is_told(server: FakeVllm, lacks: str, words: str, changed: dict[str, bool]) -> None:
    server.has.remove(lacks)
    engine = OpenAIEngine({"base_url": server.base_url, "priority": True})
    found = await engine.probe()
    assert found.scores
    assert words in found.note
    assert {name: getattr(found, name) for name in changed} == changed
    session = await begun(engine)
    server.wish = 0.9
    assert (await session.score()).value == pytest.approx(0.9)
    assert "".join(await said(session)) == " a man comes in"
    await engine.aclose()


async def test_without_prefill_an_answer_that_turns_out_silent_says_nothing(server: FakeVllm) -> None:
    server.has.remove("prefill")
    engine = OpenAIEngine({"base_url": server.base_url})
    await engine.probe()
    session = await begun(engine)
    await session.score()
    assert await said(session) == []
    await engine.aclose()


async def test_without_any_scores_the_markers_are_read_as_text(server: FakeVllm) -> None:
    server.has -= {"ids", "allowed", "top"}
    engine = OpenAIEngine({"base_url": server.base_url})
    found = await engine.probe()
    assert (found.mode, found.scores) == ("markers", False)
    assert "yes or no, not scores" in found.note
    assert await score(engine) == Score(0.0)
    await engine.aclose()


async def test_without_a_tokenizer_a_model_that_answers_in_markers_is_known_by_it(server: FakeVllm) -> None:
    server.has.remove("tokenize")
    engine = OpenAIEngine({"base_url": server.base_url})
    assert (await engine.probe()).mode == "markers"
    await engine.aclose()


@pytest.mark.parametrize("lacks", [{"markers"}, {"markers", "tokenize"}, {"markers", "tokenize", "metrics", "details"}])
async def test_a_model_without_the_markers_is_told_in_plain_words(server: FakeVllm, lacks: set[str]) -> None:
    server.has -= lacks
    engine = OpenAIEngine({"base_url": server.base_url})
    found = await engine.probe()
    assert (found.mode, found.scores, found.chooses, found.writes) == ("instruct", False, True, True)
    assert found.prepares == ("details" in server.has)
    assert "instructions in plain words" in found.note
    await engine.aclose()


async def test_a_strict_template_is_asked_for_letters_in_the_turn_itself(server: FakeVllm) -> None:
    server.has -= {"ids", "allowed", "top", "lenient"}
    engine = OpenAIEngine({"base_url": server.base_url})
    found = await engine.probe()
    assert (found.mode, found.chooses) == ("markers", True)
    await engine.aclose()


async def test_a_template_that_takes_no_two_user_messages_in_a_row(server: FakeVllm) -> None:
    server.has -= {"markers", "lenient"}
    engine = OpenAIEngine({"base_url": server.base_url})
    assert (await engine.probe()).mode == "instruct"
    session = await begun(engine)
    server.letter, server.texts = "B", []
    await session.score()
    assert await session.choose("Which letter?", ("A", "B")) == (0.0, 1.0)
    *_, asked = server.completions
    assert [message["role"] for message in asked.messages] == ["system", "user"]
    assert asked.messages[-1]["content"][-1] == {"type": "text", "text": "\nWhich letter?"}
    await session.settle("</silence>")
    server.texts = ["Nothing happened."]
    draft = Draft("d1", "Sum up.", 20, chunk=chunk(), turns=(SettledTurn(turn(0), "</silence>"),))
    assert (await session.write(draft, "", 20)).text == "Nothing happened."
    await engine.aclose()


@pytest.mark.parametrize(("protocol", "mode"), [("markers", "markers"), ("instruct", "instruct")])
async def test_the_option_decides_over_the_probe(server: FakeVllm, protocol: str, mode: str) -> None:
    server.has -= {"markers"}
    engine = OpenAIEngine({"base_url": server.base_url, "protocol": protocol})
    assert engine.capabilities.mode == mode
    assert (await engine.probe()).mode == mode
    await engine.aclose()


@pytest.mark.parametrize(("says_so", "mode"), [("</silence>", "markers"), ("A grey ramp.", "instruct")])
async def test_a_plain_server_that_knows_nothing_of_this_is_no_fault(says_so: str, mode: str) -> None:
    fields = ["max_tokens", "temperature", "response_format", "skip_special_tokens"]
    async with FakeOpenAI(fields=fields) as server:
        server.otherwise = says(says_so)
        engine = OpenAIEngine({"base_url": server.base_url})
        found = await engine.probe()
        assert (found.mode, found.uuids, found.context_tokens) == (mode, False, None)
        await engine.aclose()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refuses(401, "no"), EngineError),
        (refuses(429, "slow down"), EngineUnavailable),
        (cut(), EngineUnavailable),
        (refuses(400, "This model does not support images"), EngineError),
        (mute(), EngineError),
    ],
)
async def test_a_probe_that_finds_nothing_out_says_why_and_can_be_repeated(
    server: FakeVllm, fault, kind: type[EngineError]
) -> None:
    server.script(fault)
    timeout_s = 2.0 if fault == mute() else PATIENCE_S
    engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": timeout_s, "probe_timeout_s": timeout_s})
    with pytest.raises(kind):
        await engine.probe()
    assert engine.doubted
    assert engine.capabilities.mode == "markers"
    session = await begun(engine)
    assert await session.score() == Score(0.0)
    await session.settle("</silence>")
    assert (await engine.probe()).mode == "scored"
    assert not engine.doubted
    await session.append(turn(1))
    assert (await session.score()).value == pytest.approx(0.25)
    await engine.aclose()


async def test_no_server_is_said_and_a_server_that_was_away_is_in_doubt(server: FakeVllm) -> None:
    engine, events = OpenAIEngine({"base_url": server.base_url}), EventCounter()
    engine.report_to(events)
    await engine.probe()
    assert not engine.doubted
    await server.stop()
    with pytest.raises(EngineUnavailable, match="Is it running"):
        await score(engine)
    assert engine.doubted
    assert events.doubts == 1
    server.has -= {"markers"}
    server.pictures.clear()
    await server.start()
    await engine.check()
    assert engine.capabilities.mode == "scored"  # it probes nothing by itself
    assert (await engine.probe()).mode == "instruct"
    assert await score(engine) == Score(0.0)
    await engine.aclose()


async def test_a_probe_that_is_cancelled_aborts_its_request_and_leaves_what_was_known(server: FakeVllm) -> None:
    server.script(mute())
    engine = OpenAIEngine({"base_url": server.base_url})
    probing = asyncio.ensure_future(engine.probe())
    await server.asked.wait()
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    await server.completions[0].aborted.wait()
    assert engine.doubted
    assert engine.capabilities.mode == "markers"
    await engine.aclose()


async def test_scores_that_stop_coming_are_a_text_tick_and_a_doubt(server: FakeVllm) -> None:
    engine, events = OpenAIEngine({"base_url": server.base_url}), EventCounter()
    engine.report_to(events)
    await engine.probe()
    server.has -= {"ids", "allowed", "top"}
    assert await score(engine) == Score(0.0)
    assert engine.capabilities.mode == "markers"
    assert events.doubts == 1
    server.has |= {"ids"}
    assert await score(engine) == Score(0.0)
    assert (await engine.probe()).mode == "scored"
    await engine.aclose()


async def test_a_refused_score_is_one_failed_tick(server: FakeVllm) -> None:
    engine = OpenAIEngine({"base_url": server.base_url})
    await engine.probe()
    server.script(refuses(400, "Unknown field: logprob_token_ids"))
    session = await begun(engine)
    with pytest.raises(EngineError, match="logprob_token_ids"):
        await session.score()
    assert await session.score() == Score(0.0)
    await engine.aclose()


async def test_a_server_that_fails_over_a_field_and_is_well_does_without_it(server: FakeVllm) -> None:
    server.script(refuses(500, "KeyError: logprob_token_ids"))
    engine = OpenAIEngine({"base_url": server.base_url})
    assert (await engine.probe()).scores
    await score(engine)
    assert "allowed_token_ids" in server.requests[-1].body
    await engine.aclose()


async def test_given_abilities_are_not_probed_and_stay(server: FakeVllm) -> None:
    first = OpenAIEngine({"base_url": server.base_url})
    await first.probe()
    given = first._server.abilities
    await first.aclose()
    server.requests.clear()
    engine, events = OpenAIEngine({"base_url": server.base_url}, abilities=given), EventCounter()
    engine.report_to(events)
    assert (await engine.probe()).scores
    assert server.requests == []
    assert (await score(engine)).value == pytest.approx(0.25)
    server.script(refuses(400, "not today"))
    with pytest.raises(EngineError, match="not today"):
        await score(engine)
    assert (await score(engine)).value == pytest.approx(0.25)
    assert events.doubts == 0
    await engine.aclose()


async def test_a_server_that_tells_the_same_usage_whatever_it_gets_is_sent_every_picture() -> None:
    """Else the model would see none after the first: nothing says that the server knows names."""
    silent = '{"decision": "silent", "text": "", "question": ""}'
    choice = {"message": {"role": "assistant", "content": silent}, "finish_reason": "stop"}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 5}}
    async with FakeOpenAI() as server:
        server.otherwise = whole(json.dumps(answer).encode(), "application/json")
        engine = OpenAIEngine({"base_url": server.base_url})
        assert not (await engine.probe()).uuids
        await engine.aclose()
