"""From a decoded frame to what main gets: a JPEG, a small grey picture, and a smaller JPEG where one is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from joyvl_server.core.frame import Grey, Image
from joyvl_server.kit import jpeg
from joyvl_server.kit.jpeg import Pixels

GLANCE_PIXELS = 65_536
"""The model's floor of 64 tokens."""
FULL_RANGE = 2
HD_HEIGHT = 720


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    image: Image
    grey: Grey
    glance: Image | None


class GreyScaler:
    """Makes small grey pictures, straight from the frame, so that all of one source are made alike.

    Not for two threads at once: it keeps libswscale's context.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        self._reformatter = VideoReformatter()

    def grey(self, frame: VideoFrame, aspect: float = 1.0) -> Grey:
        """Longer side at most `side` pixels, turned upright. `aspect`: width of one pixel to its height."""
        small = self._reformatter.reformat(
            frame, *_grey_size(frame.width * aspect, frame.height, self._side), "gray",
            interpolation=Interpolation.AREA, threads=1, dst_color_range=FULL_RANGE,
        )  # fmt: skip
        return np.ascontiguousarray(np.rot90(_plane(small, 0), _quarter_turns(frame)))


class FrameEncoder:
    """Encodes frames of one source. Not for two threads at once: it keeps libswscale's contexts.

    `max_pixels`: larger frames are scaled down; `grey_side`: longer side of the grey picture, in pixels.
    """

    def __init__(self, max_pixels: int, grey_side: int, quality: int) -> None:
        self._max_pixels = max_pixels
        self._quality = quality
        self._full = _JpegEncoder(quality)
        self._small = _JpegEncoder(quality)
        self._grey = GreyScaler(grey_side)

    def encode(self, frame: VideoFrame, *, glance: bool, aspect: float = 1.0) -> EncodedFrame:
        """`aspect`: width of one pixel to its height. The frame is only read, so its decoder may go on meanwhile."""
        colours, turns = _colours(frame), _quarter_turns(frame)
        size = fit(frame.width * aspect, frame.height, self._max_pixels)
        scaled = self._full.scale(frame, size, colours)
        small = None
        if glance:
            shrunk = self._small.scale(scaled, fit(*size, GLANCE_PIXELS), colours)
            small = self._small.encode(shrunk, colours, turns)
        return EncodedFrame(self._full.encode(scaled, colours, turns), self._grey.grey(frame, aspect), small)


class _JpegEncoder:
    """Scales and encodes pictures of one size after the other; it keeps libswscale's contexts.

    Scaled in the frame's own colours, then turned to RGB: asked for both at once, libswscale takes twice as long.
    """

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._scaler = VideoReformatter()
        self._to_rgb = VideoReformatter()

    def scale(self, frame: VideoFrame, size: tuple[int, int], colours: Colorspace) -> VideoFrame:
        """To full-range YUV 4:2:0."""
        return self._scaler.reformat(
            frame, *size, "yuvj420p", interpolation=Interpolation.AREA, threads=1,
            src_colorspace=colours, dst_colorspace=colours, dst_color_range=FULL_RANGE,
        )  # fmt: skip

    def encode(self, scaled: VideoFrame, colours: Colorspace, turns: int) -> Image:
        rgb = self._to_rgb.reformat(
            scaled, scaled.width, scaled.height, "rgb24", interpolation=Interpolation.POINT, threads=1,
            src_colorspace=colours, src_color_range=FULL_RANGE,
        )  # fmt: skip
        plane = rgb.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: rgb.height, : 3 * rgb.width]
        return jpeg.encode(np.rot90(rows.reshape(rgb.height, rgb.width, 3), turns), self._quality)


def fit(width: float, height: float, max_pixels: int) -> tuple[int, int]:
    """The largest even size with this shape and at most `max_pixels`; never larger than the original."""
    scale = min(1.0, sqrt(max_pixels / (width * height)))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _quarter_turns(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) % 4


def _grey_size(width: float, height: float, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _plane(frame: VideoFrame, index: int) -> Pixels:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _colours(frame: VideoFrame) -> Colorspace:
    """The frame's colour matrix; where it does not say, by custom BT.709 from HD on."""
    if frame.colorspace in (Colorspace.ITU709, Colorspace.ITU601, Colorspace.SMPTE240M, Colorspace.BT2020):
        return Colorspace(frame.colorspace)
    return Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
