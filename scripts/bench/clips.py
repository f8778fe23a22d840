"""What clips cost: a media worker that keeps the packets of its cameras and writes clips, beside one that does not."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.live.server import SCRIPTS, worker_seconds
from joyvl_server.core.errors import ConfigError, JoyvlError, NoFrame
from joyvl_server.ingest.base import ClipOrder, PullSpec, Source, SourceState
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import MediaSettings

COLUMNS = (
    ("source", "source"),
    ("sources", "at once"),
    ("plain_percent", "worker without clips, % of a core each"),
    ("clips_percent", "with clips, %"),
    ("cost_percent", "clips alone, %"),
    ("clips", "clips written"),
    ("memory_mb", "packets kept, MB each"),
    ("lost", "pictures lost"),
    ("lost_plain", "lost without clips"),
)
CAMERAS = (("RTSP 720p", 1280, 720, 15), ("RTSP 1080p", 1920, 1080, 25))
SOURCES = 4
ROUNDS = 3
EVERY_S = 10.0
"""one clip of each camera"""
BEFORE_S, AFTER_S = 5.0, 10.0
START_TIMEOUT_S = 60.0
WARM_UP_S = 3.0


@dataclass(frozen=True, slots=True)
class Round:
    """`share`: processor seconds a second, of a source that shows all its pictures. `lost`: pictures that were
    due and not shown, of all sources."""

    share: float
    lost: int
    clips: int
    memory: int


def bench_clips(seconds: float, *, quick: bool = False) -> dict[str, Any]:
    """Rows with the share of a core per camera, with and without clips, measured in turns."""
    if not Path("/proc/self/stat").exists():
        raise ConfigError("This measurement reads processor times from /proc, so it runs on Linux only.")
    cameras, rounds = (CAMERAS[:1], 1) if quick else (CAMERAS, ROUNDS)
    length = 12.0 if quick else seconds / rounds
    rows = [asyncio.run(_camera(*camera, length, rounds)) for camera in cameras]
    notes = [
        f"Processor time of the media worker with {SOURCES} cameras, each looked at once a second; with clips it also "
        f"writes one of {BEFORE_S + AFTER_S:g} s of each camera every {EVERY_S:g} s. In turns, the middle one of "
        f"{rounds} rounds. Lost: pictures of all rounds that were due and not shown, as on a busy machine."
    ]
    return {"bench": "clips", "seconds": length * rounds, "rows": rows, "notes": notes}


async def _camera(name: str, width: int, height: int, fps: int, seconds: float, rounds: int) -> dict[str, Any]:
    async with _serving(width, height, fps) as url:
        plain: list[Round] = []
        clips: list[Round] = []
        for _ in range(rounds):
            plain.append(await _round(url, fps, seconds, None))
            clips.append(await _round(url, fps, seconds, ClipLimits.of(BEFORE_S, AFTER_S, 32)))
    bare, ours = (100 * median(r.share for r in found) for found in (plain, clips))
    return {
        "source": f"{name}, {fps} fps",
        "sources": SOURCES,
        "plain_percent": round(bare, 2),
        "clips_percent": round(ours, 2),
        "cost_percent": round(ours - bare, 2),
        "clips": sum(r.clips for r in clips),
        "memory_mb": round(max(r.memory for r in clips) / SOURCES / 1e6, 1),
        "lost": sum(r.lost for r in clips),
        "lost_plain": sum(r.lost for r in plain),
    }


async def _round(url: str, fps: int, seconds: float, limits: ClipLimits | None) -> Round:
    hub = MediaHub(MediaSettings(), NetPolicy(), clips=limits)
    try:
        states = [Online() for _ in range(SOURCES)]
        sources = [await hub.open(f"bench{number}", PullSpec(url), state) for number, state in enumerate(states)]
        await _until_online(states)
        await asyncio.sleep(WARM_UP_S)
        # By the clock of each source, so that a busy machine is no loss.
        before = await _shown(hub)
        began, spent = time.monotonic(), worker_seconds()
        with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
            tasks = [asyncio.create_task(_clips(source, Path(folder), seconds)) for source in sources if limits]
            while time.monotonic() - began < seconds:
                for source in sources:
                    with suppress(NoFrame):
                        await source.look()
                await asyncio.sleep(1.0)
            lasted, used = time.monotonic() - began, worker_seconds() - spent
            after = await _shown(hub)
            written = sum([await task for task in tasks])
        # A picture may be on its way at either end.
        sent = int(lasted * fps) - 2
        lost = sum(max(0, sent - (after[id] - count)) for id, count in before.items())
        (worker,) = hub._workers
        # For each picture: a machine that does not keep up would look cheap.
        shown = sum(after[id] - count for id, count in before.items())
        return Round(used / max(1, shown) * fps, lost, written, worker.clip_bytes)
    finally:
        await hub.aclose()


async def _clips(source: Source, folder: Path, seconds: float) -> int:
    """One after another, each as soon as the last one is there or `EVERY_S` have passed; how many there were."""
    end = time.monotonic() + seconds
    written = 0
    while (left := end - time.monotonic()) > 2:
        order = ClipOrder(folder / f"{source.id}-{written}.mp4", source.now, BEFORE_S, min(AFTER_S, left / 2))
        clip = await source.clip(order)
        if clip.bytes == 0:
            raise JoyvlError("A clip is empty.")
        written += 1
        await asyncio.sleep(min(max(0.0, EVERY_S - AFTER_S), max(0.0, end - time.monotonic())))
    return written


async def _shown(hub: MediaHub) -> dict[str, int]:
    """Pictures that each source has shown so far; also tells the worker to count its memory."""
    (worker,) = hub._workers
    answer = await worker.request("ping", 10.0)
    worker.clip_bytes = max(worker.clip_bytes, answer["clip_bytes"])
    return dict(answer["pictures"])


class Online(asyncio.Event):
    """A listener of states: set once the source shows pictures."""

    def __call__(self, state: SourceState) -> None:
        if state.status == "online":
            self.set()


async def _until_online(states: list[Online]) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            for state in states:
                await state.wait()
    except TimeoutError:
        raise JoyvlError("The cameras of the measurement did not come online.") from None


@asynccontextmanager
async def _serving(width: int, height: int, fps: int) -> AsyncIterator[str]:
    camera = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.live.rtsp_camera", str(width), str(height), str(fps),
        stdout=asyncio.subprocess.PIPE, cwd=SCRIPTS,
    )  # fmt: skip
    try:
        assert camera.stdout is not None
        yield f"rtsp://127.0.0.1:{int(await camera.stdout.readline())}/bench"
    finally:
        with suppress(ProcessLookupError):
            camera.kill()
        await camera.wait()
