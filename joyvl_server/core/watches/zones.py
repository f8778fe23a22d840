"""Where in the picture something is: boxes, named zones, left and right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Point = tuple[float, float]
"""x to the right, y down, both 0 to 1 of the picture."""

LEFT, CENTRE, RIGHT = "left", "centre", "right"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the picture, every side 0 to 1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> Point:
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)


@dataclass(frozen=True, slots=True)
class Zone:
    """A named polygon of at least three points."""

    name: str
    points: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Even-odd rule: is the point inside the polygon?"""
        x, y = point
        inside = False
        x0, y0 = self.points[-1]
        for x1, y1 in self.points:
            if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                inside = not inside
            x0, y0 = x1, y1
        return inside


def zones_at(box: Box, zones: Iterable[Zone]) -> tuple[str, ...]:
    """Names of the zones that hold the box's centre or the middle of its lower edge (where a person stands)."""
    cx, cy = box.centre
    foot = (cx, box.y1)
    return tuple(z.name for z in zones if z.holds((cx, cy)) or z.holds(foot))


def side(box: Box) -> str:
    """The third of the picture the box's centre is in: left, centre or right."""
    x, _ = box.centre
    if x < 1 / 3:
        return LEFT
    return RIGHT if x > 2 / 3 else CENTRE


def place(box: Box, zones: Iterable[Zone]) -> str:
    """The first named zone that holds the box, else its side of the picture."""
    return next(iter(zones_at(box, zones)), None) or side(box)


def region(zone: Zone) -> str:
    """Where a zone lies, in words a model can use: "upper left", "right", "centre"."""
    xs, ys = zip(*zone.points, strict=True)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    across = LEFT if x < 1 / 3 else RIGHT if x > 2 / 3 else ""
    down = "upper" if y < 1 / 3 else "lower" if y > 2 / 3 else ""
    return f"{down} {across or ('middle' if down else CENTRE)}".strip()
