"""What the camera itself does: it moves, trembles, is covered, freezes; the light goes off."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from joyvl_server.core.frame import Grey
from joyvl_server.engines.motion.picture import Mask, Picture, detail

BLOCK = 12
"""The view is judged in square blocks of this side, in pixels."""
ALIKE = 0.5
"""Two blocks show the same when their details correlate at least this much."""
FEW = 8
"""With fewer blocks that have any texture nothing can be said about the view."""
TREMBLE = 4.0
"""A shift up to this many pixels against the settled scene is a camera that trembles (wind, a passing lorry); it is
taken out of the picture. A larger one is a camera that moves."""
BETTER = 0.97
"""A tremble is taken out when the differences in detail fall below this part by it."""
REST = 1.5
"""A camera stands when it keeps its place within this many pixels …"""
REST_PICTURES = 3
"""… for this many pictures."""
AGAIN_S = 10.0
"""A camera that stood for less than this is still on its way: its next movement is not announced."""
REPLACED = 0.3
"""When less than this part of the blocks still shows the same, the view is another one."""
STANDS = 0.55
"""When at least this part shows the same as a moment ago, the camera stands."""
LOST_TEXTURE = 0.75
"""Covered: this part of the textured blocks has lost its texture."""
FLAT = 0.12
"""A block has lost its texture when less than this part of its contrast energy is left."""
DARK_LEVEL = 45.0
"""Dark: nine tenths of the picture are below this grey value …"""
DARK_FALL = 0.4
"""… and the mean fell to less than this part of what it was within `SUDDEN_S`."""
SUDDEN_S = 4.0
APPEARS = 0.2
"""A view appears out of nothing when at least this part of the blocks has texture, …"""
QUARTERS = 3
"""… all over the picture: in this many quarters of it there are some."""
SOME = 0.05
FROZEN_S = 10.0
"""Identical pictures for so long are a frozen source, if it had noise before."""


class View(StrEnum):
    STEADY = "steady"
    UNSURE = "unsure"
    """one odd picture: wait for the next before anything is said"""
    MOVING = "camera_moving"
    COVERED = "covered"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class ViewReport:
    """`began`: a state that began with this picture. `ended`: one that ended. `relearn`: learn the scene once more.
    `aligned`: the picture with the camera's tremble taken out, where there was any."""

    view: View
    began: View | None = None
    ended: View | None = None
    relearn: bool = False
    value: float = 0.0
    aligned: Picture | None = None


def shift_between(a: Picture, b: Picture, window: Picture) -> tuple[float, float]:
    """(dx, dy) in pixels that moves `a` onto `b`, by phase correlation of their details."""
    (dx, dy), _ = cv2.phaseCorrelate(a.copy(), b.copy(), window)  # it writes into its arguments
    return float(dx), float(dy)


def moved_by(picture: Picture, dx: float, dy: float) -> Picture:
    h, w = picture.shape
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    out: Picture = cv2.warpAffine(picture, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return out


class Details:
    """A picture's details and their energy per block."""

    def __init__(self, picture: Picture) -> None:
        self.detail = detail(picture)
        self.energy = blocks(self.detail * self.detail)

    def __deepcopy__(self, memo: object) -> Details:
        return self  # never changed: copies of a scene share it

    def alike(self, other: Details) -> Picture:
        """Correlation of each block, -1 to 1."""
        together = blocks(self.detail * other.detail)
        out: Picture = together / np.sqrt(self.energy * other.energy + 1e-3)
        return out


def blocks(picture: Picture) -> Picture:
    h, w = picture.shape
    size = (max(1, w // BLOCK), max(1, h // BLOCK))
    out: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return out


def rough_energy(noise: float) -> float:
    """A block with more energy than this has texture, more than noise makes."""
    return (2.5 * noise) ** 2 + 3.0


def is_blank(picture: Picture, noise: float) -> bool:
    """Hardly any texture: black, grey or white, a lamp that is not on yet, a decoder without its first keyframe."""
    return int((Details(picture).energy > rough_energy(noise)).sum()) < FEW


def is_another_view(picture: Picture, settled: Picture, noise: float) -> bool:
    """Does `picture` as a whole show something else than `settled`, more than things in front of it can do?"""
    now, then, rough = Details(picture), Details(settled), rough_energy(noise)
    fresh, old = now.energy > rough, then.energy > rough
    if int(old.sum()) < FEW:
        rows, columns = fresh.shape[0] // 2 or 1, fresh.shape[1] // 2 or 1
        quarters = (fresh[:rows, :columns], fresh[:rows, columns:], fresh[rows:, :columns], fresh[rows:, columns:])
        return float(fresh.mean()) >= APPEARS and sum(bool(q.size) and q.mean() >= SOME for q in quarters) >= QUARTERS
    return share(now.alike(then) > ALIKE, old) < STANDS or share(old, fresh) < STANDS


def share(good: Mask, among: Mask) -> float:
    total = int(among.sum())
    return float((good & among).sum()) / total if total else 1.0


class ViewState:
    """Follows the view as a whole, picture by picture."""

    def __init__(self) -> None:
        self.view = View.STEADY
        self._last: Details | None = None
        self._odd = 0
        self._doubted = False
        self._calm = 0
        self._rest: Details | None = None
        self._stood_at = -1e9
        self._levels: deque[tuple[float, float]] = deque(maxlen=32)
        self._before = 0.0
        self._window: Picture | None = None

    def look(self, picture: Picture, settled: Picture, t: float, noise: float) -> ViewReport:
        """Judge the view. `settled` is the scene as it was when it was last steady."""
        now, then = Details(picture), Details(settled)
        last, self._last = self._last, now
        level = float(picture.mean())
        bright = max((v for at, v in self._levels if t - at <= SUDDEN_S), default=level)
        self._levels.append((t, level))
        rough = rough_energy(noise)
        if last is None:
            return ViewReport(self.view)
        if self.view is View.DARK:
            return self._while_dark(level, now, then, rough)
        doubted, self._doubted = self._doubted, False
        if float(np.percentile(picture, 90)) < DARK_LEVEL and level < DARK_FALL * bright:
            if not doubted:
                return self._doubt()
            self._before = bright
            return self._enter(View.DARK, min(0.99, 0.6 + 0.4 * (1 - level / (DARK_FALL * bright))))
        textured = then.energy > rough
        known = int(textured.sum()) >= FEW
        same = share(now.alike(then) > ALIKE, textured)
        flat = share(now.energy < np.maximum(FLAT * then.energy, 0.0), textured)
        if self.view is View.COVERED:
            if flat < LOST_TEXTURE - 0.15:
                return self._leave(relearn=same < STANDS)
            return ViewReport(self.view)
        if known and flat >= LOST_TEXTURE and self.view is View.STEADY:
            if not doubted:
                return self._doubt()
            return self._enter(View.COVERED, min(0.99, flat))
        return self._motion(picture, now, last, then, rough, same, textured, t)

    def _motion(
        self,
        picture: Picture,
        now: Details,
        last: Details,
        then: Details,
        rough: float,
        same: float,
        textured: Mask,
        t: float,
    ) -> ViewReport:
        window = self._hann(picture)
        if self.view is View.MOVING:
            return self._until_it_stands(now, last, rough, t, window)
        if int(textured.sum()) < FEW:
            return ViewReport(self.view)
        dx, dy = shift_between(then.detail, now.detail, window)
        far = float(np.hypot(dx, dy))
        if 0.25 < far < 0.4 * picture.shape[1]:
            back = moved_by(picture, -dx, -dy)
            if far <= TREMBLE:
                self._odd = 0
                worse = np.median(np.abs(now.detail - then.detail))
                better = np.median(np.abs(detail(back) - then.detail)) < BETTER * worse
                return ViewReport(self.view, aligned=back if better else None)
            if share(Details(back).alike(then) > ALIKE, textured) > max(0.5, same + 0.15):
                return self._sets_off(0.9, now, t)
        if same < REPLACED:
            self._odd += 1
            return (
                self._sets_off(min(0.95, 0.7 + REPLACED - same), now, t) if self._odd >= 2 else ViewReport(View.UNSURE)
            )
        self._odd = 0
        return ViewReport(self.view)

    def _sets_off(self, value: float, now: Details, t: float) -> ViewReport:
        report = self._enter(View.MOVING, value)
        self._rest, self._calm = now, 0
        return report if t - self._stood_at >= AGAIN_S else ViewReport(View.MOVING)

    def _until_it_stands(self, now: Details, last: Details, rough: float, t: float, window: Picture) -> ViewReport:
        rest = self._rest or last
        either = (now.energy > rough) | (rest.energy > rough)
        dx, dy = shift_between(rest.detail, now.detail, window)
        if np.hypot(dx, dy) < REST and share(now.alike(rest) > ALIKE, either) >= STANDS:
            self._calm += 1
        else:
            self._rest, self._calm = now, 0
        if self._calm < REST_PICTURES:
            return ViewReport(self.view)
        self._stood_at = t
        return self._leave(relearn=True)

    def _while_dark(self, level: float, now: Details, then: Details, rough: float) -> ViewReport:
        if level > max(0.5 * self._before, 1.4 * DARK_LEVEL * DARK_FALL):
            textured = then.energy > rough
            return self._leave(relearn=share(now.alike(then) > ALIKE, textured) < STANDS)
        return ViewReport(self.view)

    def _doubt(self) -> ViewReport:
        """One dark or flat picture is a flash, or a decoder that lost its keyframe; two are a state."""
        self._doubted = True
        return ViewReport(View.UNSURE)

    def _enter(self, view: View, value: float) -> ViewReport:
        self.view, self._odd, self._calm = view, 0, 0
        return ViewReport(view, began=view, value=value)

    def _leave(self, relearn: bool) -> ViewReport:
        ended, self.view = self.view, View.STEADY
        self._odd = 0
        return ViewReport(View.STEADY, ended=ended, relearn=relearn, value=0.8)

    def _hann(self, picture: Picture) -> Picture:
        if self._window is None or self._window.shape != picture.shape:
            h, w = picture.shape
            self._window = cv2.createHanningWindow((w, h), cv2.CV_32F)  # type: ignore[assignment]
        assert self._window is not None
        return self._window


class Freezer:
    """Notices a source that repeats one picture although it used to have noise."""

    NOISY = 0.9
    """Before, at least this part of neighbouring pictures differed …"""
    PAIRS = 10
    """… among at least this many."""

    def __init__(self) -> None:
        self._last: Grey | None = None
        self._since = 0.0
        self._same = 0
        self._differed: deque[bool] = deque(maxlen=120)
        self.frozen = False

    def look(self, grey: Grey, t: float) -> bool:
        """True once, when the source has been frozen for `FROZEN_S`."""
        if self._last is None or self._last.shape != grey.shape or not np.array_equal(self._last, grey):
            if self._last is not None and not self.frozen:
                self._differed.extend([False] * min(self._same, 20))
                self._differed.append(True)
            self._last, self._since, self._same, self.frozen = grey, t, 0, False
            return False
        self._same += 1
        if self.frozen or t - self._since < FROZEN_S:
            return False
        noisy = sum(self._differed) / max(1, len(self._differed))
        self.frozen = len(self._differed) >= self.PAIRS and noisy >= self.NOISY
        return self.frozen
