"""A server in the test's own loop, with real sockets, media workers and speech; only its engine does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.server.house import KEY, OneEngine, house_settings
from joyvl_server.api.http.server import ApiServer, bind, url_of
from joyvl_server.app import create_app
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.settings import Settings
from joyvl_server.speech.hearing import open_hearing
from joyvl_server.speech.voices import SpeechEngines
from joyvl_server.store.store import Store


@dataclass(frozen=True)
class LiveServer:
    url: str
    engines: OneEngine
    registry: Registry


@asynccontextmanager
async def live_server(
    folder: Path, services: SpeechServices | None = None, **settings: Any
) -> AsyncIterator[LiveServer]:
    """`services` None: as the settings say."""
    read = house_settings(folder, server={"api_keys": [KEY], "port": 0}, **settings)
    engines, clock = OneEngine(), SystemClock()
    media = MediaHub(read.media, NetPolicy(), clock, webrtc=read.webrtc)
    services = services or speech_of(read, clock)
    registry = Registry(read, await Store.open(folder), media, NetPolicy(), engines, clock, services)
    app = create_app(read, registry, clock=clock)
    sockets = bind(read.server)
    running = ApiServer(app, app.state.api, lambda: None)
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(running.serve(sockets))
        try:
            yield LiveServer(url_of(sockets), engines, registry)
        finally:
            running.should_exit = True
            await serving
            for opened in sockets:
                opened.close()


def speech_of(settings: Settings, clock: SystemClock) -> SpeechServices:
    return SpeechServices(SpeechEngines(settings, clock), open_hearing(settings, clock))
