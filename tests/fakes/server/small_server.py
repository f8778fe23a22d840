"""The real `serve` over a registry without media; in `tests/`:
`python -m fakes.server.small_server DATA_DIR PORT SHUTDOWN_S`.

It prints `session SESSION_ID` once a camera is registered. JOYVL_FAKE makes it take its time or talk: `slow_start`,
`slow_stop` and `stuck` (in a thread) for longer than any test lasts, `flood` (200 updates of 50 kB a second).
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fakes.media.media import FakeMedia
from fakes.server.house import URL, OneEngine, open_house_registry
from joyvl_server.app import serve
from joyvl_server.kit.clock import SystemClock
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings

FLOOD = 50_000
AGES_S = 3600
FAKE = os.environ.get("JOYVL_FAKE", "")


async def open_registry(settings: Settings) -> Registry:
    clock = SystemClock()
    registry = await open_house_registry(settings, clock, FakeMedia(clock), OneEngine())
    start, aclose = registry.start, registry.aclose

    async def slow_start() -> None:
        await start()
        print("starting", flush=True)
        await asyncio.sleep(AGES_S if FAKE == "slow_start" else 0)

    async def slow_stop() -> None:
        if FAKE == "slow_stop":
            await asyncio.sleep(AGES_S)
        await aclose()
        if FAKE == "stuck":
            await asyncio.to_thread(__import__("time").sleep, AGES_S)
        print("closed", flush=True)

    registry.start, registry.aclose = slow_start, slow_stop  # type: ignore[method-assign]
    return registry


async def arrange(registry: Registry) -> None:
    view = await registry.cameras.add(CameraDraft("door", URL))
    session = registry.session(view.record.session_id)
    print("session", session.id, flush=True)
    while FAKE == "flood":
        session.updates.publish("error", error={"code": "flood", "message": "x" * FLOOD})
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    data_dir, port, shutdown_s = sys.argv[1:]
    settings = Settings(
        data_dir=Path(data_dir),
        demo=False,
        engine={"name": "quiet"},
        server={
            "port": port,
            "shutdown_timeout_s": float(shutdown_s),
            "updates_backlog": 64,
        },
    )
    serve(settings, open_registry=open_registry, arrange=arrange)
