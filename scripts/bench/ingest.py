"""What a camera and a call cost in the whole server, beside the least that PyAV or aiortc need for the same stream."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av

from bench.live.rtsp_camera import BITS_PER_PIXEL, SECONDS, pictures
from bench.live.server import (
    SCRIPTS,
    WATCHES,
    instant_engine,
    measure,
    serving,
    spent,
    until_watching,
)
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry

COLUMNS = (
    ("source", "source"),
    ("sources", "at once"),
    ("worker_percent", "media worker, % of a core each"),
    ("main_percent", "main, % each"),
    ("bare_percent", "bare loop, %"),
    ("ratio", "worker beside bare"),
    ("tick_ms", "ours above bare, ms a tick"),
    ("ticks", "ticks"),
)
CAMERAS = (
    ("RTSP 480p", 640, 480, 30),
    ("RTSP 720p", 1280, 720, 15),
    ("RTSP 720p", 1280, 720, 30),
    ("RTSP 1080p", 1920, 1080, 25),
)
CALL = (640, 480, 30)
SOURCES = 2
ROUNDS = 3
WARM_UP_S = 2.0
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds a second and source, and ticks decided in all."""

    worker: float
    main: float
    ticks: int


def bench_ingest(seconds: float) -> dict[str, Any]:
    """Rows with the share of a core per source, ours and bare, measured in turns for `seconds` each in all."""
    if not Path("/proc/self/stat").exists():
        raise ConfigError("This measurement reads processor times from /proc, so it runs on Linux only.")
    return asyncio.run(_bench(seconds))


async def _bench(seconds: float) -> dict[str, Any]:
    async with instant_engine() as engine:
        rows = [await _cameras(name, width, height, fps, seconds, engine) for name, width, height, fps in CAMERAS]
        rows.append(await _calls(seconds, engine))
    notes = [
        "Ours: processor time of the media worker and of main, with sessions that have two watches each and an engine "
        f"that scores at once. Bare: a loop that only decodes the same {SOURCES} streams. In turns, the middle one of "
        f"{ROUNDS} rounds each."
    ]
    return {"bench": "ingest", "seconds": seconds, "rows": rows, "notes": notes}


async def _cameras(name: str, width: int, height: int, fps: int, seconds: float, engine: int) -> dict[str, Any]:
    size = (str(width), str(height), str(fps))
    async with _process("bench.live.rtsp_camera", *size) as camera:
        url = f"rtsp://127.0.0.1:{int(await _line(camera))}/bench"

        async def ours() -> Cost:
            async with serving(engine) as registry:
                for number in range(SOURCES):
                    await registry.cameras.add(CameraDraft(name=f"bench {number}", url=url, watches=WATCHES))
                return await _cost(registry, seconds / ROUNDS)

        async def bare() -> float:
            async with _process("bench.live.bare_loops", "decode", url, str(SOURCES)) as process:
                await _until_ready(process)
                return await _share(process.pid, seconds / ROUNDS)

        return await _row(f"{name}, {fps} fps", ours, bare)


async def _calls(seconds: float, engine: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        path = await asyncio.to_thread(_draw, Path(folder) / "call.webm")

        async def ours() -> Cost:
            async with serving(engine) as registry, _caller(path) as caller:

                async def answer(offer: str) -> str:
                    return (await registry.open_call(offer, watches=WATCHES)).answer_sdp

                await _connect(caller, answer)
                return await _cost(registry, seconds / ROUNDS)

        async def bare() -> float:
            async with _process("bench.live.bare_loops", "receive") as receiver, _caller(path) as caller:

                async def answer(offer: str) -> str:
                    await _write(receiver, offer)
                    return str(json.loads(await _line(receiver)))

                await _connect(caller, answer)
                return await _share(receiver.pid, seconds / ROUNDS)

        width, height, fps = CALL
        return await _row(f"call, VP8 {width}x{height}, {fps} fps", ours, bare)


async def _row(name: str, ours: Callable[[], Awaitable[Cost]], bare: Callable[[], Awaitable[float]]) -> dict[str, Any]:
    """In turns, so that whatever else the machine does falls on both."""
    costs: list[Cost] = []
    least: list[float] = []
    for _ in range(ROUNDS):
        costs.append(await ours())
        least.append(await bare() / SOURCES)
    worker, main, floor = median(c.worker for c in costs), median(c.main for c in costs), median(least)
    return {
        "source": name,
        "sources": SOURCES,
        "worker_percent": round(100 * worker, 2),
        "main_percent": round(100 * main, 2),
        "bare_percent": round(100 * floor, 2),
        "ratio": round(worker / floor, 3) if floor else None,
        "tick_ms": round(1000 * (worker + main - floor), 2),
        "ticks": sum(c.ticks for c in costs),
    }


async def _cost(registry: Registry, seconds: float) -> Cost:
    """What the server used a second and source while its sessions tick once a second."""
    sessions = registry.sessions()
    await until_watching(sessions)
    await asyncio.sleep(WARM_UP_S)
    spent = await measure(sessions, seconds)
    share = 1 / spent.lasted_s / len(sessions)
    return Cost(spent.worker_s * share, spent.main_s * share, len(spent.decided))


async def _share(pid: int, seconds: float) -> float:
    """Processor seconds a second of one process, after a warm-up."""
    await asyncio.sleep(WARM_UP_S)
    began, before = time.monotonic(), spent(pid)
    await asyncio.sleep(seconds)
    return (spent(pid) - before) / (time.monotonic() - began)


def _draw(path: Path) -> Path:
    width, height, fps = CALL
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libvpx", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = fps
        stream.bit_rate = int(2 * width * height * fps * BITS_PER_PIXEL)
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for number, rgb in enumerate(pictures(width, height, fps * SECONDS)):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@asynccontextmanager
async def _process(module: str, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args, stdin=pipe, stdout=pipe, limit=1 << 20, cwd=SCRIPTS
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def _caller(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(_process("bench.live.bare_loops", "call", str(path), str(SOURCES)))


async def _connect(caller: asyncio.subprocess.Process, answer: Callable[[str], Awaitable[str]]) -> None:
    for _ in range(SOURCES):
        await _write(caller, await answer(json.loads(await _line(caller))))
    await _until_ready(caller)


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
    if not line:
        raise JoyvlError("A process of the measurement ended too early.")
    return line.decode()


async def _write(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(text).encode() + b"\n")
    await process.stdin.drain()


async def _until_ready(process: asyncio.subprocess.Process) -> None:
    while await _line(process) != "ready\n":
        pass
