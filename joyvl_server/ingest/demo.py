"""Draws the demo clip: a room in which figures come, stay and go. Drawn here, so that nothing has to be shipped."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 640, 360
FPS = 12
LENGTH_S = 44.0
# Everything is drawn at twice the size and halved: the edges come out smooth.
SCALE = 2
FLOOR = 0.66
"""where the wall meets the floor, share of the height"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A figure walks from x `start` to `stay` (shares of the width), stands there, walks to `end`. Times in seconds."""

    comes: float
    stands: float
    turns: float
    gone: float
    start: float
    stay: float
    end: float
    height: float
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour

    def x(self, t: float) -> float | None:
        """Where it is at `t`; None while it is away."""
        if not self.comes <= t <= self.gone:
            return None
        if t < self.stands:
            return _ease(self.start, self.stay, (t - self.comes) / (self.stands - self.comes))
        if t < self.turns:
            return self.stay + 0.004 * math.sin(1.3 * t)  # nobody stands quite still
        return _ease(self.stay, self.end, (t - self.turns) / (self.gone - self.turns))

    def walks(self, t: float) -> bool:
        return t < self.stands or t > self.turns


VISITS = (
    Visit(3.0, 6.5, 16.0, 19.5, 1.10, 0.47, 1.10, 0.52, (52, 122, 128), (58, 62, 84), (226, 186, 160), (74, 52, 42)),
    Visit(23.5, 27.0, 34.0, 38.0, -0.10, 0.66, 1.10, 0.46, (208, 106, 62), (70, 74, 70), (176, 128, 98), (40, 34, 32)),
)
# When a figure is first seen in part, and when the last of it is gone.
ARRIVALS = (3.2, 23.7)
DEPARTURES = (19.2, 37.6)


def draw_demo(path: Path) -> Path:
    """Write the clip to `path` unless it is there; takes seconds of one core. The file appears whole or not at all."""
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".demo-", suffix=".mp4")
    os.close(handle)
    try:
        _encode(Path(draft), frames())
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


def frames() -> Iterator[Canvas]:
    """The clip's pictures, uint8 RGB, shape (HEIGHT, WIDTH, 3)."""
    room = _room()
    for number in range(int(LENGTH_S * FPS)):
        t = number / FPS
        picture = room.copy()
        for visit in VISITS:
            x = visit.x(t)
            if x is not None:
                _figure(picture, visit, x, t)
        _table(picture)
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        yield cast(Canvas, small)


def _encode(path: Path, pictures: Iterator[Canvas]) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "21", "preset": "veryfast", "g": str(FPS)})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


# ------------------------------------------------------------------------------------------------------------ the room


def _room() -> Canvas:
    """Wall, floor, window, door and picture: what never moves."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    horizon = int(FLOOR * height)
    room = np.zeros((height, width, 3), np.uint8)
    room[:horizon] = _gradient((232, 226, 214), (214, 205, 190), horizon)
    room[horizon:] = _gradient((158, 118, 86), (190, 148, 110), height - horizon)
    centre = width // 2
    for k in range(-14, 15):  # boards of the floor run towards the eye
        cv2.line(room, (centre + k * 56, horizon), (centre + k * 150, height), (140, 104, 76), 2, cv2.LINE_AA)
    _box(room, 0.0, FLOOR - 0.025, 1.0, FLOOR, (246, 242, 234))
    _window(room)
    _box(room, 0.845, 0.20, 0.965, FLOOR - 0.025, (246, 242, 234))
    _box(room, 0.855, 0.215, 0.955, FLOOR - 0.025, (126, 96, 78))
    _box(room, 0.870, 0.245, 0.940, 0.40, (138, 107, 88))
    _box(room, 0.870, 0.43, 0.940, 0.60, (138, 107, 88))
    cv2.circle(room, _at(0.866, 0.44), 8, (226, 196, 120), -1, cv2.LINE_AA)
    _box(room, 0.545, 0.17, 0.655, 0.36, (88, 70, 58))
    _box(room, 0.553, 0.185, 0.647, 0.345, (238, 230, 212))
    cv2.circle(room, _at(0.60, 0.29), 34, (222, 150, 96), -1, cv2.LINE_AA)
    _box(room, 0.553, 0.29, 0.647, 0.345, (112, 146, 138))
    _plant(room)
    return room


def _window(room: Canvas) -> None:
    _box(room, 0.10, 0.13, 0.34, 0.47, (248, 246, 240))
    top, bottom, left, right = 0.15, 0.45, 0.112, 0.328
    rows = int((bottom - top) * HEIGHT * SCALE)
    (x0, y0), (x1, _) = _at(left, top), _at(right, bottom)
    room[y0 : y0 + rows, x0:x1] = _gradient((158, 198, 226), (222, 236, 240), rows)
    for x, y, radius in ((0.17, 0.24, 22), (0.19, 0.25, 28), (0.212, 0.245, 20)):
        cv2.circle(room, _at(x, y), radius, (244, 248, 250), -1, cv2.LINE_AA)
    hill = [_at(left, 0.42), _at(0.18, 0.38), _at(0.25, 0.41), _at(right, 0.37), _at(right, bottom), _at(left, bottom)]
    cv2.fillPoly(room, [np.array(hill, np.int32)], (150, 178, 138), cv2.LINE_AA)
    _box(room, 0.217, top, 0.223, bottom, (248, 246, 240))
    _box(room, 0.085, 0.465, 0.355, 0.485, (236, 230, 220))


def _plant(room: Canvas) -> None:
    for angle, length in ((-52, 0.16), (-28, 0.20), (-4, 0.22), (22, 0.19), (48, 0.15)):
        tip_x = 0.045 + length * 0.45 * math.sin(math.radians(angle))
        tip_y = 0.60 - length * math.cos(math.radians(angle))
        x, y = _at((0.045 + tip_x) / 2, (0.60 + tip_y) / 2)
        cv2.ellipse(room, (x, y), (16, int(length * 300)), angle, 0, 360, (86, 128, 92), -1, cv2.LINE_AA)
    pot = [_at(0.018, 0.60), _at(0.072, 0.60), _at(0.062, 0.73), _at(0.028, 0.73)]
    cv2.fillPoly(room, [np.array(pot, np.int32)], (196, 116, 84), cv2.LINE_AA)


def _table(picture: Canvas) -> None:
    """Stands in front of whoever comes to it."""
    _box(picture, 0.275, 0.70, 0.287, 0.93, (104, 76, 58))
    _box(picture, 0.413, 0.70, 0.425, 0.93, (104, 76, 58))
    _box(picture, 0.250, 0.685, 0.450, 0.715, (134, 98, 74))
    _box(picture, 0.331, 0.585, 0.337, 0.685, (92, 92, 96))
    cv2.ellipse(picture, _at(0.334, 0.683), (34, 8), 0, 0, 360, (92, 92, 96), -1, cv2.LINE_AA)
    shade = [_at(0.310, 0.600), _at(0.358, 0.600), _at(0.346, 0.515), _at(0.322, 0.515)]
    cv2.fillPoly(picture, [np.array(shade, np.int32)], (240, 206, 132), cv2.LINE_AA)
    _box(picture, 0.375, 0.660, 0.425, 0.685, (96, 124, 150))


# --------------------------------------------------------------------------------------------------------- the figures


def _figure(picture: Canvas, visit: Visit, x: float, t: float) -> None:
    """A person seen from the side of the room: shadow, legs that walk, coat, arms, head."""
    foot, size = 0.90, visit.height
    swing = math.sin(t * 7.5) if visit.walks(t) else 0.0
    hip, neck = foot - 0.46 * size, foot - 0.84 * size
    dim = picture.copy()
    cv2.ellipse(
        dim, _at(x, foot + 0.005), (int(0.16 * size * HEIGHT * SCALE), 14), 0, 0, 360, (96, 72, 54), -1, cv2.LINE_AA
    )
    cv2.addWeighted(dim, 0.45, picture, 0.55, 0.0, dst=picture)
    for side in (-1, 1):
        step = 0.030 * side * (swing if visit.walks(t) else 0.45)
        _limb(picture, (x + 0.008 * side, hip), (x + step, foot), 0.042 * size, visit.trousers)
    for side in (-1, 1):
        reach = 0.030 * side * (-swing if visit.walks(t) else 0.9)
        dark = cast(Colour, tuple(int(c * 0.86) for c in visit.coat))
        _limb(picture, (x + 0.022 * side, neck + 0.03), (x + 0.022 * side + reach, hip + 0.01), 0.030 * size, dark)
    _limb(picture, (x, neck + 0.045), (x, hip), 0.105 * size, visit.coat)
    head = _at(x, neck - 0.055 * size)
    radius = int(0.075 * size * HEIGHT * SCALE)
    cv2.circle(picture, head, radius, visit.skin, -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, (head[0], head[1] - radius // 4), (radius + 2, radius), 0, 180, 360, visit.hair, -1, cv2.LINE_AA
    )


def _limb(picture: Canvas, start: tuple[float, float], end: tuple[float, float], thick: float, colour: Colour) -> None:
    width = max(2, int(2 * thick * HEIGHT * SCALE))
    cv2.line(picture, _at(*start), _at(*end), colour, width, cv2.LINE_AA)


def _box(picture: Canvas, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    cv2.rectangle(picture, _at(x0, y0), _at(x1, y1), colour, -1, cv2.LINE_AA)


def _gradient(top: Colour, bottom: Colour, rows: int) -> Canvas:
    """Shape (rows, 1, 3), to be spread over any width."""
    ramp = np.linspace(np.array(top), np.array(bottom), rows)
    return ramp.astype(np.uint8)[:, None, :]


def _at(x: float, y: float) -> tuple[int, int]:
    """Shares of the picture as pixels of the canvas."""
    return int(x * WIDTH * SCALE), int(y * HEIGHT * SCALE)


def _ease(a: float, b: float, share: float) -> float:
    """People start and stop softly, and walk evenly between."""
    soft = share + math.sin(2 * math.pi * share) / (-12)
    return a + (b - a) * soft
