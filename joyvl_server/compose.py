"""Puts the parts of a server together. No other module names concrete adapters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from joyvl_server.engines.vllm.weights import with_places
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.sessions.cameras import CameraDraft, CameraView
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.sessions.tracing.tick_traces import open_traces
from joyvl_server.settings import Settings
from joyvl_server.speech.hearing import open_hearing
from joyvl_server.speech.voices import SpeechEngines
from joyvl_server.store.store import Store

DEMO_NAME = "demo"


def media_dir(settings: Settings) -> Path:
    """The folder whose files cameras may always play."""
    return settings.data_dir / "media"


def clip_limits(settings: Settings) -> ClipLimits | None:
    """None where there are to be no clips."""
    timeline = settings.timeline
    if not timeline.record_clips or not settings.media.clip_mb:
        return None
    return ClipLimits.of(timeline.before_s, timeline.after_s, settings.media.clip_mb)


async def build_registry(settings: Settings, clock: Clock | None = None) -> Registry:
    """Everything a server runs on, not started yet. Raises `StoreError`, `ConfigError`.

    Cancelled while the store opens, it leaves nothing open.
    """
    clock = clock or SystemClock()
    policy = settings.net_policy()
    hearing = open_hearing(settings, clock)
    traces = open_traces(settings.traces, clock)
    # What `joyvl engine install` and `joyvl models get` made lies in the data folder.
    places = (settings.engine.options, settings.data_dir, settings.speech_models_dir)
    options = await asyncio.to_thread(with_places, *places)
    store = await Store.open(settings.data_dir, settings.secret_key_file)
    media_dir(settings).mkdir(exist_ok=True)
    media = MediaHub(settings.media, policy, clock, clips=clip_limits(settings), webrtc=settings.webrtc)
    engines = EnginePool(options)
    speech = SpeechServices(SpeechEngines(settings, clock), hearing)
    registry = Registry(settings, store, media, policy, engines, clock, speech)
    registry.metrics.traces = traces
    return registry


async def arrange_demo(registry: Registry) -> None:
    """Add the drawn clip as camera `demo`, so that a first start shows something.

    Without `settings.demo` it is removed, unless somebody has changed it. Raises `JoyvlError`, `OSError`. Cancelled, it
    may have drawn the clip; an unfinished clip is never left.
    """
    path = media_dir(registry.settings) / "demo.mp4"
    url = path.resolve().as_uri()
    if not registry.settings.demo:
        for view in registry.cameras.all():
            if view.record.url == url and await _is_untouched(registry, view):
                await registry.cameras.remove(view.record.id)
    elif await registry.untouched():
        await asyncio.to_thread(draw_demo, path)
        await registry.cameras.add(CameraDraft(name=DEMO_NAME, url=url, loop=True))


async def _is_untouched(registry: Registry, view: CameraView) -> bool:
    camera = view.record
    as_drawn = camera.name == DEMO_NAME and camera.updated_wall == camera.created_wall and not view.spec.zones
    return as_drawn and not await registry.cameras.watches(camera.id)
