"""Small tools on grey pictures: smoothing, gradients, light fitting, tolerant differences.

All pictures here are float32 of shape (height, width), values 0 to 255, longest side `SIDE`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from joyvl_server.core.frame import Grey

Picture = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SIDE = 192
"""Longest side everything is measured at, in pixels; other sizes are scaled to it, so that lengths mean the same."""
SATURATED = 251.0
"""From this grey value on the sensor is at its end: what happens above it cannot be seen."""

_NINE = np.ones((3, 3), np.uint8)


def prepare(grey: Grey) -> Picture:
    """Scale to `SIDE` and smooth away pixel noise: a Gaussian of 0.8 px halves it and more, and keeps limbs of 2 px."""
    h, w = grey.shape
    scale = SIDE / max(h, w)
    if scale != 1.0:
        size = (max(8, round(w * scale)), max(8, round(h * scale)))
        grey = np.asarray(
            cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
        )
    return smooth(grey.astype(np.float32), 0.8)


def smooth(picture: Picture, sigma: float) -> Picture:
    return _array(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def box_mean(picture: Picture, size: int) -> Picture:
    return _array(cv2.blur(picture, (size, size), borderType=cv2.BORDER_REFLECT))


def highest(picture: Picture) -> Picture:
    """Each pixel's largest value among its neighbours: what may be there when the camera trembles by a pixel."""
    return _array(cv2.dilate(picture, _NINE))


def lowest(picture: Picture) -> Picture:
    return _array(cv2.erode(picture, _NINE))


def grow(mask: Mask, pixels: int) -> Mask:
    if pixels <= 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def slope(picture: Picture) -> Picture:
    """Size of the gradient in grey levels a pixel."""
    dx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    return _array(cv2.magnitude(dx, dy))


def detail(picture: Picture) -> Picture:
    """The picture without its slow brightness: what texture and edges are left at lengths up to about 8 pixels."""
    return picture - smooth(picture, 4.0)


def fit_light(picture: Picture, settled: Picture, use: Mask) -> tuple[float, float]:
    """(gain, offset) with `picture ~ gain * settled + offset` over most pixels of `use`, whatever the rest shows.

    Two starts (same light; scaled light), then least squares with weights that ignore what does not fit.
    """
    x, y = settled[::3, ::3][use[::3, ::3]], picture[::3, ::3][use[::3, ::3]]
    keep = (y < SATURATED) & (x < SATURATED) & (y > 3)
    x, y = x[keep], y[keep]
    if x.size < 60:
        return 1.0, 0.0
    starts = [(1.0, float(np.median(y - x))), (float(np.median(y)) / max(float(np.median(x)), 1.0), 0.0)]
    best, best_cost = starts[0], np.inf
    for gain, offset in starts:
        scale = max(3.0, 1.5 * float(np.median(np.abs(y - gain * x - offset))))
        for _ in range(4):
            weight = 1.0 / (1.0 + ((y - gain * x - offset) / scale) ** 2) ** 2
            total = float(weight.sum())
            mx, my = float((weight * x).sum()) / total, float((weight * y).sum()) / total
            spread = float((weight * (x - mx) ** 2).sum()) / total
            # A picture of one grey cannot tell gain from offset: hold the gain near 1 then.
            gain = (float((weight * (x - mx) * (y - my)).sum()) / total + 25.0) / (spread + 25.0)
            offset = my - gain * mx
            scale = max(3.0, 0.7 * scale)
        cost = float(np.minimum(np.abs(y - gain * x - offset), 20.0).mean())
        if cost < best_cost:
            best, best_cost = (gain, offset), cost
    return float(np.clip(best[0], 0.05, 20.0)), best[1]


def _array(value: Any) -> Picture:
    """OpenCV's stubs promise less than it gives."""
    out: Picture = value
    return out
