"""A session of engine `openai` on a scripted server, ready to be scored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fakes.engines.openai_server import FakeOpenAI
from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession


@asynccontextmanager
async def opened(server: FakeOpenAI, **options: object) -> AsyncIterator[OpenAISession]:
    """A session of a new engine, its first turn appended."""
    engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 5, **options})
    try:
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        await session.append(turn(0))
        yield session
    finally:
        await engine.aclose()


async def said(session: OpenAISession) -> list[str]:
    return [delta async for delta in session.say()]


async def happens(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await event.wait()
