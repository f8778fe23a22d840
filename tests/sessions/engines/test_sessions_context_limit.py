"""A context that an engine finds too long: the session goes on with a shorter one, and so do all others there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, raw, refuses, silence, whole
from fakes.media.media import picture
from fakes.patience import PATIENCE_S
from fakes.server.sessions import House
from joyvl_server.core.errors import ContextTooLong
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.spec import SessionSpec

A_PICTURE = 300
VLLM = "This model's maximum context length is {limit} tokens. However, you requested {asked} tokens."
LLAMA = "the request exceeds the available context size, try increasing it"
LM_STUDIO = (
    "Trying to keep the first {asked} tokens when context the overflows. However, the model is loaded with context "
    "length of only {limit} tokens, which is not enough."
)
OPENAI = "Your input exceeds the context window of this model. Please adjust your input and try again."


def tokens_of(request: Request) -> int:
    """As this server counts: a picture costs more than we think."""
    pictures = sum(
        part["type"] == "image_url"
        for message in request.messages
        if isinstance(message["content"], list)
        for part in message["content"]
    )
    words = sum(
        len(part.get("text", "")) if isinstance(part, dict) else len(part)
        for message in request.messages
        for part in (message["content"] if isinstance(message["content"], list) else [message["content"]])
    )
    return pictures * A_PICTURE + words // 4 + 256


def takes(limit: int, refusal: Callable[[str], Reply], words: str) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        asked = tokens_of(request)
        return silence() if asked <= limit else refusal(words.format(limit=limit, asked=asked))

    return reply


def as_400(words: str) -> Reply:
    return refuses(400, words)


def as_200(words: str) -> Reply:
    return whole(json.dumps({"error": words}).encode(), "application/json")


def in_the_stream(words: str) -> Reply:
    return raw(json.dumps({"error": {"message": words}}))


async def add(house: House, engine: OpenAIEngine, name: str = "door") -> Session:
    house.registry.engines.add(engine)
    spec = SessionSpec(engine="openai")
    view = await house.registry.cameras.add(CameraDraft(name, "rtsp://192.168.1.20/1", spec=spec))
    session = house.registry.session(view.record.session_id)
    monitor = house.registry.engines.monitor("openai")
    async with asyncio.timeout(PATIENCE_S):
        while not monitor._tried.is_set():
            await asyncio.sleep(0.01)
    await house.clock.settle()
    return session


async def seconds(house: House, count: int) -> None:
    for _ in range(count):
        for source in house.media.sources.values():
            source.show(picture(source.now))
        await house.clock.advance(1.0)
        async with asyncio.timeout(PATIENCE_S):
            while any(session.machine.busy for session in house.registry.sessions()):
                await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (as_400, VLLM),
        (as_400, LLAMA),
        (as_400, LM_STUDIO),
        (as_400, OPENAI),
        (as_200, LM_STUDIO),
        (in_the_stream, LLAMA),
    ],
)
async def test_the_first_refusal_shortens_the_context_and_the_next_tick_decides(
    house: House, refusal: Callable[[str], Reply], words: str
):
    async with FakeOpenAI() as server:
        server.otherwise = takes(6000, refusal, words)
        session = await add(house, OpenAIEngine({"base_url": server.base_url, "protocol": "markers"}))
        await seconds(house, 60)
        skipped = [tick["skipped"] for tick in session.ticks()]
        assert len(skipped) >= 55
        assert 1 <= skipped.count("failed") <= 2
        assert not any(a == b == "failed" for a, b in zip(skipped, skipped[1:], strict=False))
        assert session.engine_state.decides
        can = session.capabilities.context_tokens
        assert can is not None
        assert can <= 6000
        assert server.completions[-1].messages[0]["role"] == "system"


async def test_all_sessions_of_the_engine_learn_from_one_refusal(house: House):
    async with FakeOpenAI() as server:
        server.otherwise = takes(6000, as_400, VLLM)
        engine = OpenAIEngine({"base_url": server.base_url, "protocol": "markers"})
        first = await add(house, engine)
        await seconds(house, 12)
        second = await add(house, engine, "second")
        await seconds(house, 40)
        assert [t["skipped"] for t in first.ticks()].count("failed") == 1
        assert [t["skipped"] for t in second.ticks()].count("failed") == 0
        updated = [u for u in second.updates._ring if u.type == "session.updated"]
        assert updated[-1].data["session"]["capabilities"]["context_tokens"] <= 6000
        scheduler = house.registry.engines.monitor("openai").scheduler
        assert scheduler._can.context_tokens == first.capabilities.context_tokens


async def test_where_not_even_one_picture_fits_it_says_so(house: House):
    async with FakeOpenAI() as server:
        server.otherwise = takes(300, as_400, VLLM)
        session = await add(house, OpenAIEngine({"base_url": server.base_url, "protocol": "markers"}))
        await seconds(house, 6)
        assert (session.engine_state.status.value, session.engine_state.code) == ("cannot", "engine_context")
        reason = (await house.registry.ready())["engine openai"]
        assert reason is not None
        assert "too long" in reason


async def test_room_for_little_more_than_one_picture_is_used(house: House):
    async with FakeOpenAI() as server:
        server.otherwise = takes(1150, as_400, LLAMA)
        session = await add(house, OpenAIEngine({"base_url": server.base_url, "protocol": "markers"}))
        await seconds(house, 30)
        assert {t["skipped"] for t in session.ticks()[-20:]} == {None}


async def test_a_server_with_a_longer_context_is_used_to_the_full_again(house: House):
    session_of_engine = house.engine
    view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
    session = house.registry.session(view.record.session_id)
    await seconds(house, 3)
    once = iter([ContextTooLong("too long", limit=3000, asked=4000)])
    usual = session_of_engine.script
    session_of_engine.script = lambda turn: next(once, None) or usual(turn)
    await seconds(house, 2)
    assert session.capabilities.context_tokens is not None
    session_of_engine.restarts = 1
    house.registry.engines.monitor("scripted").recovered(closed=False)
    assert session.capabilities.context_tokens is None
    assert session.machine._observer.context.budget.tokens == house.registry.settings.sessions.context_tokens
