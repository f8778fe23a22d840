"""A still room as a cheap camera sends it: sensor noise, light that drifts, coarse H.264. Drawn from a seed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from joyvl_server.ingest.demo import frames

WIDTH, HEIGHT = 960, 540
FPS = 1
"""one picture a tick: what lies between is not looked at"""
KEYFRAME_EVERY = 10
"""pictures: at each the compression starts over, which is what trembles most in a still picture"""


@dataclass(frozen=True, slots=True)
class CameraNoise:
    """What a still picture does by itself."""

    grain: float = 4.0
    """standard deviation of one pixel, in grey levels"""
    drift: float = 0.12
    """how far the light goes up and down"""
    period_s: float = 300.0
    warmth: float = 4.0
    """how far the colours go, in levels"""
    crf: int = 30
    """of x264: from 28 on blocks are seen"""


TYPICAL = CameraNoise()


def still_room(seconds: int, seed: int, noise: CameraNoise = TYPICAL) -> Iterator[VideoFrame]:
    """One decoded picture a second."""
    encoded = _encode(_pictures(seconds, seed, noise), noise.crf)
    with av.open(encoded, "r") as file:
        yield from file.decode(video=0)


def _pictures(seconds: int, seed: int, noise: CameraNoise) -> Iterator[npt.NDArray[np.uint8]]:
    """The empty room of the demo clip, shape (HEIGHT, WIDTH, 3), RGB."""
    rng = np.random.default_rng(seed)
    room = cv2.resize(next(frames()), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    phase = rng.uniform(0, 2 * math.pi)
    for t in range(seconds * FPS):
        angle = phase + 2 * math.pi * t / noise.period_s
        lit = room * (1 + noise.drift * math.sin(angle))
        lit += noise.warmth * math.sin(1.7 * angle) * np.array((1, 0, -1), np.float32)
        lit += noise.grain * rng.standard_normal((HEIGHT, WIDTH, 1), np.float32)
        yield np.clip(lit, 0, 255).astype(np.uint8)


def _encode(pictures: Iterator[npt.NDArray[np.uint8]], crf: int) -> io.BytesIO:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as file:
        options = {"crf": str(crf), "preset": "veryfast", "g": str(KEYFRAME_EVERY)}
        stream = file.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            file.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    buffer.seek(0)
    return buffer
