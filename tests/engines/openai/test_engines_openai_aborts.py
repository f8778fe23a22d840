"""Engine `openai`: connections are kept where they can be, and closed where nobody wants the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from fakes.engines.openai_server import FakeOpenAI, endless, mute, raw, says, silence
from fakes.engines.openai_session import happens, opened, said
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


async def test_ticks_share_one_connection(server: FakeOpenAI) -> None:
    server.otherwise = says("</response> words", " more")
    async with opened(server) as session:
        for step in range(1, 6):
            await session.score()
            await said(session)
            await session.settle("</response> words more")
            await session.append(turn(step))
    assert server.connections == 1


@pytest.mark.parametrize("end", ["settle", "rollback", "begin", "aclose"])
async def test_an_answer_nobody_wants_is_aborted(server: FakeOpenAI, end: str) -> None:
    server.script(mute("</response> well"))
    async with opened(server) as session:
        await session.score()
        arguments = {"settle": ("</silence>",), "begin": (chunk(1),)}.get(end, ())
        await getattr(session, end)(*arguments)
        await happens(server.completions[0].aborted)


async def test_garbage_is_aborted_at_once(server: FakeOpenAI) -> None:
    server.script(endless("I see. "))
    async with opened(server) as session:
        assert (await session.score()).garbage is not None
        await happens(server.completions[0].aborted)


async def test_closing_what_is_said_aborts_it(server: FakeOpenAI) -> None:
    server.script(endless("</response> bla"))
    async with opened(server) as session:
        await session.score()
        async with aclosing(session.say()) as deltas:
            await anext(deltas)
        await happens(server.completions[0].aborted)
        assert await said(session) == []
        await session.settle("</response> bla")


@pytest.mark.parametrize("reply", [mute(), mute("</response> hm")])
async def test_a_cancelled_caller_aborts_the_request(server: FakeOpenAI, reply) -> None:
    server.script(reply)
    async with opened(server) as session:

        async def step() -> None:
            await session.score()
            await said(session)

        task = asyncio.ensure_future(step())
        await happens(server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await happens(server.completions[0].aborted)
        await session.rollback()
        await session.append(turn(1))
        assert await session.score() == Score(0.0)


@pytest.mark.parametrize("reply", [mute(), replace(silence(), delay_s=60), mute("</response> hm")])
async def test_closing_ends_what_another_task_waits_for(server: FakeOpenAI, reply) -> None:
    server.script(reply)
    async with opened(server) as session:

        async def step() -> None:
            await session.score()
            await said(session)

        task = asyncio.ensure_future(step())
        await happens(server.asked)
        await asyncio.gather(session.aclose(), session.aclose())
        with pytest.raises(EngineError) as caught:
            await task
        assert caught.value.code == "engine_closed"
        await happens(server.completions[0].aborted)


async def test_an_engine_closes_its_sessions(server: FakeOpenAI) -> None:
    server.script(mute("</response> hm"))
    engine = OpenAIEngine({"base_url": server.base_url})
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    await session.append(turn(0))
    await session.score()
    await engine.aclose()
    await engine.aclose()
    await happens(server.completions[0].aborted)
    with pytest.raises(EngineError, match="closed"):
        await session.score()
    with pytest.raises(EngineError, match="closed"):
        await engine.check()


async def test_nothing_is_left_behind(server: FakeOpenAI) -> None:
    before = asyncio.all_tasks()
    server.script(mute("</response> a"), raw("nonsense"), says("</response> b"))
    async with opened(server) as session:
        await session.score()
        async with aclosing(session.say()) as deltas:
            await anext(deltas)
        with pytest.raises(EngineError):
            await session.score()
        await session.score()
    for request in server.requests:
        await happens(request.finished)
    await server.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
