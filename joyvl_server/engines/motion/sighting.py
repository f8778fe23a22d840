"""What one picture led to: sightings, and what it means for the settled scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from joyvl_server.core.watches.zones import Box
from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.picture import Mask
from joyvl_server.engines.motion.regions import Region


@dataclass(frozen=True, slots=True)
class Sighting:
    """One happening. `value`: how sure, 0 to 1. `key` names it; a later sighting with the same key replaces it.

    A value of 0 withdraws it: it need not be said any more.
    """

    kind: str
    value: float
    box: Box | None
    key: str
    t: float


@dataclass(slots=True)
class MotionFrame:
    """One picture while it is worked on, and what it leads to.

    `places` are regions that something left, `changed` those that are a change of the scene. In the end `accept`
    belongs to the scene, and `agitate` was the scene's own unrest.
    """

    diff: Difference
    t: float
    dt: float
    stable_s: float
    places: list[Region] = field(default_factory=list)
    changed: list[Region] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    accept: list[Mask] = field(default_factory=list)
    agitate: list[Mask] = field(default_factory=list)

    def say(self, kind: str, value: float, region: Region, key: str) -> None:
        self.sightings.append(Sighting(kind, value, region.box, key, self.t))


def sureness(region: Region, extra: float = 0.0) -> float:
    """How sure a region is something, 0 to 1: a logistic curve over its size, its contrast and its edges.

    It is 0.5 for half a percent of the picture at one and a half tolerances with a third of its outline an edge.
    """
    size = math.log(max(region.area, 1e-5) / 0.005)
    contrast = math.log(max(region.contrast, 0.1) / 1.5)
    return 1 / (1 + math.exp(-(extra + 0.3 + size + contrast + 3 * (region.edged - 0.4))))
