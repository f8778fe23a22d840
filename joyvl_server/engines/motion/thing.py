"""One thing that is followed, and the questions asked about its outline."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import Region, gap

VACATED = 0.65
"""From this share of lost edges on, a resting region is a place that something left."""
VACANT_MOVES = 0.1
"""At a place that something left, at most this part still changes from picture to picture."""
CLEAR_OF = 0.35
"""Somebody has gone on from where he appeared when he overlaps it by less than this part."""
UPRIGHT = 0.25
"""Pieces of one person above one another are closer than this part of `SIDE`."""


@dataclass(slots=True, eq=False)
class Thing:
    """Somebody followed. `size`: his usual area. `past`: (t, region) of the last moments.
    `origin`: where he appeared, `trail`: everywhere he has been, `anchor`: where he rests."""

    id: int
    region: Region
    first: Region
    born: float
    seen: float
    size: float
    value: float
    past: deque[tuple[float, Region]]
    origin: Mask
    trail: Mask
    anchor: Mask
    rests_since: float
    known: bool = False
    """it has been announced, or needs no announcement"""
    flickers: bool = False
    """it was not seen in every picture while it was young"""
    quiet: bool = False
    """its departure needs no word: it is a piece of another, or was never announced"""
    from_scene: bool = False
    """it belonged to the settled scene before it moved"""
    whole: bool = False
    """it was once clear of the edge of the picture: not a hand that reaches in"""
    edge_at: float = -1e9
    told_still: bool = False
    sliver_since: float = math.inf
    gone_said: bool = False
    apart_since: float = math.inf
    worked_at: float = -1e9
    """when the scene was last changed where it has been"""


def is_origin(thing: Thing, place: Region) -> bool:
    """Is the place where the thing stood before it moved?"""
    from_inside = thing.from_scene or (not thing.known and not thing.first.at_edge)
    return from_inside and place.moving < VACANT_MOVES and bool((place.mask & thing.origin).any())


def gap_remains(first: Mask, diff: Difference) -> bool:
    """Where it was first seen something of the settled scene is missing now."""
    spot = grow(first, 2) & ~diff.moved
    return bool(spot.any()) and float((diff.excess[spot] > 1).mean()) > 0.3


def holds(now: Region, before: Region) -> bool:
    """The same outline as in the picture before, and nothing moves in it."""
    both = float((now.mask & before.mask).sum())
    return now.moving < VACANT_MOVES and both > 0.7 * float((now.mask | before.mask).sum())


def clear_of(now: Region, first: Region) -> bool:
    """Has it gone on from where it was first seen?"""
    wide = max(0, min(now.x1, first.x1) - max(now.x0, first.x0))
    high = max(0, min(now.y1, first.y1) - max(now.y0, first.y0))
    return wide * high < CLEAR_OF * (first.x1 - first.x0) * (first.y1 - first.y0)


def one_upright(a: Region, b: Region) -> bool:
    """Two pieces above one another: most likely one person whose middle matches the wall behind."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    return across > 0.5 * min(a.x1 - a.x0, b.x1 - b.x0) and gap(a, b) < UPRIGHT


def is_vacant(region: Region) -> bool:
    """A place that something left: the edges it had are gone, and nothing moves there."""
    return region.vacated >= VACATED and region.moving < VACANT_MOVES


def divide(region: Region, masks: list[Mask]) -> list[Mask]:
    """Each pixel of `region` goes to the nearest of `masks`."""
    far = [cv2.distanceTransform((~m).astype(np.uint8), cv2.DIST_L2, 3) for m in masks]
    nearest = np.argmin(np.stack(far), axis=0)
    return [region.mask & (nearest == i) for i in range(len(masks))]
