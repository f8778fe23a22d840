"""Puts the parts of a server together. The only place that names concrete adapters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from joyvl_server.engines.vllm_options import with_environments
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.engines import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings
from joyvl_server.store.database import Database

DEMO_NAME = "demo"


def media_dir(settings: Settings) -> Path:
    """The folder whose files cameras may always play."""
    return settings.data_dir / "media"


async def build_registry(settings: Settings, clock: Clock | None = None) -> Registry:
    """Everything a server runs on, not started yet. Raises `StoreError`, `ConfigError`."""
    clock = clock or SystemClock()
    media_dir(settings).mkdir(parents=True, exist_ok=True)
    policy = settings.net_policy()
    db = await Database.open(settings.data_dir / "joyvl.db")
    media = MediaHub(settings.media, policy, clock)
    # What `joyvl engine install` made lies in the data folder.
    engines = EnginePool(with_environments(settings.engine.options, settings.data_dir))
    return Registry(settings, db, media, policy, engines, clock)


async def arrange_demo(registry: Registry) -> None:
    """A first start shows something: the drawn clip as camera `demo`. Without `settings.demo` it is taken away."""
    path = media_dir(registry.settings) / "demo.mp4"
    url = path.resolve().as_uri()
    if not registry.settings.demo:
        for view in registry.cameras.all():
            if view.record.url == url:
                await registry.cameras.remove(view.record.id)
    elif await registry.untouched():
        await asyncio.to_thread(draw_demo, path)
        await registry.cameras.add(CameraDraft(name=DEMO_NAME, url=url, loop=True))
