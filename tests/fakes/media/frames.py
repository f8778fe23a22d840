"""Frames without a camera."""

from __future__ import annotations

import hashlib

import numpy as np

from joyvl_server.core.frame import Frame, Grey, Image

EPOCH = 1_767_225_600.0
"""Unix seconds at stream time 0: 2026-01-01 00:00:00 UTC"""


def plain_grey(value: int = 128, height: int = 108, width: int = 192) -> Grey:
    return np.full((height, width), value, np.uint8)


def make_image(name: str = "picture", width: int = 640, height: int = 360) -> Image:
    return Image(b"", hashlib.sha256(name.encode()).hexdigest(), width, height)


def make_frame(
    t: float, grey: Grey | None = None, *, width: int = 640, height: int = 360, glance: bool = False
) -> Frame:
    """A frame at stream time `t`; `glance` adds the small picture."""
    return Frame(
        t=t,
        wall=EPOCH + t,
        image=make_image(f"{t}", width, height),
        grey=plain_grey() if grey is None else grey,
        glance=make_image(f"{t} small", 256, 144) if glance else None,
    )
