"""What a camera and a call cost in a media worker, beside the least that PyAV or aiortc need for the same stream."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av

from joyvl_server.cli.bench.rtsp import BITS_PER_PIXEL, SECONDS, pictures
from joyvl_server.core.errors import ConfigError, JoyvlError, NoFrame
from joyvl_server.ingest.base import PullSpec, Source
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.kit.netpolicy import NetPolicy
from joyvl_server.settings import MediaSettings

COLUMNS = (
    ("source", "source"),
    ("sources", "at once"),
    ("ours_percent", "share of a core each, %"),
    ("bare_percent", "bare loop, %"),
    ("ratio", "ratio"),
    ("looks", "looks"),
)
CAMERAS = (("RTSP 480p", 640, 480, 30), ("RTSP 720p", 1280, 720, 30), ("RTSP 1080p", 1920, 1080, 25))
CALL = (640, 480, 30)
SOURCES = 2
ROUNDS = 3
WARM_UP_S = 2.0
START_TIMEOUT_S = 60.0

Measured = Callable[[], Awaitable[float]]


def bench_ingest(seconds: float) -> dict[str, Any]:
    """Rows with the share of a core per source, ours and bare, measured in turns for `seconds` each in all."""
    if not Path("/proc/self/stat").exists():
        raise ConfigError("This measurement reads processor times from /proc, so it runs on Linux only.")
    return asyncio.run(_bench(seconds))


async def _bench(seconds: float) -> dict[str, Any]:
    rows = [await _cameras(name, width, height, fps, seconds) for name, width, height, fps in CAMERAS]
    rows.append(await _calls(seconds))
    notes = [
        "Ours: processor time of the media worker, one look a second at each source (JPEG, grey picture, trail). "
        f"Bare: a loop that only decodes the same {SOURCES} streams. In turns, the middle one of {ROUNDS} rounds each."
    ]
    return {"bench": "ingest", "seconds": seconds, "rows": rows, "notes": notes}


async def _cameras(name: str, width: int, height: int, fps: int, seconds: float) -> dict[str, Any]:
    size = (str(width), str(height), str(fps))
    async with _process("joyvl_server.cli.bench.rtsp", *size) as camera:
        url = f"rtsp://127.0.0.1:{int(await _line(camera))}/bench"
        looks = [0]

        async def ours() -> float:
            async with _hub() as hub:
                sources = [await hub.open(f"cam{n}", PullSpec(url), lambda _: None) for n in range(SOURCES)]
                return await _ours(hub, sources, seconds / ROUNDS, looks)

        async def bare() -> float:
            async with _process("joyvl_server.cli.bench.bare", "decode", url, str(SOURCES)) as process:
                await _until_ready(process)
                return await _share(process.pid, seconds / ROUNDS)

        return await _row(f"{name}, {fps} fps", ours, bare, looks)


async def _calls(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        path = await asyncio.to_thread(_draw, Path(folder) / "call.webm")
        looks = [0]

        async def ours() -> float:
            async with _hub() as hub, _caller(path) as caller:
                sources: list[Source] = []

                async def answer(offer: str) -> str:
                    source, sdp = await hub.answer(f"call{len(sources)}", offer, lambda _: None)
                    sources.append(source)
                    return sdp

                await _connect(caller, answer)
                return await _ours(hub, sources, seconds / ROUNDS, looks)

        async def bare() -> float:
            async with _process("joyvl_server.cli.bench.bare", "receive") as receiver, _caller(path) as caller:

                async def answer(offer: str) -> str:
                    await _write(receiver, offer)
                    return str(json.loads(await _line(receiver)))

                await _connect(caller, answer)
                return await _share(receiver.pid, seconds / ROUNDS)

        width, height, fps = CALL
        return await _row(f"call, VP8 {width}x{height}, {fps} fps", ours, bare, looks)


async def _row(name: str, ours: Measured, bare: Measured, looks: list[int]) -> dict[str, Any]:
    """In turns, so that whatever else the machine does falls on both."""
    shares: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        shares["ours"].append(await ours())
        shares["bare"].append(await bare())
    mine, least = (100 * median(shares[key]) / SOURCES for key in ("ours", "bare"))
    return {
        "source": name,
        "sources": SOURCES,
        "ours_percent": round(mine, 2),
        "bare_percent": round(least, 2),
        "ratio": round(mine / least, 3) if least else None,
        "looks": looks[0],
    }


async def _ours(hub: MediaHub, sources: Sequence[Source], seconds: float, looks: list[int]) -> float:
    await _online(sources)
    pid = hub.workers[0].pid
    if pid is None or len(hub.workers) != 1:
        raise JoyvlError("The media worker ended while it was measured.")
    measuring = asyncio.create_task(_share(pid, seconds))
    while not measuring.done():
        for source in sources:
            with suppress(NoFrame):
                await source.look(trail=True)
                looks[0] += 1
        await asyncio.wait({measuring}, timeout=1.0)
    return measuring.result()


async def _online(sources: Sequence[Source]) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while any(source.state.status != "online" for source in sources):
        if time.monotonic() > end:
            raise JoyvlError(f"A source did not come online: {[source.state.error for source in sources]}")
        await asyncio.sleep(0.05)


async def _share(pid: int, seconds: float) -> float:
    """Processor seconds a second of one process, after a warm-up."""
    await asyncio.sleep(WARM_UP_S)
    began, spent = time.monotonic(), _spent(pid)
    await asyncio.sleep(seconds)
    return (_spent(pid) - spent) / (time.monotonic() - began)


def _spent(pid: int) -> float:
    """Seconds of processor time that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
async def _hub() -> AsyncIterator[MediaHub]:
    hub = MediaHub(MediaSettings(), NetPolicy())
    try:
        yield hub
    finally:
        await hub.aclose()


@asynccontextmanager
async def _process(module: str, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args, stdin=pipe, stdout=pipe, limit=1 << 20
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
        yield await stack.enter_async_context(_process("joyvl_server.cli.bench.bare", "call", str(path), str(SOURCES)))


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
