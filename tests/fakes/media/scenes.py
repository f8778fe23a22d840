"""Drawn scenes with known happenings: textured rooms, figures, hands, things, light, noise, camera and compression.

Everything comes from one seed. `Scene.render()` gives the pictures as an engine would get them (grey, longest side
192) and `Scene.truth` what happened when. Lengths are parts of the picture's width or height, times are seconds.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np

Picture = np.ndarray
GREY_SIDE = 192
SEEN = 0.004
"""A figure counts as seen from this part of the picture on: the moment of its arrival and departure."""


def shrink(picture: Picture, side: int = GREY_SIDE) -> Picture:
    """What ingest does: longest side to `side` pixels, by area."""
    h, w = picture.shape
    k = side / max(h, w)
    return cv2.resize(picture, (round(w * k), round(h * k)), interpolation=cv2.INTER_AREA)


def cloth(rng: np.random.Generator, h: int, w: int, grain: float, sigma: float) -> Picture:
    """Smooth random texture with standard deviation `sigma` and grain size `grain` pixels."""
    small = rng.normal(0, 1, (max(2, int(h / grain)), max(2, int(w / grain)))).astype(np.float32)
    big = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
    return big / max(float(big.std()), 1e-3) * sigma


def room(rng: np.random.Generator, h: int, w: int, texture: float = 1.0) -> Picture:
    """Wall, floor with boards or tiles, a door, pictures, furniture. Values 0 to 255, float32."""
    wall, floor = rng.uniform(90, 215), rng.uniform(50, 170)
    horizon = int(h * rng.uniform(0.35, 0.65))
    out = np.full((h, w), wall, np.float32)
    out[:horizon] += np.linspace(rng.uniform(-25, 25), 0, horizon, dtype=np.float32)[:, None]
    out[horizon:] = floor + np.linspace(0, rng.uniform(-20, 30), h - horizon, dtype=np.float32)[:, None]
    out += np.linspace(rng.uniform(-20, 20), rng.uniform(-20, 20), w, dtype=np.float32)[None, :]
    for x in np.linspace(-w, 2 * w, int(rng.uniform(8, 40))):
        cv2.line(
            out,
            (int(w / 2 + (x - w / 2) * 0.5), horizon),
            (int(x), h),
            float(floor - rng.uniform(3, 30) * texture),
            1,
            cv2.LINE_AA,
        )
    out[horizon : horizon + 2] -= rng.uniform(10, 50)
    for _ in range(int(rng.uniform(2, 9))):
        ww, hh = int(w * rng.uniform(0.04, 0.22)), int(h * rng.uniform(0.08, 0.5))
        x, y = int(rng.uniform(0, w - ww)), int(np.clip(horizon - hh * rng.uniform(0.3, 1.2), 0, h - hh))
        value = float(rng.uniform(25, 235))
        cv2.rectangle(out, (x, y), (x + ww, y + hh), value, -1)
        if rng.random() < 0.6:
            cv2.rectangle(out, (x, y), (x + ww, y + hh), float(np.clip(value + rng.choice([-50, 50]), 5, 250)), 2)
        out[y : y + hh, x : x + ww] += cloth(rng, hh, ww, rng.uniform(3, 14), rng.uniform(0, 12) * texture)
    out += cloth(rng, h, w, rng.uniform(20, 60), 5 * texture) + cloth(rng, h, w, 3, rng.uniform(0.5, 4) * texture)
    return np.clip(out, 4, 250)


@dataclass
class Figure:
    """A person: follows `path` [(t, foot x, foot y)] at height `size` (part of the picture's height).

    `contrast` is the brightness of top, trousers and head against 128; `sway` how much it moves while it stands,
    as part of its height.
    """

    path: list[tuple[float, float, float]]
    size: float
    shades: tuple[float, float, float]
    seed: int = 0
    sway: float = 0.008
    shadow: float = 0.25
    cast: float = 0.0
    """depth of the soft shadow it casts on the wall beside it"""

    smear: float = 3.0
    """motion blur while it walks, in pixels"""

    def place(self, t: float) -> tuple[float, float, bool] | None:
        if t < self.path[0][0] or t > self.path[-1][0]:
            return None
        for (t0, x0, y0), (t1, x1, y1) in zip(self.path, self.path[1:], strict=False):
            if t <= t1:
                k = (t - t0) / max(t1 - t0, 1e-6)
                return x0 + (x1 - x0) * k, y0 + (y1 - y0) * k, abs(x1 - x0) + abs(y1 - y0) > 0.02
        return None

    def draw(self, out: Picture, t: float) -> Picture | None:
        """Draws into `out`; returns the mask of what is seen of it, None where it is not there."""
        at = self.place(t)
        if at is None:
            return None
        h, w = out.shape
        x, y, walking = at
        tall = self.size * h
        rng = np.random.default_rng((self.seed, int(t * 2)))
        if not walking:
            x += float(rng.normal(0, self.sway)) * tall / w
        px, py = x * w, y * h
        stride = np.sin(t * 2 * np.pi * 0.9) * 0.13 * tall if walking else 0.0
        reach = 0.1 * tall * (np.sin(t * 5.1) if walking else (rng.random() < 0.3) * rng.uniform(-1, 1))
        if self.shadow:
            dark = np.zeros((h, w), np.float32)
            cv2.ellipse(
                dark, (int(px + 0.1 * tall), int(py)), (int(0.28 * tall), max(2, int(0.06 * tall))), 0, 0, 360, 1.0, -1
            )
            out *= 1 - self.shadow * cv2.GaussianBlur(dark, (0, 0), max(1.0, 0.05 * tall))
        if self.cast:
            dark = np.zeros((h, w), np.float32)
            cv2.line(
                dark,
                (int(px + 0.35 * tall), int(py)),
                (int(px + 0.5 * tall), int(py - 0.8 * tall)),
                1.0,
                max(2, int(0.25 * tall)),
            )
            out *= 1 - self.cast * cv2.GaussianBlur(dark, (0, 0), max(2.0, 0.09 * tall))
        top, legs, head = self.shades
        value, mask = np.zeros((h, w), np.float32), np.zeros((h, w), np.uint8)

        def limb(points: list[tuple[float, float]], thick: float, shade: float) -> None:
            p = [(int(16 * (px + dx * tall)), int(16 * (py - dy * tall))) for dx, dy in points]
            for canvas, v in ((value, shade), (mask, 255)):
                cv2.polylines(canvas, [np.array(p, np.int32)], False, v, max(1, int(thick * tall)), cv2.LINE_AA, 4)

        s = stride / tall
        limb([(0, 0.5), (-0.02 + s * 0.6, 0.25), (-0.04 + s, 0.0)], 0.09, legs)
        limb([(0, 0.5), (0.02 - s * 0.6, 0.25), (0.04 - s, 0.0)], 0.09, legs * 0.93)
        limb([(0, 0.54), (0, 0.78)], 0.22, top)
        a = reach / tall
        limb([(-0.11, 0.8), (-0.14 - a, 0.62), (-0.13 - 1.6 * a, 0.46)], 0.06, top * 0.9)
        limb([(0.11, 0.8), (0.14 + a, 0.62), (0.13 + 1.6 * a, 0.46)], 0.06, top * 0.95)
        for canvas, v in ((value, head), (mask, 255)):
            cv2.ellipse(
                canvas,
                (int(px), int(py - 0.92 * tall)),
                (max(1, int(0.06 * tall)), max(1, int(0.08 * tall))),
                0,
                0,
                360,
                v,
                -1,
                cv2.LINE_AA,
            )
        folds = cloth(np.random.default_rng(self.seed), h, w, max(2.0, 0.06 * tall), 6.0)
        soft = mask.astype(np.float32) / 255
        painted = soft * np.clip(value / np.maximum(soft, 0.05) * (soft > 0.02) + folds, 2, 252)
        if walking and self.smear > 1:  # the exposure takes its time
            soft, painted = (cv2.blur(p, (int(self.smear), 1)) for p in (soft, painted))
        out *= 1 - soft
        out += painted
        return mask > 127


@dataclass
class Thing:
    """Something that stands in the room from `since` until `until`, and may be carried by a hand."""

    x: float
    y: float
    w: float
    h: float
    shade: float
    since: float = -1.0
    until: float = 1e9
    seed: int = 0
    clear: float = 0.0
    """0: solid; towards 1: like glass, the room is seen through it, only cap and outline stand out."""

    def draw(self, out: Picture, t: float, dx: float = 0.0, dy: float = 0.0, force: bool = False) -> None:
        if not (force or self.since <= t < self.until):
            return
        h, w = out.shape
        x0, y0 = int((self.x + dx) * w), int((self.y + dy) * h)
        ww, hh = max(3, int(self.w * w)), max(3, int(self.h * h))
        x1, y1 = min(x0 + ww, w), min(y0 + hh, h)
        if x1 <= max(x0, 0) or y1 <= max(y0, 0):
            return
        patch = self.shade + cloth(np.random.default_rng(self.seed), hh, ww, 5, 8)
        patch[: max(1, hh // 6)] *= 0.7
        solid = np.full((hh, ww), 1 - self.clear, np.float32)
        cv2.rectangle(solid, (0, 0), (ww - 1, hh - 1), 0.9, 2)
        solid[: max(1, hh // 6)] = 1.0
        here = np.s_[max(0, -y0) : y1 - y0, max(0, -x0) : x1 - x0]
        there = np.s_[max(y0, 0) : y1, max(x0, 0) : x1]
        out[there] = np.clip(out[there] + solid[here] * (patch[here] - out[there]), 2, 252)


@dataclass
class Hand:
    """An arm that comes from above at `at`, rests on (x, y), goes again; it takes or puts `thing` on the way."""

    at: float
    x: float
    y: float
    thing: Thing | None = None
    takes: bool = True
    shade: float = 70.0
    slope: float = 0.3
    rest: float = 1.2
    shadow: float = 0.15

    def reach(self, t: float) -> float:
        """0: out of the picture, 1: fully there. In and out take 0.6 s each."""
        return float(np.clip(min((t - self.at) / 0.6, (self.at + 1.2 + self.rest - t) / 0.6), 0, 1))

    def draw(self, out: Picture, t: float) -> None:
        r = self.reach(t)
        if r <= 0:
            return
        h, w = out.shape
        far = (1 - r) * (self.y + 0.15)
        tip = (int(self.x * w), int((self.y - far) * h))
        root = (int((self.x + self.slope) * w), int((self.y - far - 0.9) * h))
        shade = np.zeros((h, w), np.float32)
        cv2.line(
            shade,
            (tip[0] - int(0.06 * w), tip[1] + int(0.03 * h)),
            (root[0] - int(0.06 * w), root[1]),
            1.0,
            int(0.09 * w),
        )
        out *= 1 - self.shadow * cv2.GaussianBlur(shade, (0, 0), 0.035 * w)
        leaving = t > self.at + 0.6 + self.rest / 2
        if self.thing is not None and (leaving if self.takes else not leaving):
            self.thing.draw(out, t, dy=-far, force=True)
        cv2.line(out, tip, root, self.shade, int(0.06 * w), cv2.LINE_AA)
        cv2.circle(out, tip, int(0.035 * w), self.shade * 1.5, -1, cv2.LINE_AA)


@dataclass
class Leaves:
    """A part of the picture where foliage moves: blobs displaced at random, every picture anew."""

    box: tuple[float, float, float, float]
    amount: float = 2.5
    seed: int = 0

    def draw(self, out: Picture, t: float) -> None:
        h, w = out.shape
        x0, y0, x1, y1 = (int(v * s) for v, s in zip(self.box, (w, h, w, h), strict=True))
        hh, ww = y1 - y0, x1 - x0
        base = 90 + cloth(np.random.default_rng(self.seed), hh, ww, 6, 32)
        rng = np.random.default_rng((self.seed, int(t * 1000)))
        gx, gy = np.meshgrid(np.arange(ww, dtype=np.float32), np.arange(hh, dtype=np.float32))
        moved = cv2.remap(
            base,
            gx + cloth(rng, hh, ww, 14, self.amount),
            gy + cloth(rng, hh, ww, 14, self.amount),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        out[y0:y1, x0:x1] = np.clip(moved, 3, 250)


Light = Callable[[float], float]
Effect = Callable[[Picture, float], Picture]


@dataclass
class Scene:
    """`effects` change the finished picture (cover, darkness, pan); `light` is a factor at time t."""

    seconds: float
    background: Picture
    figures: list[Figure] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    hands: list[Hand] = field(default_factory=list)
    leaves: list[Leaves] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    light: Light = lambda t: 1.0
    noise: float = 2.0
    shake: float = 0.0
    seed: int = 0
    bit_rate: int = 0
    """0: no compression; else H.264 at so many bits a second."""
    fps: float = 6.0
    seen: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """Filled by `render`: for each figure (t, seen part of the picture)."""

    def paint(self, t: float) -> Picture:
        out = self.background.copy()
        for thing in self.things:
            thing.draw(out, t)
        for leaves in self.leaves:
            leaves.draw(out, t)
        for i, figure in enumerate(self.figures):
            mask = figure.draw(out, t)
            self.seen.setdefault(i, []).append((t, 0.0 if mask is None else float(mask.mean())))
        for hand in self.hands:
            hand.draw(out, t)
        rng = np.random.default_rng((self.seed, int(t * 1000)))
        if self.shake:
            shift = np.float32([[1, 0, rng.normal(0, self.shake)], [0, 1, rng.normal(0, self.shake)]])
            out = cv2.warpAffine(out, shift, out.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        out *= self.light(t)
        for effect in self.effects:
            out = effect(out, t)
        if self.noise:
            out = out + rng.normal(0, self.noise, out.shape).astype(np.float32)
        return np.clip(out, 0, 255).astype(np.uint8)

    def render(self, tick: float = 1.0, phase: float = 0.0) -> list[tuple[float, Picture]]:
        """(t, grey picture) every `tick` seconds. Painted only at those times, unless it is compressed."""
        self.seen.clear()
        ticks = np.arange(phase, self.seconds, tick)
        if not self.bit_rate:
            return [(float(t), shrink(self.paint(float(t)))) for t in ticks]
        pictures = through_codec(
            (self.paint(i / self.fps) for i in range(int(self.seconds * self.fps))), self.fps, self.bit_rate
        )
        picked = [min(int(np.ceil(t * self.fps - 1e-6)), len(pictures) - 1) for t in ticks]
        return [(i / self.fps, shrink(pictures[i])) for i in dict.fromkeys(picked)]

    def spans(self) -> list[tuple[float, float]]:
        """For each figure (arrival, departure), after `render`; -1 and inf where it is there at the start or end."""
        out = []
        for i in range(len(self.figures)):
            marks = self.seen[i]
            times = [t for t, part in marks if part >= SEEN]
            if times:
                first = -1.0 if times[0] == marks[0][0] else times[0]
                out.append((first, np.inf if times[-1] == marks[-1][0] else times[-1]))
        return out


def through_codec(pictures: object, fps: float, bit_rate: int) -> list[Picture]:
    """The same pictures after H.264 (or MPEG-4 where the build has no x264) at `bit_rate`."""
    name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = out.add_stream(name, rate=Fraction(fps).limit_denominator(100))
                stream.height, stream.width = picture.shape
                stream.pix_fmt, stream.bit_rate = "yuv420p", bit_rate
                stream.options = {"preset": "veryfast", "g": "24", "threads": "1"} if name == "libx264" else {}
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as back:
        return [f.to_ndarray(format="gray") for f in back.decode(video=0)]
