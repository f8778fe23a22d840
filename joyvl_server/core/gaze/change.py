"""How much a picture changed, on a coarse grid of the small grey picture.

What a still scene does by itself is taken out in this order. Means over cells take out sensor noise and most of
compression. A common gain and offset within narrow bounds, fitted over the cells that agree, takes out slow light.
Noise that is everywhere is measured from the cells themselves. Edges may tremble by a part of a pixel. And what a cell
does all the time (leaves, rain, a screen, a badly compressed edge) is learnt as its unrest. A change is what goes
beyond all that in the liveliest few cells, so that a hand in a corner or somebody far away is one.

The constants were chosen on drawn scenes (random rooms with people, hands, things, leaves, rain, light, shake and
H.264), never on recorded footage. See `joyvl bench fidelity` and docs/development/measurements.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from joyvl_server.core.frame import Grey

Cells = npt.NDArray[np.float32]

GRID = 32
"""cells along the longer side, at most: 6 x 6 pixels of a grey picture 192 wide. Noise of 5 grey levels comes to less
than 1, and a cell is no larger than a head across the room. With 48, leaves and compression took nearly twice as many
full looks"""
SCALE = 48.0
"""a change of this many grey levels beyond what is tolerated, in the cells that changed most, counts as 1"""
NOISE_FLOOR, NOISE_CEILING = 1.0, 4.0
"""grey levels by which a cell of a still picture may differ; what differs more everywhere is a change of its own"""
NOISE_MARGIN = 4.0
"""times that noise: the largest of 600 cells"""
LIVELIEST = 0.005
"""share of the cells that is looked at, 3 of 576: a change may be this small. At twice that some far people were
missed"""
GAIN_BOUND, OFFSET_BOUND = 1.15, 16.0
"""light that went further than this since the last full look is a change"""
AGREEING = 2.5
"""times the median difference: cells that differ more do not take part in the fit of light"""
TREMBLE = 0.1
"""part of a cell by which edges may move: half a pixel"""
UNREST_MARGIN = 3.0
"""times a cell's unrest that it may differ"""
UNREST_RISE, UNREST_FALL = 0.3, 0.05
"""share by which unrest follows a frame up, and down: learnt in seconds, forgotten in half a minute"""
UNREST_STEP = 2.0
"""unrest follows no further than this many times itself and a grey level, so that one passer-by teaches it little"""
UNREST_CEILING = 40.0
"""grey levels tolerated for unrest at most. At 24 twice as many full looks went to leaves, and no person was found
more; a person before moving leaves is still a change"""

NO_CELLS: Cells = np.zeros((0, 0), np.float32)
NEIGHBOURS = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))
"""pairs of views: each cell with the one below it, and with the one to its right"""


class NoiseTracker:
    """What each cell does all the time, learnt from the differences between one frame and the next."""

    def __init__(self) -> None:
        self._levels = NO_CELLS

    def learn(self, moved: Cells) -> None:
        """How far two frames in a row are `apart`; another shape than before starts from nothing."""
        if self._levels.shape != moved.shape:
            self._levels = np.zeros_like(moved)
        if moved.size:
            step = np.minimum(moved, UNREST_STEP * (self._levels + 1.0)) - self._levels
            self._levels += np.where(step > 0, np.float32(UNREST_RISE), np.float32(UNREST_FALL)) * step

    def tolerance(self, cells: Cells) -> Cells:
        """Grey levels that each of `cells` may differ; what moves in one cell may move in its neighbours."""
        if self._levels.shape != cells.shape:
            return np.zeros_like(cells)
        tolerated: Cells = np.minimum(UNREST_MARGIN * _widest(self._levels), np.float32(UNREST_CEILING))
        return tolerated


@dataclass(frozen=True, slots=True)
class Measured:
    """A picture compared with those before it, 0 to 1: `change` with the last full look, `stir` with the frame before.

    `as_before`: it has changed much, and is as the scene was at rest. All is `new` after a change of size.
    """

    cells: Cells
    change: float
    stir: float
    as_before: bool = False
    new: bool = False


class ChangeMeter:
    """The pictures of one source that the next one is compared with."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None
        """of the grey pictures; None until one was kept"""
        self._unrest = NoiseTracker()
        self._full = self._rest = self._last = NO_CELLS

    def measure(self, grey: Grey, large: float) -> Measured:
        """How much `grey` has changed; a change of `large` is never taken for what a room does by itself.

        Every frame is to be measured once, in order of time.
        """
        cells = coarse(grey)
        if grey.shape != self.shape:
            return Measured(cells, 1.0, 1.0, new=True)
        tolerance = self._unrest.tolerance(cells)
        change = difference(cells, self._full, tolerance)
        moved = apart(cells, self._last)
        stir = difference(cells, self._last, tolerance, away=moved)
        as_before = change >= large and difference(cells, self._rest, tolerance) < large
        self._unrest.learn(moved)
        self._last = cells
        return Measured(cells, change, stir, as_before)

    def keep(self, shape: tuple[int, ...], cells: Cells, *, at_rest: bool) -> None:
        """The picture with these cells was looked at in full: what comes is compared with it."""
        new = shape != self.shape
        if new:
            self.shape, self._last = shape, cells
        if new or at_rest:
            self._rest = cells
        self._full = cells


def coarse(grey: Grey) -> Cells:
    """Means over a grid of at most `GRID` cells along the longer side; an empty picture gives no cells."""
    height, width = grey.shape
    if grey.size == 0:
        return NO_CELLS
    cell = max(1, -(-max(height, width) // GRID))
    rows, columns = np.arange(0, height, cell), np.arange(0, width, cell)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0, dtype=np.float32), columns, axis=1)
    counts = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)[None, :]
    cells: Cells = (sums / counts).astype(np.float32)
    return cells


def apart(now: Cells, then: Cells) -> Cells:
    """Grey levels by which each cell of `now` differs from `then` in the light of now; both of the same shape."""
    return np.abs(now - relit(then, now)) if now.size else now


def difference(now: Cells, then: Cells, tolerance: Cells | None = None, *, away: Cells | None = None) -> float:
    """How much a picture changed, 0 to 1; all of the same shape. `tolerance`: grey levels that are no change.

    `away`: how far the two are `apart`, where that is known already.
    """
    if now.size == 0:
        return 0.0
    away = apart(now, then) if away is None else away
    noise = min(max(NOISE_FLOOR, 1.4826 * _median(away.ravel())), NOISE_CEILING)
    tolerated = NOISE_MARGIN * noise + TREMBLE * _steepness(then)
    beyond = (away - (tolerated if tolerance is None else np.maximum(tolerated, tolerance))).ravel()
    count = min(beyond.size, max(2, round(beyond.size * LIVELIEST)))
    liveliest = np.partition(beyond, -count)[-count:]
    # Rounded, and added up in float64, so that a replay on another processor comes to the same.
    return round(min(1.0, max(0.0, float(liveliest.mean(dtype=np.float64)) / SCALE)), 4)


def relit(then: Cells, now: Cells) -> Cells:
    """`then` in the light of `now`: gain and offset fitted twice, the second time without what changed."""
    x, y = then.ravel(), now.ravel()
    gain, _ = _light(x, y)
    away = y - x * np.float32(gain)
    away = np.abs(away - np.float32(_median(away)))
    agreeing = away <= AGREEING * max(1.0, _median(away))
    gain, offset = _light(x[agreeing], y[agreeing])
    lit: Cells = then * np.float32(gain) + np.float32(offset)
    return lit


def _median(values: Cells) -> float:
    """What `np.median` gives for a flat array, at a fifth of its cost: it runs some ten times a second and session."""
    middle = values.size // 2
    if values.size % 2:
        return float(np.partition(values, middle)[middle])
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return float((low + high) * np.float32(0.5))


def _light(x: Cells, y: Cells) -> tuple[float, float]:
    """Gain and offset, bounded, that bring x nearest to y."""
    mean_x, mean_y = float(x.mean(dtype=np.float64)), float(y.mean(dtype=np.float64))
    centred = x.astype(np.float64) - mean_x
    spread = float(centred @ centred)
    gain = float(centred @ (y - mean_y)) / spread if spread > x.size else 1.0  # a flat picture tells no gain
    gain = min(max(gain, 1 / GAIN_BOUND), GAIN_BOUND)
    return gain, min(max(mean_y - mean_x * gain, -OFFSET_BOUND), OFFSET_BOUND)


def _steepness(cells: Cells) -> Cells:
    """Per cell the largest step to a neighbour: what a trembling edge can do there."""
    steep = np.zeros_like(cells)
    for low, high in NEIGHBOURS:
        step = np.abs(cells[high] - cells[low])
        np.maximum(steep[low], step, out=steep[low])
        np.maximum(steep[high], step, out=steep[high])
    return steep


def _widest(cells: Cells) -> Cells:
    """Per cell the largest of itself and its eight neighbours."""
    wide = cells
    for low, high in NEIGHBOURS:
        narrow, wide = wide, wide.copy()
        np.maximum(wide[low], narrow[high], out=wide[low])
        np.maximum(wide[high], narrow[low], out=wide[high])
    return wide
