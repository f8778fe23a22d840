"""What each frame may cost: a full look, a glance, or nothing.

The change of a picture is measured against the last one that was looked at in full, on a coarse grid of the small grey
picture. Averaging over cells takes out sensor noise and compression; a common gain and offset within narrow bounds
takes out slow light; what is left of noise is measured from the cells themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.frame import Frame, Grey
from joyvl_server.core.turns import Look

Cells = npt.NDArray[np.float32]

GRID = 32
"""cells along the longer side, at most"""
SCALE = 48.0
"""a change of this many grey levels beyond the noise, in the cells that changed most, counts as 1"""
NOISE_FLOOR, NOISE_CEILING = 1.0, 4.0
"""grey levels by which a cell of a still picture may differ; what differs more everywhere is a change of its own"""
NOISE_MARGIN = 4.0
LIVELIEST = 0.005
"""share of the cells that is looked at: a change may be this small"""
GAIN_BOUND, OFFSET_BOUND = 1.15, 16.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What the gaze made of one frame: its cost and its change (0 to 1; 1 for the first and after a change of size)."""

    look: Look
    change: float
    cells: Cells


class Gaze:
    """Judges frames; the caller tells by `saw` which ones the model really got."""

    def __init__(self, config: ObserverConfig) -> None:
        self._config = config
        self._thrifty = config.fidelity == "adaptive" and not config.needs_every_frame
        self._cells: Cells | None = None
        self._shape: tuple[int, ...] = ()
        self._full_t = 0.0
        self._seen_t = 0.0

    def judge(self, frame: Frame, *, wanted: bool) -> Glimpse:
        """The cost of `frame`; `wanted` when somebody asked something: then it is looked at in full."""
        cells = coarse(frame.grey)
        if self._cells is None or frame.grey.shape != self._shape:
            return Glimpse(Look.FULL, 1.0, cells)
        change = difference(cells, self._cells)
        return Glimpse(self._look(frame, change, wanted), change, cells)

    def saw(self, frame: Frame, glimpse: Glimpse) -> None:
        """The model got this frame, with the look that `judge` gave it."""
        self._seen_t = frame.t
        if glimpse.look is Look.FULL:
            self._cells = glimpse.cells
            self._shape = frame.grey.shape
            self._full_t = frame.t

    def _look(self, frame: Frame, change: float, wanted: bool) -> Look:
        config = self._config
        since_full, since_seen = frame.t - self._full_t, frame.t - self._seen_t
        if not self._thrifty or wanted or change >= config.full_look_change:
            return Look.FULL
        if not 0 <= since_full < config.max_glance_s:  # a time that jumped back says nothing about the picture
            return Look.FULL
        if since_seen < config.max_blind_s:
            return Look.SKIP
        return Look.FULL if frame.glance is None else Look.GLANCE


def coarse(grey: Grey) -> Cells:
    """Means over a grid of at most `GRID` cells along the longer side; an empty picture gives no cells."""
    height, width = grey.shape
    if grey.size == 0:
        return np.zeros((0, 0), np.float32)
    cell = max(1, -(-max(height, width) // GRID))
    rows, columns = np.arange(0, height, cell), np.arange(0, width, cell)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0, dtype=np.float32), columns, axis=1)
    counts = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)[None, :]
    cells: Cells = (sums / counts).astype(np.float32)
    return cells


def difference(now: Cells, then: Cells) -> float:
    """How much a picture changed, 0 to 1; both of the same shape. Robust against noise and slow light."""
    if now.size == 0:
        return 0.0
    middle_now, middle_then = float(np.median(now)), float(np.median(then))
    spread_now, spread_then = _spread(now - middle_now), _spread(then - middle_then)
    gain = min(max((spread_now + 1.0) / (spread_then + 1.0), 1 / GAIN_BOUND), GAIN_BOUND)
    offset = min(max(middle_now - middle_then * gain, -OFFSET_BOUND), OFFSET_BOUND)
    away = np.abs(now - (then * gain + offset))
    noise = min(max(NOISE_FLOOR, 1.4826 * float(np.median(away))), NOISE_CEILING)
    count = max(2, round(away.size * LIVELIEST))
    liveliest = np.sort(away, axis=None)[-count:]
    beyond = float(liveliest.mean()) - NOISE_MARGIN * noise
    return min(1.0, max(0.0, beyond / SCALE))


def _spread(centred: Cells) -> float:
    """Median distance from the middle: what a change in a small part of the picture does not move."""
    return float(np.median(np.abs(centred)))
