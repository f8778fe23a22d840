"""Turns with drawn pictures, for tests of engines: a textured room, and a block that wanders through it."""

from __future__ import annotations

import hashlib

import numpy as np
import simplejpeg

from joyvl_server.core.frame import Frame, Image
from joyvl_server.core.prompt.turns import Chunk, UserTurn

WIDTH, HEIGHT = 640, 480
GREY_STEP = 4
"""the grey picture is every fourth pixel: 160x120"""


def picture(step: int) -> np.ndarray:
    """RGB, uint8, 480x640. The block is in view in every second run of ten steps."""
    rng = np.random.default_rng(7)
    room = rng.integers(60, 180, (HEIGHT // 20, WIDTH // 20, 3), dtype=np.uint8)
    room = np.repeat(np.repeat(room, 20, axis=0), 20, axis=1)
    if step // 10 % 2:
        left = 40 + 50 * (step % 10)
        room[160:400, left : left + 110] = (250, 245, 20)
    return room


def jpeg(rgb: np.ndarray) -> Image:
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=85)
    return Image(data, hashlib.sha256(data).hexdigest(), rgb.shape[1], rgb.shape[0])


def turn(step: int, *, query: str | None = None, glance: bool = False) -> UserTurn:
    rgb = picture(step)
    grey = rgb[::GREY_STEP, ::GREY_STEP].mean(axis=2).astype(np.uint8)
    small = jpeg(rgb[::2, ::2]) if glance else None
    return UserTurn(step, float(step), Frame(float(step), 1000.0 + step, jpeg(rgb), grey, small), query=query)


def chunk(number: int = 0, *, system: str = "You watch.", prefix: str = "") -> Chunk:
    return Chunk(number, system, prefix)
