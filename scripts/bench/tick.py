"""What a tick costs and how late it is: real media workers, real sessions with watches, a real HTTP engine that scores
at once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bench.live.server import (
    WATCHES,
    Spent,
    instant_engine,
    measure,
    serving,
    until_watching,
)
from bench.percentiles import percentile
from joyvl_server.compose import media_dir
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry

COLUMNS = (
    ("sessions", "sessions"),
    ("ticks", "ticks"),
    ("scored_p50_ms", "due → scored p50 ms"),
    ("scored_p99_ms", "p99 ms"),
    ("request_p99_ms", "due → handed over p99 ms"),
    ("frame_age_p50_ms", "age of the picture then p50 ms"),
    ("frame_age_p95_ms", "p95 ms"),
    ("main_ms", "main, ms a tick"),
    ("worker_ms", "media worker, ms a tick"),
    ("skipped", "skipped"),
)
WARM_UP_TICKS = 3


def bench_tick(levels: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """One row a level.

    "Due → scored" is what a user waits for beside the model: the look, the request built and sent, its answer read.
    "Handed over" is where the session gives the turn to the engine's client.
    """
    return asyncio.run(_bench(levels, seconds))


async def _bench(levels: tuple[int, ...], seconds: float) -> dict[str, Any]:
    async with instant_engine() as port:
        rows = [await _level(count, seconds, port) for count in levels]
    return {"bench": "tick", "seconds": seconds, "rows": rows}


async def _level(count: int, seconds: float, port: int) -> dict[str, Any]:
    async with serving(port) as registry:
        await _open_cameras(registry, count)
        await asyncio.sleep(WARM_UP_TICKS * registry.settings.sessions.tick_s)
        return _row(count, await measure(registry.sessions(), seconds))


async def _open_cameras(registry: Registry, count: int) -> None:
    clip = Path(media_dir(registry.settings)) / "demo.mp4"
    await asyncio.to_thread(draw_demo, clip)
    for number in range(count):
        draft = CameraDraft(name=f"bench {number}", url=clip.resolve().as_uri(), loop=True, watches=WATCHES)
        await registry.cameras.add(draft)
    await until_watching(registry.sessions())


def _row(count: int, spent: Spent) -> dict[str, Any]:
    decided = [tick["timings"] for tick in spent.decided]
    request = [t["request_ms"] for t in decided]
    scored = [t["request_ms"] + t["score_ms"] for t in decided]
    age = [t["frame_age_ms"] + t["request_ms"] for t in decided]
    return {
        "sessions": count,
        "ticks": len(decided),
        "scored_p50_ms": percentile(scored, 50),
        "scored_p99_ms": percentile(scored, 99),
        "request_p50_ms": percentile(request, 50),
        "request_p99_ms": percentile(request, 99),
        "frame_age_p50_ms": percentile(age, 50),
        "frame_age_p95_ms": percentile(age, 95),
        "main_ms": 1000 * spent.main_s / len(decided),
        "worker_ms": 1000 * spent.worker_s / len(decided),
        "skipped": len(spent.ticks) - len(decided),
    }
