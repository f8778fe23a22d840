"""How late a tick's request goes out: real media workers, real sessions, a real HTTP engine that answers at once."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from joyvl_server.compose import build_registry, media_dir
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings, load

COLUMNS = (
    ("sessions", "sessions"),
    ("ticks", "ticks"),
    ("request_p50_ms", "due → request p50 ms"),
    ("request_p99_ms", "p99 ms"),
    ("answered_p50_ms", "due → answer back p50 ms"),
    ("answered_p99_ms", "p99 ms"),
    ("frame_age_p50_ms", "frame age p50 ms"),
    ("skipped", "skipped"),
)
ONLINE_TIMEOUT_S = 30.0
WARM_UP_TICKS = 3


def bench_tick(levels: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """One row a level. "Due → answer back" bounds "due → on the wire" from above: it holds the way there and back."""
    return asyncio.run(_bench(levels, seconds))


async def _bench(levels: tuple[int, ...], seconds: float) -> dict[str, Any]:
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "joyvl_server.cli.bench.engine", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert engine.stdout is not None
        port = int(await engine.stdout.readline())
        rows = [await _level(count, seconds, port) for count in levels]
    finally:
        engine.terminate()
        await engine.wait()
    return {"bench": "tick", "seconds": seconds, "rows": rows}


async def _level(count: int, seconds: float, port: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        settings = load(None, _overrides(folder, port, count))
        registry = await build_registry(settings)
        try:
            await registry.start()
            await _open_cameras(registry, settings, count)
            await asyncio.sleep(WARM_UP_TICKS * settings.sessions.tick_s)
            before = {s.id: len(s.ticks(10_000)) for s in registry.sessions()}
            await asyncio.sleep(seconds)
            ticks = [tick for s in registry.sessions() for tick in s.ticks(10_000)[before[s.id] :]]
        finally:
            await registry.aclose()
    return _row(count, ticks)


def _overrides(folder: str, port: int, count: int) -> dict[str, Any]:
    return {
        "data_dir": folder,
        "demo": False,
        "engine": {
            "name": "openai",
            "options": {"openai": {"base_url": f"http://127.0.0.1:{port}/v1", "model": "instant"}},
        },
        "sessions": {"max_sessions": max(64, count)},
    }


async def _open_cameras(registry: Registry, settings: Settings, count: int) -> None:
    clip = Path(media_dir(settings)) / "demo.mp4"
    await asyncio.to_thread(draw_demo, clip)
    for number in range(count):
        await registry.cameras.add(CameraDraft(name=f"bench {number}", url=clip.resolve().as_uri(), loop=True))
    async with asyncio.timeout(ONLINE_TIMEOUT_S):
        for session in registry.sessions():
            updates = session.updates.since(None)
            while session.state.status is not SourceStatus.ONLINE:
                await anext(updates)


def _row(count: int, ticks: list[dict[str, Any]]) -> dict[str, Any]:
    decided = [tick["timings"] for tick in ticks if tick["skipped"] is None]
    if not decided:
        raise JoyvlError("No tick was decided; the engine of the benchmark did not answer.")
    request = [t["request_ms"] for t in decided]
    answered = [t["request_ms"] + t["score_ms"] for t in decided]
    return {
        "sessions": count,
        "ticks": len(decided),
        "request_p50_ms": _percentile(request, 50),
        "request_p99_ms": _percentile(request, 99),
        "answered_p50_ms": _percentile(answered, 50),
        "answered_p99_ms": _percentile(answered, 99),
        "frame_age_p50_ms": _percentile([t["frame_age_ms"] for t in decided], 50),
        "skipped": len(ticks) - len(decided),
    }


def _percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
