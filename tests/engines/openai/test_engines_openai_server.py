"""Engine `openai`: which model it asks for, and what it learns about the fields a server takes."""

from collections.abc import AsyncIterator

import pytest

from fakes.engines.openai_server import FakeOpenAI, refuses, silence
from fakes.engines.openai_session import opened
from fakes.turns import turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.engines.openai.engine import OpenAIEngine


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


async def test_without_a_name_the_first_model_is_taken_and_asked_for_once(server: FakeOpenAI) -> None:
    server.models = ["first", "second"]
    async with opened(server) as session:
        for step in (1, 2):
            await session.score()
            await session.settle("</silence>")
            await session.append(turn(step))
    assert [request.path for request in server.requests].count("/v1/models") == 1
    assert {request.body["model"] for request in server.completions} == {"first"}


async def test_a_server_that_comes_back_with_another_model_is_asked_again(server: FakeOpenAI) -> None:
    async with opened(server) as session:
        await session.score()
        server.models = ["other"]
        with pytest.raises(EngineError, match="has no model 'fake'"):
            await session.score()
        assert await session.score() == Score(0.0)
    assert server.completions[-1].body["model"] == "other"


async def test_a_strict_server_is_learnt_once(server: FakeOpenAI) -> None:
    server.fields = {"model", "messages", "stream", "max_tokens", "temperature"}
    async with opened(server) as session:
        for step in (1, 2):
            assert await session.score() == Score(0.0)
            await session.settle("</silence>")
            await session.append(turn(step))
    assert ["skip_special_tokens" in request.body for request in server.completions] == [True, False, False]


async def test_a_server_that_wants_the_new_name_of_max_tokens_gets_it(server: FakeOpenAI) -> None:
    server.script(refuses(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."))
    async with opened(server, max_tokens=99) as session:
        assert await session.score() == Score(0.0)
    assert server.completions[1].body["max_completion_tokens"] == 99
    assert "max_tokens" not in server.completions[1].body


async def test_a_server_that_took_the_fields_is_not_asked_twice(server: FakeOpenAI) -> None:
    server.script(silence(), refuses(400, "no such sampler"))
    async with opened(server) as session:
        await session.score()
        with pytest.raises(EngineError, match="no such sampler"):
            await session.score()
    assert len(server.completions) == 2


async def test_a_refusal_for_another_reason_teaches_nothing(server: FakeOpenAI) -> None:
    server.script(refuses(400, "bad picture"), refuses(400, "bad picture"))
    async with opened(server) as session:
        with pytest.raises(EngineError, match="bad picture"):
            await session.score()
        assert await session.score() == Score(0.0)
    assert "skip_special_tokens" in server.completions[-1].body


async def test_check_names_the_model_it_found(server: FakeOpenAI) -> None:
    engine = OpenAIEngine({"base_url": server.base_url})
    assert await engine.check() == f"{server.base_url} serves fake"
    await engine.aclose()


async def test_check_tells_which_models_there_are(server: FakeOpenAI) -> None:
    engine = OpenAIEngine({"base_url": server.base_url, "model": "eyes"})
    with pytest.raises(EngineError, match="has no model 'eyes'; it has: fake"):
        await engine.check()
    await engine.aclose()
