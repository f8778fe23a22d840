"""The one JPEG encoder."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import simplejpeg

from joyvl_server.core.frame import Image

Pixels = npt.NDArray[np.uint8]


def encode(rgb: Pixels, quality: int = 85) -> Image:
    """A picture of shape (height, width, 3), RGB, as JPEG with halved colour (4:2:0)."""
    height, width = rgb.shape[:2]
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorsubsampling="420")
    return image_of(data, width, height)


def image_of(jpeg: bytes, width: int, height: int) -> Image:
    """An `Image` of bytes that are a JPEG already."""
    return Image(jpeg, hashlib.sha256(jpeg).hexdigest(), width, height)
