"""Where the picture differs from the settled scene: connected regions and what kind of difference each one is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from joyvl_server.core.watches.zones import Box
from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.picture import SIDE, Mask, grow

JOIN = 3
"""Pieces closer than twice this many pixels are one: a person often falls apart where the clothes match the wall."""
SPECK = 0.0012
"""Smaller differences are never looked at, as part of the picture: about 5 x 5 pixels."""
EDGED = 0.25
"""At least this part of an outline must be an edge that came or went. Shadows and light fade out softly instead."""
NEAR = 0.08
"""Moving pieces closer than this part of `SIDE` move together."""
NEAR_EDGE = 2
"""A difference is that of a thing when a new or lost edge is this many pixels away …"""
LIGHTS = 1.8
"""… or it is brighter or darker than the scene by more than this factor, which shadows hardly are."""
FAIR_SIZE = 0.02
"""A person in the middle distance, as part of the picture."""
AT_EDGE = 3
"""Closer than this many pixels to the border is at the edge: smoothing eats the last ones."""
RIM = 4
"""A region at the border must reach further in than this many pixels."""
MOST = 24
"""This many regions are looked at, the largest ones first."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One connected difference. Shares are 0 to 1.

    `edged`: part of the outline that is a real edge. `vacated`: of the edges on the outline, the part that the
    settled scene had and the picture has not: near 1 something of the scene is gone, near 0 something stands there.
    `moving`: part that changed since the last picture. `stable`: part unchanged for about a second.
    `contrast`: mean excess in units of the tolerance.
    """

    mask: Mask
    area: float
    x0: int
    y0: int
    x1: int
    y1: int
    at_edge: bool
    moving: float
    stable: float
    edged: float
    vacated: float
    contrast: float

    def __deepcopy__(self, memo: object) -> Region:
        return self  # never changed: copies of a scene share it

    @property
    def rim(self) -> bool:
        """A strip along the border, where scaling and encoding flicker."""
        return self.at_edge and min(self.x1 - self.x0, self.y1 - self.y0) <= RIM

    @property
    def centre(self) -> tuple[float, float]:
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)

    @property
    def box(self) -> Box:
        h, w = self.mask.shape
        return Box(self.x0 / w, self.y0 / h, self.x1 / w, self.y1 / h)


def find(diff: Difference, stable_after_s: float) -> list[Region]:
    """Regions of `diff`, largest first. `stable_after_s`: unchanged for so long counts as stable."""
    differs = diff.excess > 1.0
    dense = cv2.blur(differs.astype(np.float32), (3, 3)) > 0.34  # three of nine: single pixels are noise
    differs &= np.asarray(dense)
    # A faint limb belongs to the strong one beside it.
    differs |= (diff.excess > 0.4) & grow(differs, 1)
    differs = without_shadows(diff, differs)
    count, labels = cv2.connectedComponents(grow(differs, JOIN).astype(np.uint8), connectivity=8)
    labels = np.where(differs, labels, 0)
    areas = np.bincount(labels.ravel(), minlength=count)
    areas[0] = 0
    order = [int(i) for i in np.argsort(areas)[::-1][:MOST] if areas[i] >= SPECK * labels.size]
    return [describe(diff, labels == i, stable_after_s) for i in order]


def together(diff: Difference, regions: list[Region], stable_after_s: float, moves: float) -> list[Region]:
    """Moving pieces close to one another are one mover: clothes that match the wall cut people in two."""
    rest = [r for r in regions if r.moving < moves]
    groups: list[list[Region]] = []
    for region in regions:
        if region.moving < moves:
            continue
        near = [g for g in groups if any(gap(region, other) <= NEAR for other in g)]
        groups = [g for g in groups if g not in near] + [[region] + [r for g in near for r in g]]
    rest += [group[0] if len(group) == 1 else union(diff, group, stable_after_s) for group in groups]
    return sorted(rest, key=lambda r: r.area, reverse=True)


def without_shadows(diff: Difference, differs: Mask) -> Mask:
    """Take out what is a little darker or brighter and far from any new or lost edge: shadows, reflections, sun.

    The plain inside of a thing has no edges either, but lies within its outline.
    """
    edges = grow((diff.gained > 0) | (diff.lost > 0), NEAR_EDGE)
    ratio = (diff.picture + 8.0) / (diff.settled + 8.0)
    hard = differs & (edges | (ratio < 1 / LIGHTS) | (ratio > LIGHTS))
    outlines, _ = cv2.findContours(closed(hard).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros(hard.shape, np.uint8)
    cv2.drawContours(whole, outlines, -1, 1, cv2.FILLED)
    return np.asarray(differs & (whole > 0))


def union(diff: Difference, regions: list[Region], stable_after_s: float) -> Region:
    mask = np.zeros_like(regions[0].mask)
    for region in regions:
        mask |= region.mask
    return describe(diff, mask, stable_after_s)


def describe(diff: Difference, mask: Mask, stable_after_s: float) -> Region:
    h, w = mask.shape
    x0, y0, cols, rows = cv2.boundingRect(mask.astype(np.uint8))
    x1, y1 = x0 + cols, y0 + rows
    area = int(mask.sum())
    # Everything below looks at the region and a small margin only.
    m = 5
    cut = np.s_[max(0, y0 - m) : y1 + m, max(0, x0 - m) : x1 + m]
    part = mask[cut]
    filled = closed(part)
    inner = ~grow(~np.pad(filled, 1, mode="edge"), 1)[1:-1, 1:-1]
    band = grow(filled, 2) & ~inner
    gained, lost = diff.gained[cut], diff.lost[cut]
    came = float(gained[band].sum())
    went = float(lost[band].sum())
    outline = grow(filled, 1) & ~inner
    # A thing of this area has an outline of about this many pixels (the band is three wide, people are no circles).
    # A region drawn out by shadows still counts when it has as many edges as a thing of fair size.
    compact = 16.0 * math.sqrt(min(area, FAIR_SIZE * h * w))
    edged = grow((gained > 0) | (lost > 0), 1)[outline].sum() / max(1.0, min(compact, float(outline.sum())))
    return Region(
        mask=mask,
        area=area / (h * w),
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        at_edge=x0 < AT_EDGE or y0 < AT_EDGE or x1 > w - AT_EDGE or y1 > h - AT_EDGE,
        moving=float(diff.moved[cut][part].mean()),
        stable=float((diff.stable_s[cut][part] >= stable_after_s).mean()),
        edged=min(1.0, float(edged)),
        vacated=went / (came + went) if came + went > 0 else 0.5,
        contrast=float(diff.excess[cut][part].mean()),
    )


def closed(mask: Mask) -> Mask:
    """Holes and gaps of a few pixels filled: the outline of the whole, not of each fold."""
    size = 2 * JOIN + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    padded = np.pad(mask.astype(np.uint8), size)
    return np.asarray(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[size:-size, size:-size] > 0)


def gap(a: Region, b: Region) -> float:
    """Distance of two boxes as part of `SIDE`; 0 when they touch."""
    dx = max(a.x0 - b.x1, b.x0 - a.x1, 0)
    dy = max(a.y0 - b.y1, b.y0 - a.y1, 0)
    return float(np.hypot(dx, dy)) / SIDE
