"""The real registry, scheduler, sessions and engine `openai` over a simulated server, in virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.simulation.card import CARD, Card
from bench.simulation.inline_store import inline_store
from bench.simulation.replies import abilities
from bench.simulation.scripted_model import ScriptedModel
from bench.simulation.server import SimulatedServer
from bench.simulation.sources import SimulatedMedia, SimulatedSource
from bench.simulation.virtual_time import VirtualClock
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.settings import Settings

URL = "rtsp://127.0.0.1/1"
WATCH = "Tell me when someone comes in or leaves, and what they carry."


@dataclass(slots=True)
class Deployment:
    clock: VirtualClock
    server: SimulatedServer
    registry: Registry
    media: SimulatedMedia
    sessions: list[Session] = field(default_factory=list)

    async def add(self, *, watches: tuple[str, ...] = (WATCH,)) -> Session:
        """One camera more. Raises `NotAllowed` where the engine cannot take it."""
        drafts = tuple(WatchDraft(text=text) for text in watches)
        view = await self.registry.cameras.add(
            CameraDraft(name=f"camera {len(self.media.sources)}", url=URL, watches=drafts)
        )
        session = self.registry.session(view.record.session_id)
        self.sessions.append(session)
        return session

    def source(self, session: Session) -> SimulatedSource:
        """What this session looks at."""
        return self.media.sources[self.sessions.index(session)]


@asynccontextmanager
async def simulated_deployment(
    model: ScriptedModel,
    make: Callable[[int, VirtualClock], SimulatedSource],
    *,
    card: Card = CARD,
    keeps: bool = True,
    options: Mapping[str, object] | None = None,
    **sessions: Any,
) -> AsyncIterator[Deployment]:
    """`make(number, clock)` gives the n-th camera's source; `sessions` are settings of that group."""
    clock = VirtualClock()
    server = SimulatedServer(model, clock, card, keeps=keeps)
    running = asyncio.create_task(server.run(), name="simulated engine")
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        engines = EnginePool({})
        engines.add(OpenAIEngine(dict(options or {}), chat=server, abilities=abilities(card)))
        settings = Settings(data_dir=Path(folder), engine={"name": "openai"}, sessions=sessions)
        media = SimulatedMedia(lambda number: make(number, clock))
        store = inline_store(settings.data_dir)
        registry = Registry(settings, store, media, NetPolicy(schemes=("rtsp",)), engines, clock)
        await registry.start()
        try:
            yield Deployment(clock, server, registry, media)
        finally:
            await registry.aclose()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
