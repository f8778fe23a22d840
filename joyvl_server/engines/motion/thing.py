"""One thing that is followed, and the questions asked about regions."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import Region, gap

SMALL = 0.0022
"""Smaller regions are nobody and nothing, as part of the picture: about 6 x 8 pixels."""
SIZEABLE = 0.01
"""A person far off, as part of the picture: what is at least so large needs less proof."""
VACATED = 0.65
"""From this share of lost edges on, a region may be a place that something left, not something that stands there …"""
SURELY_VACATED = 0.85
"""… and from this share on it is one. Between the two a second picture, in which it rests, must confirm it."""
MIXED = 0.2
"""From this share of lost edges on, a region may hold both: somebody and the place he left a moment ago."""
MOVES = 0.3
"""A region moves when at least this part of it changed since the last picture."""
RESTS = 0.7
"""A region rests when at least this part of it has been unchanged for about a second."""
BESIDE = 4
"""Closer than this many pixels to a thing, a place is not in clear view yet."""
UPRIGHT = 0.25
"""Pieces of one person above one another are closer than this part of `SIDE`."""
FAR = -1e9


@dataclass(slots=True, eq=False)
class Thing:
    """Something followed. Masks are never changed in place: copies of a scene share them."""

    id: int
    region: Region
    first: Mask
    """where it was when it was first seen"""
    born: float
    seen: float
    size: float
    """its usual area, as part of the picture"""
    value: float
    trail: Mask
    """everywhere it has been"""
    rests_since: float
    reached_in: bool
    """since it was announced it has always touched the edge of the picture: a hand, not a whole person"""
    reached_at: float
    """when it was last seen like that"""
    known: bool = False
    """it has been announced, or needs no announcement"""
    announced: bool = False
    """its coming has been offered, so its going is worth a word"""
    split: bool = False
    """it came off another thing and is too young to count"""
    told_still: bool = False
    going: bool = False
    """its departure has been announced, a sliver of it is left"""
    worked_at: float = FAR
    """when the scene last changed where it has been"""
    missed: int = 0
    apart: int = 0
    """for this many pictures it has been in pieces that are far from one another"""

    @property
    def arrival(self) -> str:
        """The key of its coming. Keys name one occurrence: what happens again has another one."""
        return f"enter-{self.id}-{self.born:.1f}"


def touches(a: Region, b: Region) -> bool:
    return bool((grow(a.mask, BESIDE) & b.mask).any())


def plain(region: Region) -> bool:
    """Plainly something in front of the scene: of a size, and without a trace of something gone."""
    return region.vacated < MIXED and region.area > SIZEABLE


def alike(a: Region, b: Region) -> bool:
    """May the two be one thing at two moments? Sizes agree roughly; at the edge only a part is seen."""
    ratio = a.area / b.area
    return (ratio > 0.15 or a.at_edge) and (ratio < 7 or b.at_edge)


def one_upright(a: Region, b: Region) -> bool:
    """Two pieces above one another: most likely one person whose middle matches the wall behind."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    return across > 0.5 * min(a.x1 - a.x0, b.x1 - b.x0) and gap(a, b) < UPRIGHT


def overlap(a: Region, b: Region) -> float:
    """What both cover as part of what either covers, 0 to 1."""
    return float((a.mask & b.mask).sum()) / float((a.mask | b.mask).sum())


def part_inside(mask: Mask, other: Mask) -> float:
    """The part of `mask` that lies in `other`, 0 to 1; 1 where `mask` is empty."""
    total = int(mask.sum())
    return int((mask & other).sum()) / total if total else 1.0
