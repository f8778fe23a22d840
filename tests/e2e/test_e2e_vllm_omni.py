"""Engine `remote` against the unmodified interaction server of vLLM-Omni 0.30, with a scripted model behind that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from vllm_omni_server import VllmOmniServer, find_python

from fakes.engines.openai_server import FakeOpenAI, Request, mute, refuses, says, silence
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineTimeout, EngineUnavailable
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.core.prompt.wire_format import QUERY_HEADER
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.remote.engine import RemoteEngine
from joyvl_server.engines.remote.session import RemoteSession


@dataclass
class Chain:
    """remote → vLLM-Omni's server → the model, which a test scripts."""

    server: VllmOmniServer
    model: FakeOpenAI

    def engine(self, **options: Any) -> RemoteEngine:
        return RemoteEngine({"base_url": self.server.base_url, "timeout_s": 10, **options})


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    python = find_python()
    if python is None:
        pytest.skip("needs vLLM-Omni's interaction server: run scripts/vllm-omni-env")
    async with FakeOpenAI() as model:
        flags = ("--no-force-silence", "--delegation-kind", "stub", "--chunk-frames", "6")
        server = VllmOmniServer(python, model.base_url, *flags)
        await asyncio.to_thread(server.__enter__)
        try:
            yield Chain(server, model)
        finally:
            server.__exit__()


async def begun(engine: RemoteEngine) -> RemoteSession:
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    return session


async def decide(session: RemoteSession, step: int, shown: UserTurn | None = None) -> tuple[Score, str]:
    await session.append(shown or turn(step))
    try:
        score = await session.score()
        async with aclosing(session.say()) as deltas:
            said = "".join([delta async for delta in deltas])
    finally:
        await session.rollback()
    return score, said


def words(request: Request) -> list[str]:
    """All texts of the prompt."""
    found: list[str] = []
    for message in request.messages[1:]:
        content = message["content"]
        found += [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
    return found


async def test_decisions_queries_resets_and_personas(chain: Chain) -> None:
    engine = chain.engine(persona="talkative")
    assert await engine.check() == f"{chain.server.base_url} serves fake"
    can = await engine.probe()
    assert (can.scores, "outside" in can.note) == (False, False)
    talkative = chain.model.completions[-1].messages[0]["content"]
    chain.model.script(
        silence(), says("</response> A man enters."), says("</response> Wait. </delegation> Which bird?")
    )
    session = await begun(engine)
    assert await decide(session, 0) == (Score(0.0), "")
    assert await decide(session, 1) == (Score(1.0), " A man enters.")
    told = await decide(session, 2, turn(2, query="Which bird is that?"))
    assert told == (Score(1.0), " Wait. </delegation> Which bird?")
    prompt = chain.model.completions[-1]
    assert prompt.messages[0]["content"] == talkative
    assert [text for text in words(prompt) if text.startswith("<") and "seconds" in text] == [
        "<0.0 seconds>", "<1.0 seconds>", "<2.0 seconds>",
    ]  # fmt: skip
    assert f"{QUERY_HEADER}\nWhich bird is that?" in words(prompt)
    await session.begin(chunk(1))
    await decide(session, 3)
    fresh = chain.model.completions[-1]
    assert [text for text in words(fresh) if "seconds" in text] == ["<0.0 seconds>"]  # it began from nothing
    assert fresh.messages[0]["content"] == talkative
    await engine.aclose()
    plain = chain.engine()
    await decide(await begun(plain), 0)
    assert chain.model.completions[-1].messages[0]["content"] != talkative
    await plain.aclose()


async def test_what_goes_wrong_behind_it(chain: Chain) -> None:
    """The model fails, hangs, says nothing, and something unmarked (which that server speaks)."""
    engine = chain.engine(timeout_s=3)
    session = await begun(engine)
    chain.model.script(*[refuses(400, "no")] * 3)
    with pytest.raises(EngineUnavailable):
        await decide(session, 0)
    chain.model._script.clear()
    chain.model.script(says(""), says("A man enters."), mute())
    assert await decide(session, 1) == (Score(0.0), "")
    assert await decide(session, 2) == (Score(1.0), " A man enters.")
    with pytest.raises(EngineTimeout):
        await decide(session, 3)
    assert await decide(session, 4) == (Score(0.0), "")
    assert session.remote_name == "joyvl-s1.1"  # the old one is left behind: it may hang for long
    await engine.aclose()


async def test_sixty_seconds_with_its_memory(chain: Chain) -> None:
    """Chunks, and summaries that it writes by itself, beside it; a summary that fails kills nothing here."""

    def model(request: Request) -> Any:
        last = request.messages[-1]["content"]
        pictures = isinstance(last, list) and any(part["type"] == "image_url" for part in last)
        return silence() if pictures and len(request.messages) > 1 else refuses(400, "no summaries")

    chain.model.otherwise = model
    engine = chain.engine()
    session = await begun(engine)
    for step in range(60):
        assert (await decide(session, step, replace(turn(step), t=float(step))))[0].value == 0.0
    await engine.aclose()
