"""What the engine says about one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from joyvl_server.core.zones import Box
from joyvl_server.engines.motion.picture import Mask
from joyvl_server.engines.motion.regions import Region


@dataclass(frozen=True, slots=True)
class Sighting:
    """One happening. `value`: how sure, 0 to 1. `key` names it; a later sighting with the same key replaces it."""

    kind: str
    value: float
    box: Box | None
    key: str
    t: float


@dataclass(slots=True)
class Outcome:
    """What one picture led to. `accept` belongs to the scene now, `agitate` was the scene's own unrest."""

    sightings: list[Sighting] = field(default_factory=list)
    accept: list[Mask] = field(default_factory=list)
    agitate: list[Mask] = field(default_factory=list)


def sureness(region: Region, extra: float = 0.0) -> float:
    """How sure a region is something: grows with its size, its contrast and the part of its outline that is an edge."""
    z = (
        extra
        + 0.3
        + math.log(max(region.area, 1e-5) / 0.005)
        + math.log(max(region.contrast, 0.1) / 1.5)
        + 3 * (region.edged - 0.4)
    )
    return 1 / (1 + math.exp(-z))
