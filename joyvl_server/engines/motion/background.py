"""The settled scene: what the view looks like when nothing happens, and how the newest picture differs from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from joyvl_server.engines.motion.picture import (
    SATURATED,
    SIDE,
    Mask,
    Picture,
    box_mean,
    fit_light,
    grow,
    highest,
    lowest,
    slope,
)

LEVELS = 6.0
"""Grey levels (of 255) that always count as the same: rounding, compression and small changes of light."""
SIGMAS = 4.0
"""This many times the measured noise counts as the same. A normal noise passes 4 once in 16,000 pixels."""
DRIFT_S = 15.0
"""The settled scene follows slow changes of light with this time constant, in seconds."""
UNREAL_S = 5.0
"""Soft changes without any edge (shadows, sun) are taken into the scene with this time constant, in seconds."""
SWING_S = 90.0
"""A place that moves by itself (leaves, a screen) is remembered as such with this time constant, in seconds."""
SWINGS = 2.0
"""A place may differ by this many times its usual swing."""
SLOPES = 0.35
"""An edge is new when its slope exceeds what was there by this part of the level tolerance, a pixel."""
FADES = 0.35
"""A shadow or lamp may weaken or strengthen an edge that stays by this part of it."""
LIGHT_WINDOW = SIDE // 4
"""Light may differ smoothly across the picture: its local part is the mean over a window of this size, in pixels."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The newest picture against the settled scene, in the light of the settled scene.

    `excess` is how far a pixel lies outside what is usual there, in units of the tolerance (above 1 is different);
    `moved` are pixels that changed since the last picture; `stable_s` for how long each has not. `gained` and `lost`
    are edges (slope beyond tolerance) that only the newest or only the settled picture has. `light` is how bright the
    picture is beside the scene, `settled` the scene itself, `tolerance` grey levels that are no difference.
    """

    picture: Picture
    excess: Picture
    moved: Mask
    stable_s: Picture
    gained: Picture
    lost: Picture
    light: float
    settled: Picture
    tolerance: float


class Background:
    """Settled brightness and usual swing of each pixel. Memory: six float pictures."""

    def __init__(self, first: Picture, t: float) -> None:
        self.settled = first.copy()
        self.swing = np.zeros_like(first)
        self.changed_at = np.full(first.shape, -1e6, np.float32)
        self.noise = 1.5
        self.pictures = 1
        self.t = t
        self._last = first
        self._busy = np.zeros(first.shape, bool)

    @property
    def tolerance(self) -> float:
        """Grey levels that are not a difference."""
        return max(LEVELS, SIGMAS * self.noise)

    def compare(self, picture: Picture, t: float) -> Difference:
        """Take the light out of `picture` and measure it. Changes nothing but the clock of each pixel and the noise."""
        gain, offset = fit_light(picture, self.settled, ~self._busy)
        even = (picture - offset) / gain
        # Above the level at which either picture is at the sensor's end the two cannot be compared.
        ceiling = min(SATURATED - 3.0, (SATURATED - 3.0 - offset) / gain)
        even -= self._local_light(even - self.settled, (picture < SATURATED) & (self.settled < SATURATED - 3.0))
        even = np.minimum(even, ceiling)
        settled = np.minimum(self.settled, ceiling)
        tolerance = self.tolerance * max(1.0, 0.5 + 0.5 / gain)
        slack = SWINGS * self.swing
        over = even - highest(settled + slack)
        under = lowest(settled - slack) - even
        excess = np.maximum(np.maximum(over, under), 0.0) / tolerance
        slack *= 0.7
        last = np.minimum(self._last, ceiling)
        moved = (even > highest(last) + tolerance + slack) | (even < lowest(last) - tolerance - slack)
        self.changed_at[moved] = t
        here, there = slope(even), slope(settled)
        limit = SLOPES * tolerance
        gained = np.maximum(here - (1 + FADES) * highest(there) - limit, 0.0)
        lost = np.maximum((1 - FADES) * there - highest(here) - limit, 0.0)
        self._measure_noise(even, excess < 1)
        self._last = even
        level = max(float(np.median(self.settled)), 8.0)
        return Difference(
            even, excess, moved, t - self.changed_at, gained, lost, (gain * level + offset) / level, settled, tolerance
        )

    def learn(self, diff: Difference, t: float, things: Mask, unreal: Mask) -> None:
        """Follow slow changes everywhere but where `things` are; `unreal` regions are followed faster."""
        dt = min(max(t - self.t, 0.0), 5.0)
        self.t, self._busy = t, things
        self.pictures += 1
        off = diff.picture - self.settled
        # The first pictures count alike, so that the noise of the very first one does not stay.
        rate = max(1 - np.exp(-dt / DRIFT_S), 1.0 / min(self.pictures, 6) if self.pictures <= 6 else 0.0)
        step = np.where(unreal, 1 - np.exp(-dt / UNREAL_S), rate).astype(np.float32)
        size = np.abs(off)
        up = 1 - np.exp(-dt / 2.0)
        swing = self.swing + np.where(
            size > self.swing, up * (size - self.swing), -(1 - np.exp(-dt / SWING_S)) * self.swing
        )
        free = ~things
        self.swing = np.where(free & ~unreal, np.minimum(swing, 60.0), self.swing).astype(np.float32)
        self.settled = np.where(free, self.settled + step * off, self.settled).astype(np.float32)

    def accept(self, diff: Difference, where: Mask) -> None:
        """What is there now belongs to the scene."""
        self.settled[where] = diff.picture[where]
        self.swing[where] = np.minimum(self.swing[where], self.noise)

    def agitate(self, diff: Difference, where: Mask) -> None:
        """What differed there was the place's own unrest: remember it as swing."""
        size = np.abs(diff.picture - self.settled)
        self.swing = np.where(where, np.maximum(self.swing, np.minimum(0.6 * size, 60.0)), self.swing).astype(
            np.float32
        )

    def resettle(self, picture: Picture, things: Mask) -> None:
        """The light is another: take its brightness as the settled one, but behind things; keep the swings."""
        level = float(np.median(picture[~things] - self.settled[~things])) if not things.all() else 0.0
        self.settled = np.where(things, np.clip(self.settled + level, 0, 255), picture).astype(np.float32)
        self._last = picture

    def _local_light(self, residual: Picture, usable: Mask) -> Picture:
        """The smooth part of what is left after the global fit, from pixels that look unchanged."""
        fine = (usable & ~grow(self._busy, 3) & (np.abs(residual) < 3 * self.tolerance)).astype(np.float32)
        weight = box_mean(fine, LIGHT_WINDOW)
        return box_mean(box_mean(residual * fine, LIGHT_WINDOW) / (weight + 0.15), LIGHT_WINDOW // 2)

    def _measure_noise(self, even: Picture, same: Mask) -> None:
        """Standard deviation of a pixel, from the median change between two pictures where nothing else changes."""
        change = even - self._last
        change -= box_mean(change, 7)  # shadows that wander are no noise
        fine = np.abs(change[::2, ::2][same[::2, ::2]])
        if fine.size > 200:
            sigma = float(np.median(fine)) / 0.6745 / 1.414
            self.noise += (min(sigma, 8.0) - self.noise) * (0.5 if self.pictures < 4 else 0.1)
