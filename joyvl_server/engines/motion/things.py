"""Things that come, stay and go: regions linked over time, and the sightings that follow from it."""

from __future__ import annotations

import numpy as np

from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.changes import Changes
from joyvl_server.engines.motion.linking import left_behind, link, reach
from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import EDGED, NEAR, Region, gap, union, without_shadows
from joyvl_server.engines.motion.sighting import MotionFrame, sureness
from joyvl_server.engines.motion.stillness import belongs_to_the_scene, watch_stillness
from joyvl_server.engines.motion.thing import (
    FAR,
    MIXED,
    MOVES,
    RESTS,
    SIZEABLE,
    SMALL,
    SURELY_VACATED,
    VACATED,
    Thing,
    alike,
    overlap,
    part_inside,
    plain,
    touches,
)

DOUBT_S = 1.2
"""After this many seconds somebody has gone on from the place he left."""
PROVES_S = 0.9
"""What appears clear of the edge and keeps moving for so long is somebody, and no gesture of somebody in the scene."""
CLEAR_OF = 0.35
"""He has gone on when he covers less than this part of it."""
GAP_LEFT = 0.3
"""He belonged to the scene when this part of the place he came from differs from it now."""
REMAINS = 0.08
"""With less than this part of its size left a thing is gone; the rest is a shadow or the like."""
CRUMB = 0.15
"""A piece that rests beside a thing and has less than this part of its size is not of it."""
SLIVER = 0.3
"""A thing at the edge of the picture with less than this part of its size left is as good as gone."""
SHRINKS = 0.85
"""The usual size of a thing that walks away from the camera falls by this factor a second at most."""
APART = 2
"""Pieces that stay apart for more than this many pictures are two things."""
SPLIT_S = 3.0
"""What came off another thing counts as one of its own after this many seconds."""
CERTAIN = 0.75
"""A comer as sure as this is announced once; a less sure one with each picture, as it becomes surer."""
HABIT_S = 30.0
"""Something that stood in the settled scene for so long and moves now is worth a word."""
WEIGH_S = 3.5
"""For so long after it appeared a new thing may still prove to be something."""
SLOW_S = 1.5
"""Where pictures come slower than this, what appears clear of the edge is announced without waiting for the next."""
MARGIN = 4
"""Pixels around a thing that are not learnt either: its shadow, its blurred outline."""
MOST = 16
"""This many things are followed at once."""


class Things:
    def __init__(self) -> None:
        self.all: list[Thing] = []
        self.changes = Changes()
        self._count = 0
        self._settled_since = 0.0

    def settle_at(self, t: float) -> None:
        """The scene was learnt once more: nothing is followed, nothing has stood for long."""
        self.all.clear()
        self.changes.forget()
        self._settled_since = t

    def adopt(self, regions: list[Region], t: float) -> None:
        """Follow what is there without a word."""
        for region in regions:
            if region.area >= SIZEABLE and region.edged >= EDGED and region.vacated < 0.35:
                self._new(region, t).known = True

    def mask(self, shape: tuple[int, ...]) -> Mask:
        """Where things are, so that the scene behind them is not learnt wrongly."""
        out = np.zeros(shape, bool)
        for thing in self.all:
            r = thing.region
            out[max(0, r.y0 - MARGIN) : r.y1 + MARGIN, max(0, r.x0 - MARGIN) : r.x1 + MARGIN] = True
        return out

    # ------------------------------------------------------------------------------------------------- one picture

    def update(self, regions: list[Region], diff: Difference, t: float, dt: float, stable_s: float) -> MotionFrame:
        """What one more picture means; `dt` seconds after the last."""
        now = MotionFrame(diff, t, dt, stable_s)
        real = [r for r in regions if r.area >= SMALL and r.edged >= EDGED and not r.rim]
        echoes = [r for r in real if self.changes.is_echo(r, t, dt)]
        now.accept += [r.mask for r in echoes]
        now.places = [r for r in real if r not in echoes and self._is_vacated(r)]
        links, free = link(self.all, [r for r in real if r not in echoes and r not in now.places], now)
        lost: list[Thing] = []
        for thing in list(self.all):
            mine = links.get(thing.id, [])
            if sum(r.area for r in mine) > REMAINS * thing.size:
                self._seen(thing, mine, now)
            else:
                lost.append(thing)
        for body in free:
            self._appeared(body, now)
        self._explain_places(now)
        for thing in lost:
            self._missed(thing, now)
        self.changes.tell(self.all, now)
        self.changes.say_farewells(now)
        self._merge()
        return now

    def _is_vacated(self, region: Region) -> bool:
        """A place that something left, and not (or no longer) a thing."""
        mine = [x for x in self.all if (region.mask & x.region.mask).any()]
        if region.vacated < (VACATED if region.stable >= RESTS and not mine else SURELY_VACATED):
            return False
        if region.moving >= MOVES:  # it may still be the thing that leaves the place, half out of the picture
            return not region.at_edge
        # What was a thing a moment ago and has not moved is one now; a hand is none any more when it lost its arm.
        return not any(overlap(region, x.region) > 0.5 and region.at_edge >= x.region.at_edge for x in mine)

    # ---------------------------------------------------------------------------------------------- what was seen

    def _seen(self, thing: Thing, mine: list[Region], now: MotionFrame) -> None:
        before, body = thing.region, self._body(thing, mine, now)
        if left_behind(thing, body, now):
            now.changed.append(body)
            self._leaves(thing, now)
            return
        thing.region, thing.seen, thing.missed = body, now.t, 0
        thing.trail = thing.trail | body.mask
        thing.size = max(body.area, thing.size * SHRINKS**now.dt)
        thing.value = max(thing.value, sureness(body, 0.4 if now.t > thing.born else 0.0))
        thing.reached_in &= body.at_edge
        if thing.reached_in:
            thing.reached_at = now.t
        thing.split &= now.t - thing.born <= SPLIT_S
        if not thing.known:
            self._weigh(thing, body, now)
        elif thing.going:
            if body.area > 2 * SLIVER * thing.size:
                thing.going = False
                now.say("enter", thing.value, body, f"enter-{thing.id}-{now.t:.1f}")
        elif body.at_edge and body.area < SLIVER * thing.size and before.area > body.area and not thing.split:
            thing.going = True
            self.changes.farewell(thing, now)
        watch_stillness(thing, body, now)
        if belongs_to_the_scene(thing, now) and thing in self.all:
            now.accept.append(body.mask)
            self.all.remove(thing)

    def _body(self, thing: Thing, mine: list[Region], now: MotionFrame) -> Region:
        """The thing itself among its pieces. What it left behind, or came from, goes where it belongs."""
        body = max(mine, key=lambda r: r.area * (0.3 + r.moving))
        gone_on = body.moving >= MOVES and overlap(body, thing.region) < 0.4
        with_it = [body]
        for piece in mine:
            if piece is body:
                continue
            if not thing.known and piece.stable >= RESTS and (piece.mask & thing.first).any():
                now.places.append(piece)
            elif piece.stable >= RESTS and gone_on and not touches(piece, body):
                now.changed.append(piece)
            elif gap(piece, body) > NEAR and thing.apart >= APART and piece.moving >= MOVES and len(self.all) < MOST:
                other = self._new(piece, now.t)
                other.known = other.split = True
                other.value = max(other.value, thing.value)
            elif piece.moving >= MOVES or piece.area > CRUMB * body.area:
                with_it.append(piece)
        thing.apart = thing.apart + 1 if any(gap(piece, body) > NEAR for piece in with_it[1:]) else 0
        return body if len(with_it) == 1 else union(now.diff, with_it, now.stable_s)

    def _weigh(self, thing: Thing, body: Region, now: MotionFrame) -> None:
        """Not announced yet: did it come in, was it there before, was it put there, or is it nothing?"""
        age = now.t - thing.born
        off = part_inside(thing.first, body.mask) < CLEAR_OF
        # A comer leaves the scene behind as it was; what stood in the scene leaves a gap in it.
        origin = thing.first & ~grow(body.mask, 2)
        differs = without_shadows(now.diff, np.abs(now.diff.picture - now.diff.settled) > now.diff.tolerance)
        if off and origin.any() and float(differs[origin].mean()) > GAP_LEFT:
            thing.known = True
            now.accept.append(origin & differs)
            now.places = [p for p in now.places if part_inside(p.mask, origin) < 0.25]
            if now.t - self._settled_since > HABIT_S:
                now.say("move", thing.value, body, f"move-{thing.id}-{now.t:.1f}")
        elif (
            off
            or (body.moving >= MOVES and plain(body) and age >= PROVES_S)
            or (body.at_edge and (body.vacated < MIXED or (DOUBT_S < age <= WEIGH_S and body.vacated < VACATED)))
        ):
            self._announce(thing, body, now)
        elif body.stable >= RESTS and (not body.at_edge or body.vacated >= VACATED):
            now.changed.append(body)
            self.all.remove(thing)
        elif age > WEIGH_S and body.vacated < 0.3 and body.area > SIZEABLE:
            self._announce(thing, body, now)
        elif age > WEIGH_S:
            now.agitate.append(body.mask)
            self.all.remove(thing)

    def _announce(self, thing: Thing, body: Region, now: MotionFrame) -> None:
        """Say that it came; while it is not sure enough, say so again with each picture until it is."""
        thing.known = thing.value >= CERTAIN or now.t - thing.born > WEIGH_S
        thing.announced, thing.reached_in = True, body.at_edge
        now.say("enter", thing.value, body, thing.arrival)

    # ------------------------------------------------------------------------------- what came, and what was not seen

    def _appeared(self, body: Region, now: MotionFrame) -> None:
        if len(self.all) >= MOST:
            return
        known = any(x.known for x in self.all)
        thing = self._new(body, now.t)
        if body.moving < MOVES:
            return
        near = [p for p in now.places if p.moving >= MOVES and gap(p, body) < reach(now.dt) and alike(body, p)]
        if near and not known:
            # It moved away from where it stood in the settled scene, or came and took that: the place tells it.
            thing.known = True
        elif body.vacated < MIXED and (body.at_edge or (now.dt >= SLOW_S and not now.places)):
            self._announce(thing, body, now)
        # Else the next picture tells a comer from something put, taken or restless.

    def _missed(self, thing: Thing, now: MotionFrame) -> None:
        last = thing.region
        thing.missed += 1
        if not thing.known and not thing.announced:
            now.agitate.append(last.mask)  # seen once, then never again: the place's own unrest
            self.all.remove(thing)
        elif last.moving >= MOVES or last.at_edge or thing.missed >= 2:
            self._leaves(thing, now)

    def _leaves(self, thing: Thing, now: MotionFrame) -> None:
        self.all.remove(thing)
        went = thing.region.at_edge or part_inside(thing.region.mask, thing.first) < 0.5
        if (thing.announced or (thing.known and went and thing.size > SIZEABLE)) and not (thing.going or thing.split):
            self.changes.farewell(thing, now)

    def _explain_places(self, now: MotionFrame) -> None:
        """Where a young thing came from it is explained; otherwise something was taken, once it is in clear view."""
        for place in now.places:
            source = next((x for x in self.all if self._came_from(x, place, now.t)), None)
            if source is not None:
                if source.born == now.t:
                    source.first = source.first | place.mask
            elif not any(
                x.region.area > place.area and touches(place, x.region) for x in self.all if self._is_here(x, now)
            ):
                now.changed.append(place)

    def _is_here(self, thing: Thing, now: MotionFrame) -> bool:
        return thing.known and thing.seen == now.t

    def _came_from(self, thing: Thing, place: Region, t: float) -> bool:
        """May the young thing be what left this place? They are near and of a size."""
        moved = thing.seen == t and thing.region.moving >= MOVES and not thing.region.at_edge
        young = not thing.known and t - thing.born < WEIGH_S
        return moved and young and gap(place, thing.region) < 0.3 and 0.3 < thing.region.area / place.area < 3

    # ---------------------------------------------------------------------------------------------------- keeping

    def _merge(self) -> None:
        """Things that share a region are one: the one that is known, else the older one."""
        for drop in sorted(self.all, key=lambda x: (x.known, -x.born)):
            keep = next((x for x in self.all if x is not drop and x.region is drop.region), None)
            if keep is not None and (keep.known or not drop.known):
                self.all.remove(drop)
                keep.value = max(keep.value, drop.value)

    def _new(self, region: Region, t: float) -> Thing:
        self._count += 1
        thing = Thing(
            id=self._count,
            region=region,
            first=region.mask,
            born=t,
            seen=t,
            size=region.area,
            value=sureness(region),
            trail=region.mask,
            rests_since=t,
            reached_in=region.at_edge,
            reached_at=t if region.at_edge else FAR,
        )
        self.all.append(thing)
        return thing
