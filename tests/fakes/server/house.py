"""A whole server without cameras, models or time: the real registry, sessions and store over fakes that tests steer.

    async with house(tmp_path) as h:
        answer = await h.client.get("/v1/cameras")

Nothing ticks until `h.clock` is advanced. `h.app` is the real ASGI app; `fakes.media.wire` speaks to its streams.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from fakes.clock import ManualClock
from fakes.media.media import FakeMedia
from joyvl_server.api.context import ApiContext
from joyvl_server.api.page import PageFiles
from joyvl_server.app import create_app
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.engines.base import Capabilities, WithoutSlices
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.settings import Settings
from joyvl_server.store.store import Store

URL = "rtsp://cam:s3cret@127.0.0.1:554/one"
MASKED = "rtsp://cam:***@127.0.0.1:554/one"
KEY = "a-key-of-the-house"


class QuietEngine:
    """Always silent, unless `value` is set. Chooses as it is told, where its capabilities say that it can."""

    capabilities = Capabilities(follows_instructions=False, scores=True, reports_kinds=True, needs_every_frame=True)

    def __init__(self, name: str = "quiet") -> None:
        self.name = name
        self.value = 0.0
        self.words = " Someone is at the door."
        self.choices: list[int] = []
        """which option each `choose` takes, in order; without one left the first"""
        self.error: str | None = None

    async def open(self, spec: Any) -> QuietSession:
        return QuietSession(self)

    async def probe(self) -> Capabilities:
        return self.capabilities

    async def check(self) -> str:
        if self.error is not None:
            raise EngineError(self.error)
        return "quiet"

    async def aclose(self) -> None:
        pass


class QuietSession(WithoutSlices):
    def __init__(self, engine: QuietEngine) -> None:
        self._engine = engine

    async def begin(self, chunk: Any) -> None: ...
    async def append(self, turn: Any) -> None: ...
    async def settle(self, answer: str) -> None: ...
    async def rollback(self) -> None: ...
    async def aclose(self) -> None: ...

    async def score(self) -> Score:
        return Score(self._engine.value)

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        taken = self._engine.choices.pop(0) if self._engine.choices else 0
        return tuple(float(n == taken) for n in range(len(options)))

    async def say(self) -> AsyncIterator[str]:
        yield self._engine.words


class OneEngine(EnginePool):
    """The engine `quiet` works, `broken` is installed but not usable. Nothing that is really installed is there."""

    def __init__(self) -> None:
        super().__init__({})
        self.quiet = QuietEngine()

    def get(self, name: str) -> QuietEngine:
        if name != "quiet":
            raise ConfigError(f"There is no engine “{name}”; installed: quiet.")
        return self.quiet

    def describe(self) -> list[dict[str, Any]]:
        broken = {"name": "broken", "capabilities": None, "error": "broken: base_url http://u:s3cret@host is wrong"}
        return [broken, {"name": "quiet", "capabilities": self.quiet.capabilities, "error": None}]


@dataclass
class House:
    app: FastAPI
    client: httpx2.AsyncClient
    registry: Registry
    media: FakeMedia
    engines: OneEngine
    clock: ManualClock
    settings: Settings
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> ApiContext:
        return self.app.state.api

    async def camera(self, name: str = "door", **fields: Any) -> dict[str, Any]:
        """A new camera, as it is when its engine has been asked."""
        answer = await self.client.post("/v1/cameras", json={"name": name, "url": URL, **fields})
        assert answer.status_code == 201, answer.text
        await self.clock.settle()
        return (await self.client.get(answer.headers["location"])).json()

    async def session_of(self, session_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/sessions/{session_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def call(self) -> tuple[str, str]:
        """(path of a new call, its session's id), once its engine has been asked."""
        headers = {"Content-Type": "application/sdp"}
        answer = await self.client.post("/v1/realtime/calls", content="v=0\r\n", headers=headers)
        assert answer.status_code == 201, answer.text
        await self.clock.settle()
        return answer.headers["location"], answer.headers["x-session-id"]

    def session(self, camera: dict[str, Any]) -> Any:
        return self.registry.session(camera["session_id"])


def house_settings(tmp_path: Path, **groups: Any) -> Settings:
    return Settings(data_dir=tmp_path, engine={"name": "quiet"}, **groups)


async def open_house_registry(
    settings: Settings, clock: Any, media: FakeMedia, engines: OneEngine, speech: SpeechServices | None = None
) -> Registry:
    store = await Store.open(settings.data_dir)
    return Registry(settings, store, media, NetPolicy(), engines, clock, speech)


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    pages: PageFiles | None = None,
    change: Callable[[Registry], None] | None = None,
    wall: float = 1_800_000_000.0,
    speech: SpeechServices | None = None,
    **groups: Any,
) -> AsyncIterator[House]:
    """`groups` are settings: `server={"api_keys": [KEY]}`. `change` may touch the registry before the app is made.

    `wall`: Unix seconds when it starts.
    """
    settings = house_settings(tmp_path, **groups)
    clock, engines = ManualClock(wall=wall), OneEngine()
    media = FakeMedia(clock)
    registry = await open_house_registry(settings, clock, media, engines, speech)
    if change is not None:
        change(registry)
    app = create_app(settings, registry, clock=clock, pages=pages)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8099") as client:
            yield House(app, client, registry, media, engines, clock, settings)
