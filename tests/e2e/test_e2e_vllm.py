"""Engine `openai` in the text protocol against the real vLLM: real pictures, template and sampling, random weights."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from vllm_server import MODEL, PICTURES, VllmServer

from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.wire_format import system_prompt
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

SILENT = {"structured_outputs": {"choice": ["</silence>"]}}
SPOKEN = {"structured_outputs": {"regex": "</response> [a-z]{1,20}"}}
TALKATIVE = {"structured_outputs": {"regex": "</response>( [a-z]+)+"}, "min_tokens": 3000}
"""The model is random: the grammar makes it answer in the protocol. vLLM does all the rest as with real weights."""


@asynccontextmanager
async def opened(vllm: VllmServer, **options: object) -> AsyncIterator[OpenAISession]:
    engine = OpenAIEngine({"base_url": vllm.base_url, "timeout_s": 60, **options})
    try:
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk(system=system_prompt()))
        yield session
    finally:
        await engine.aclose()


async def running(vllm: VllmServer, wanted: int) -> bool:
    """Does vLLM come to work on so many requests?"""
    until = time.monotonic() + PATIENCE_S
    while (now := await asyncio.to_thread(vllm.running)) != wanted and time.monotonic() < until:
        await asyncio.sleep(0.05)  # another process's metrics: no event to wait for
    return now == wanted


async def test_it_is_ready_and_named(vllm: VllmServer) -> None:
    engine = OpenAIEngine({"base_url": vllm.base_url})
    assert await engine.check() == f"{vllm.base_url} serves {MODEL}"
    await engine.aclose()


async def test_noise_is_garbage_and_garbage_is_silence(vllm: VllmServer) -> None:
    async with opened(vllm) as session:
        for step in range(5):
            await session.append(turn(step))
            score = await session.score()
            assert score.value == 0.0
            assert score.garbage
            await session.settle("</silence>")


async def test_silence_is_read_turn_after_turn(vllm: VllmServer) -> None:
    async with opened(vllm, extra_body=SILENT) as session:
        for step in range(8):
            await session.append(turn(step))
            assert await session.score() == Score(0.0)
            await session.settle("</silence>")


async def test_a_response_is_read_and_said(vllm: VllmServer) -> None:
    async with opened(vllm, extra_body=SPOKEN) as session:
        for step in range(3):
            await session.append(turn(step, query="what do you see?" if step == 0 else None))
            assert await session.score() == Score(1.0)
            text = "".join([delta async for delta in session.say()])
            assert text.strip().isalpha()
            assert text.islower()
            await session.settle(f"</response>{text}")


@pytest.mark.parametrize(("marker", "score"), [("</silence>", Score(0.0)), ("</response>", Score(1.0))])
async def test_the_markers_are_special_tokens_that_only_we_get_to_see(
    vllm: VllmServer, marker: str, score: Score
) -> None:
    [token] = vllm.tokens(marker)
    only = {"allowed_token_ids": [token], "max_tokens": 1}
    async with opened(vllm, extra_body=only) as session:
        await session.append(turn(0))
        assert await session.score() == score
    async with opened(vllm, extra_body={**only, "skip_special_tokens": True}) as session:
        await session.append(turn(0))
        assert await session.score() == Score(0.0, garbage="(an empty answer)")


async def test_what_nobody_wants_to_hear_is_aborted_on_the_server(vllm: VllmServer) -> None:
    async with opened(vllm, extra_body=TALKATIVE, max_tokens=4000) as session:
        await session.append(turn(0))
        assert await session.score() == Score(1.0)
        async with aclosing(session.say()) as deltas:
            assert await anext(deltas)
            assert await running(vllm, 1)
        assert await running(vllm, 0)
        await session.settle("</response> enough")


async def test_a_session_that_closes_while_it_speaks_is_aborted_on_the_server(vllm: VllmServer) -> None:
    async with opened(vllm, extra_body=TALKATIVE, max_tokens=4000) as session:
        await session.append(turn(0))
        assert await session.score() == Score(1.0)
        assert await running(vllm, 1)
    assert await running(vllm, 0)


async def test_its_refusals_are_understood(vllm: VllmServer) -> None:
    async with opened(vllm, model="another") as session:
        await session.append(turn(0))
        with pytest.raises(EngineError, match="has no model 'another'") as caught:
            await session.score()
        assert caught.value.code == "engine_model"


async def test_a_context_that_is_too_long_is_said_to_be(vllm: VllmServer) -> None:
    async with opened(vllm) as session:
        await session.begin(chunk(system="word " * 9000))
        await session.append(turn(0))
        with pytest.raises(EngineError, match="too long") as caught:
            await session.score()
        assert caught.value.code == "engine_context"


async def test_too_many_pictures_are_said_to_be(vllm: VllmServer) -> None:
    async with opened(vllm) as session:
        for step in range(PICTURES):
            await session.append(turn(step))
            await session.settle("</silence>")
        await session.append(turn(PICTURES))
        with pytest.raises(EngineError, match="--limit-mm-per-prompt") as caught:
            await session.score()
        assert caught.value.code == "engine_pictures"
