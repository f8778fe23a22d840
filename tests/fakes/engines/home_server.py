"""A home server with a vision model, in virtual time: what a decision takes depends on the pictures it has to read.

    def test_…():
        async def scene():
            async with home(HomeServer(fixed=0.3, picture=0.25)) as h:
                await asyncio.sleep(60)
                h.session.ticks()
        run_virtual(scene())

Registry, scheduler, session and engine `openai` are the real ones.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.simulation.inline_store import inline_store
from bench.simulation.sources import SimulatedMedia, SimulatedSource, View, drawn
from bench.simulation.virtual_time import VirtualClock

from joyvl_server.engines.openai.abilities import unknown
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.engines.openai.failures import Endpoint
from joyvl_server.engines.openai.options import read_options
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.session import Session
from joyvl_server.settings import Settings

SILENT = '{"decision": "silent", "text": "", "question": ""}'


def speaks(text: str) -> str:
    return json.dumps({"decision": "speak", "text": text, "question": ""})


@dataclass(frozen=True, slots=True)
class Asked:
    at: float
    took: float
    pictures: int
    read: int
    """of them, those that were not in the prompt before"""
    text: str
    """all words of the user messages"""
    newest: str
    """those of the last one"""


class HomeServer:
    """A `Chat`. `reuses`: pictures at the start of a prompt that stood in the last one cost nothing, as in a prefix
    cache. `noise`: standard deviation of a decision's time, as a share of it."""

    def __init__(self, fixed: float, picture: float, *, reuses: bool = False, noise: float = 0.0) -> None:
        self.fixed = fixed
        self.picture = picture
        self.reuses = reuses
        self.noise = noise
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], str] = lambda asked: SILENT
        self.extra: Callable[[float], float] = lambda at: 0.0
        """seconds more for a decision that begins then"""
        self._random = random.Random(1)
        self._last: list[bytes] = []

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("http://home/v1", "vl")

    async def models(self) -> list[str]:
        return ["vl"]

    async def aclose(self) -> None: ...

    async def ask(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> dict[str, Any]:
        text = await self._decide(messages)
        return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}

    async def stream(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> _Whole:
        return _Whole(await self._decide(messages))

    async def _decide(self, messages: Sequence[bytes]) -> str:
        same = 0
        while self.reuses and same < min(len(messages), len(self._last)) and messages[same] == self._last[same]:
            same += 1
        self._last = list(messages)
        parsed = [json.loads(message) for message in messages]
        counts = [_pictures(message) for message in parsed]
        read = sum(counts[same:])
        at = asyncio.get_running_loop().time()
        took = (self.fixed + self.picture * read) * max(0.2, self._random.gauss(1.0, self.noise)) + self.extra(at)
        words = [_words(message) for message in parsed if message["role"] == "user"]
        asked = Asked(at, took, sum(counts), read, "\n".join(words), words[-1])
        self.asked.append(asked)
        await asyncio.sleep(took)
        return self.answer(asked)


class _Whole:
    """A `Completion` that comes in one piece."""

    usage: Mapping[str, Any] = {}

    def __init__(self, text: str) -> None:
        self._text: str | None = text

    async def read(self) -> str | None:
        text, self._text = self._text, None
        return text

    async def drain(self, seconds: float) -> None: ...
    async def aclose(self) -> None: ...


def _pictures(message: dict[str, Any]) -> int:
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] == "image_url" for part in content)


def _words(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@dataclass
class Home:
    server: HomeServer
    session: Session
    registry: Registry
    engine: OpenAIEngine

    def ages(self, since: float = 0.0) -> list[float]:
        """Of every decision after that stream time: seconds from its newest picture to the decision."""
        return [t["timings"]["total_ms"] / 1000 for t in self.decisions(since)]

    def decisions(self, since: float = 0.0) -> list[dict[str, Any]]:
        return [t for t in self.session.ticks() if t["skipped"] is None and t["t"] >= since]


@asynccontextmanager
async def home(
    server: HomeServer, *, caches: bool = False, options: Mapping[str, object] | None = None, **sessions: Any
) -> AsyncIterator[Home]:
    """One camera on it, of which something is seen to move now and then. `caches`: the probe says that it keeps a
    prefix cache."""
    clock = VirtualClock()
    given = {"protocol": "instruct", **(options or {})}
    abilities = replace(unknown(read_options(given)), caches=caches)
    engine = OpenAIEngine(given, chat=server, abilities=abilities)
    with tempfile.TemporaryDirectory(prefix="joyvl-home-") as folder:
        engines = EnginePool({})
        engines.add(engine)
        settings = Settings(data_dir=Path(folder), engine={"name": "openai"}, sessions=sessions)
        media = SimulatedMedia(lambda number: SimulatedSource(number, clock, View(), drawn()))
        store = inline_store(settings.data_dir)
        registry = Registry(settings, store, media, NetPolicy(schemes=("rtsp",)), engines, clock)
        await registry.start()
        try:
            view = await registry.cameras.add(CameraDraft(name="door", url="rtsp://127.0.0.1/1"))
            yield Home(server, registry.session(view.record.session_id), registry, engine)
        finally:
            await registry.aclose()
