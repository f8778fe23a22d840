"""Changes of the scene: something was put, taken or shifted. Each is told once, and so is the visit that made it."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.watches.zones import Box
from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import NEAR, Region, gap
from joyvl_server.engines.motion.sighting import MotionFrame, Sighting, sureness
from joyvl_server.engines.motion.thing import Thing, part_inside

ECHO_S = 2.5
"""What changes again beside a change, or where the same visitor has been, within this many seconds belongs to it."""
MOMENT_S = 0.9
"""What changes anywhere within this many seconds is one happening: one may be in clear view before the other."""
SETTLES = 1.5
"""For this many intervals between pictures the rest of a change may still be seen at its place."""
LIGHT_S = 1.6
"""After a jump of the light what looks changed within this many seconds is the light."""
VISIT_S = 8.0
"""A reach into the picture is shorter than this; who stays longer is somebody, also when the edge cuts him off."""
LET_GO_S = 2.0
"""What still touched the edge this many seconds ago was a hand, also when what it left does not."""
AFTER_S = 0.9
"""So long the departure of a hand waits for the change it made to show."""
MOST = 16
"""This many changes and visits are remembered."""


class Changes:
    def __init__(self) -> None:
        self._told: list[tuple[float, Region]] = []
        self._visits: list[tuple[float, Mask]] = []
        self._farewells: list[tuple[Sighting, Thing]] = []
        self._light_at = -1e9
        self._count = 0

    def light_stepped(self, t: float) -> None:
        """The light jumped: what looks changed in the next seconds is the light."""
        self._light_at = t

    def forget(self) -> None:
        self._told.clear()
        self._visits.clear()
        self._farewells.clear()

    def is_echo(self, region: Region, t: float, dt: float) -> bool:
        """What is left to see of a change that has just been taken into the scene."""
        return not region.at_edge and any(
            t - at < SETTLES * dt and region.area < 1.2 * e.area and part_inside(region.mask, grow(e.mask, 4)) > 0.7
            for at, e in self._told
        )

    def tell(self, things: list[Thing], now: MotionFrame) -> None:
        """All changes of one moment are one sighting: where they are far apart, of the surest one's place."""
        now.accept += [r.mask for r in now.changed]
        self._told = [(at, r) for at, r in self._told if now.t - at <= ECHO_S]
        self._visits = [(at, trail) for at, trail in self._visits if now.t - at <= ECHO_S][-MOST:]
        fresh = [r for r in now.changed if not self._belongs_to_another(r, now.t)]
        self._told = (self._told + [(now.t, r) for r in fresh])[-MOST:]
        if not fresh or now.t - self._light_at < LIGHT_S:
            return
        for thing in things + [x for _, x in self._farewells]:
            if any((thing.trail & r.mask).any() for r in fresh):
                thing.worked_at = now.t
                self._visits.append((now.t, thing.trail))
        self._count += 1
        first = max(fresh, key=sureness)
        near = [r.box for r in fresh if gap(r, first) < 2 * NEAR]
        box = Box(min(b.x0 for b in near), min(b.y0 for b in near), max(b.x1 for b in near), max(b.y1 for b in near))
        now.sightings.append(
            Sighting("changed", sureness(first, 0.6), box, f"changed-{self._count}-{now.t:.1f}", now.t)
        )

    def farewell(self, thing: Thing, now: MotionFrame) -> None:
        """A hand that changed something has said all by that, so a hand's departure waits for what it leaves behind."""
        sighting = Sighting("leave", thing.value, thing.region.box, f"leave-{thing.id}-{now.t:.1f}", now.t)
        hand = now.t - thing.reached_at <= LET_GO_S and now.t - thing.born <= VISIT_S
        if not hand:
            now.sightings.append(sighting)
        elif thing.worked_at < thing.born:
            self._farewells.append((sighting, thing))
        else:
            now.sightings.append(_withdrawn(thing, now.t))

    def say_farewells(self, now: MotionFrame) -> None:
        for sighting, thing in list(self._farewells):
            worked = thing.worked_at >= thing.born
            if worked or now.t - sighting.t >= AFTER_S:
                self._farewells.remove((sighting, thing))
                now.sightings.append(_withdrawn(thing, now.t) if worked else replace(sighting, t=now.t))

    def _belongs_to_another(self, region: Region, t: float) -> bool:
        """Is it the rest of a change that has just been told, or part of the same visit's work?"""
        beside = any(gap(region, e) < NEAR or t - at < MOMENT_S for at, e in self._told)
        return beside or any((trail & region.mask).any() for _, trail in self._visits)


def _withdrawn(thing: Thing, t: float) -> Sighting:
    """Its coming need not be said any more, if it still waits."""
    return Sighting("enter", 0.0, None, thing.arrival, t)
