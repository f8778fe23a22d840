"""Engines on the real vLLM that remember what they asked, and real frames for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import av
import numpy as np
from vllm_server import VllmServer

from fakes.media.sniffing import Sniffer
from fakes.patience import PATIENCE_S
from joyvl_server.core.frame import Frame
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.kit.jpeg import encode

TICKS = 120
WIDTH, HEIGHT = 352, 192


@asynccontextmanager
async def probed(vllm: VllmServer, **options: object) -> AsyncIterator[tuple[OpenAIEngine, Sniffer]]:
    sniffer = Sniffer(vllm.base_url)
    engine = OpenAIEngine({"base_url": vllm.base_url, "timeout_s": 60, **options}, chat=sniffer)
    try:
        await engine.probe()
        sniffer.sent.clear()
        yield engine, sniffer
    finally:
        await engine.aclose()


@cache
def footage(clips: Path) -> list[Frame]:
    """One frame a second of people who come and go, small: 68 tokens each."""
    frames: list[Frame] = []
    with av.open(str(clips / "people-one-by-one.mp4")) as container:
        for picture in container.decode(video=0):
            if picture.time >= len(frames):
                image = encode(picture.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT))
                t = float(len(frames))
                frames.append(Frame(t, 1000.0 + t, image, np.zeros((1, 1), np.uint8)))
            if len(frames) == TICKS:
                break
    return frames


async def comes_to(wanted: int, read: Callable[[], int]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while (now := await asyncio.to_thread(read)) != wanted and time.monotonic() < until:
        await asyncio.sleep(0.05)  # another process's metrics: no event to wait for
    return now == wanted
