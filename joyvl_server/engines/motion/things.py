"""Things that come, stay and go: regions linked over time, and the sightings that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from joyvl_server.core.zones import Box
from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.picture import SIDE, Mask, grow
from joyvl_server.engines.motion.regions import EDGED, NEAR, Region, gap, union

SMALL = 0.0022
"""Smaller regions are nobody and nothing, as part of the picture: about 6 x 8 pixels."""
SIZEABLE = 0.02
"""A region of this part of the picture close to the edge came over the edge, also when it is clear of it already."""
VACATED = 0.65
"""From this share of lost edges on, a region may be a place that something left, not something that stands there …"""
SURELY_VACATED = 0.85
"""… and from this share on it is one. Between the two a second picture, in which it rests, must confirm it."""
MOVES = 0.3
"""A region moves when at least this part of it changed since the last picture."""
RESTS = 0.7
"""A region rests when at least this part of it has been unchanged for about a second."""
REACH = 0.1
"""How far a thing may have got between two pictures, in picture widths: this …"""
REACH_PER_S = 0.35
"""… and this much per second (a person who walks close to the camera)."""
BESIDE = 0.02
"""Closer than this part of `SIDE` to a thing, a place is not in clear view yet."""
ECHO_S = 3.5
"""What changes again beside a change within so many seconds is the same change, settling."""
LIGHT_S = 1.6
"""After a jump of the light what looks changed within so many seconds is the light."""
LEFT_OVER = 0.6
"""When a thing suddenly has less than this part of its size and the rest has not moved, the rest was left behind."""
SLIVER = 0.3
"""A thing at the edge of the picture with less than this part of its size left is as good as gone."""
HANDLING_S = 3.5
"""A hand that let go of something is out of the picture after so many seconds."""
VISIT_S = 8.0
"""A reach into the picture is shorter than this; who stays longer is somebody, also when the edge cuts him off."""
AFTER_S = 0.9
"""So long the departure of a hand waits for the change it made to show."""
STILL_S = 60.0
"""Motionless for so long is worth a word."""
STILL_SHARE = 0.04
"""Motionless: less than this part changes from picture to picture."""
HABIT_S = 30.0
"""Something that stood in the settled scene for so long and moves now is worth a word."""
KEPT_S = 900.0
"""A thing that has been motionless for so long belongs to the scene from then on."""
WEIGH_S = 3.5
"""For so long after it appeared a new thing may still prove to be something."""
MOST = 16
"""So many things are followed at once."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One happening. `value`: how sure, 0 to 1. `key` names it; a later sighting with the same key replaces it."""

    kind: str
    value: float
    box: Box | None
    key: str
    t: float


@dataclass(slots=True, eq=False)
class Thing:
    """Something followed. `size` is its usual area, `first` where it was when it was first seen."""

    id: int
    region: Region
    first: Mask
    born: float
    seen: float
    size: float
    value: float
    known: bool = False
    """it has been announced, or needs no announcement"""
    announced: bool = False
    """its coming has been offered, so its going is worth a word"""
    split: bool = False
    """it came off another thing and is too young to count"""
    reached_in: bool = True
    """it has always touched the edge of the picture: a hand, not a whole person"""
    reached_at: float = -1e9
    """when it was last seen like that"""
    rests_since: float = 0.0
    told_still: bool = False
    going: bool = False
    """its departure has been announced, a sliver of it is left"""
    trail: Mask = field(default_factory=lambda: np.zeros((1, 1), bool))
    """everywhere it has been"""
    worked: bool = False
    """the scene changed where it has been"""
    missed: int = 0
    apart: int = 0
    """for so many pictures it has been in pieces that are far from one another"""


@dataclass(slots=True)
class Outcome:
    """What one picture led to. `accept` belongs to the scene now, `agitate` was the scene's own unrest."""

    sightings: list[Sighting] = field(default_factory=list)
    accept: list[Mask] = field(default_factory=list)
    agitate: list[Mask] = field(default_factory=list)


def sureness(region: Region, extra: float = 0.0) -> float:
    """How sure a region is something: grows with its size, its contrast and the part of its outline that is an edge."""
    z = extra + 0.3 + math.log(max(region.area, 1e-5) / 0.005) + math.log(max(region.contrast, 0.1) / 1.5) + 3 * (region.edged - 0.4)
    return 1 / (1 + math.exp(-z))


def plain(region: Region) -> bool:
    """Plainly something in front of the scene: of a size, and without a trace of something gone."""
    return region.vacated < 0.2 and region.area > SIZEABLE / 2


def alike(a: Region, b: Region) -> bool:
    """May the two be one thing at two moments? Sizes agree roughly; at the edge only a part is seen."""
    ratio = a.area / b.area
    return (ratio > 0.15 or a.at_edge) and (ratio < 7 or b.at_edge)


def one_upright(a: Region, b: Region) -> bool:
    """Two pieces above one another: most likely one person whose middle matches the wall behind."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    return across > 0.5 * min(a.x1 - a.x0, b.x1 - b.x0) and gap(a, b) < 0.25


def alike_place(a: Region, b: Region) -> float:
    """Overlap of two regions as part of both together, 0 to 1."""
    return float((a.mask & b.mask).sum()) / float((a.mask | b.mask).sum())


class Things:
    def __init__(self) -> None:
        self.all: list[Thing] = []
        self._count = 0
        self._settled_since = 0.0
        self._light_at = -1e9
        self._farewells: list[tuple[Sighting, Thing]] = []
        self._changes: list[tuple[float, Region]] = []

    def light_stepped(self, t: float) -> None:
        """The light jumped: what looks changed in the next seconds is the light."""
        self._light_at = t

    def settle_at(self, t: float) -> None:
        """The scene was learnt anew: nothing is followed, nothing has stood for long."""
        self.all.clear()
        self._farewells.clear()
        self._settled_since = t

    def adopt(self, regions: list[Region], t: float) -> None:
        """Follow what is there without a word."""
        for region in regions:
            if region.area >= SIZEABLE / 2 and region.edged >= EDGED and region.vacated < 0.35:
                self._new(region, t, known=True)

    def mask(self, shape: tuple[int, int]) -> Mask:
        """Where things are, with a margin, so that the scene behind them is not learnt wrongly."""
        out = np.zeros(shape, bool)
        for thing in self.all:
            r, m = thing.region, 4
            out[max(0, r.y0 - m) : r.y1 + m, max(0, r.x0 - m) : r.x1 + m] = True
        return out

    # ------------------------------------------------------------------------------------------------- one picture

    def update(self, regions: list[Region], diff: Difference, t: float, dt: float, stable_s: float) -> Outcome:
        out = Outcome()
        real = [r for r in regions if r.area >= SMALL and r.edged >= EDGED and not r.rim]
        echoes = [r for r in real if self._is_echo(r, t, dt)]
        out.accept += [r.mask for r in echoes]
        real = [r for r in real if r not in echoes]
        gone_places = [r for r in real if self._is_vacated(r)]
        bodies = [r for r in real if r not in gone_places]
        links, free = self._link(bodies, diff, t, dt)
        changed: list[Region] = []
        lost: list[Thing] = []
        for thing in list(self.all):
            mine = links.get(thing.id, [])
            if mine:
                self._seen(thing, mine, diff, t, dt, stable_s, out, changed, gone_places)
            else:
                lost.append(thing)
        for body in free:
            self._appeared(body, t, dt, out, gone_places)
        changed += self._vacated(gone_places, t, out)
        for thing in lost:
            self._missed(thing, t, out, changed)
        self._report_changes(changed, t, out)
        for sighting, thing in list(self._farewells):
            if thing.worked or t - sighting.t >= AFTER_S:
                self._farewells.remove((sighting, thing))
                if not thing.worked:
                    out.sightings.append(replace(sighting, t=t))
        self._merge()
        del self.all[MOST:]
        return out

    def _is_echo(self, region: Region, t: float, dt: float) -> bool:
        """What is left to see of a change that has just been taken into the scene."""
        return not region.at_edge and any(
            t - at < 1.5 * dt and region.area < 1.2 * e.area and (region.mask & grow(e.mask, 4)).sum() > 0.7 * region.mask.sum()
            for at, e in self._changes
        )

    def _is_vacated(self, region: Region) -> bool:
        """A place that something left, and not (or no longer) a thing."""
        mine = [x for x in self.all if (region.mask & x.region.mask).any()]
        if region.vacated < (VACATED if region.stable >= RESTS and not mine else SURELY_VACATED):
            return False
        if region.moving >= MOVES:  # it may still be the thing that leaves the place, half out of the picture
            return not (region.at_edge and mine)
        # What was a thing a moment ago and has not moved is one now.
        return not any(alike_place(region, x.region) > 0.5 for x in mine)

    def _link(self, bodies: list[Region], diff: Difference, t: float, dt: float) -> tuple[dict[int, list[Region]], list[Region]]:
        """Which bodies are which things: by overlap, then what moved by distance. Returns the bodies left over, too."""
        links: dict[int, list[Region]] = {}
        free: list[Region] = []
        for body in bodies:
            overlaps = [(int((body.mask & grow(t.region.mask, 2)).sum()), t) for t in self.all]
            mine = [t for n, t in overlaps if n > 0.1 * min(body.area, t.region.area) * body.mask.size]
            for thing in mine:
                links.setdefault(thing.id, []).append(body)
            if not mine:
                free.append(body)
        reach = min(0.6, REACH + REACH_PER_S * dt)
        for thing in self.all:
            # What was moving and now only rests where it was may have gone on: then the mover is the thing.
            mine = links.get(thing.id, [])
            if mine and (not thing.known or any(self._left_behind(thing, b, diff, t) for b in mine)) and all(b.stable >= RESTS for b in mine):
                went_on = [b for b in free if b.moving >= MOVES and gap(b, thing.region) <= reach and alike(b, thing.region)]
                if went_on:
                    next_body = min(went_on, key=lambda b: gap(b, thing.region))
                    links[thing.id] = [next_body, *mine]
                    free.remove(next_body)
        pairs = sorted(
            (gap(b, t.region), i, t.id)
            for i, b in enumerate(free)
            if b.moving >= MOVES
            for t in self.all
            if t.id not in links and alike(b, t.region)
        )
        used: set[int] = set()
        for distance, i, thing_id in pairs:
            if distance <= reach and i not in used and thing_id not in links:
                links[thing_id] = [free[i]]
                used.add(i)
        free = [b for i, b in enumerate(free) if i not in used]
        for thing_id, mine in links.items():
            legs = [b for b in free if b.moving >= MOVES and any(o.moving >= MOVES and one_upright(o, b) for o in mine)]
            links[thing_id] = mine + legs
            free = [b for b in free if b not in legs]
        return links, free

    # ---------------------------------------------------------------------------------------------- what was seen

    def _seen(
        self, thing: Thing, mine: list[Region], diff: Difference, t: float, dt: float, stable_s: float, out: Outcome, changed: list[Region], gone_places: list[Region]
    ) -> None:
        before = thing.region
        body = max(mine, key=lambda r: r.area * (0.3 + r.moving))
        with_it = [body]
        gone_on = body.moving >= MOVES and alike_place(body, before) < 0.4
        for piece in mine:
            if piece is body:
                continue
            apart = gap(piece, body)
            if not thing.known and piece.stable >= RESTS and (piece.mask & thing.first).any():
                gone_places.append(piece)
            elif piece.stable >= RESTS and gone_on and apart > BESIDE:
                changed.append(piece)
            elif apart > NEAR and thing.apart >= 2 and len(self.all) < MOST:
                self._new(piece, t, known=True, split=True, value=thing.value)
            else:
                with_it.append(piece)
        thing.apart = thing.apart + 1 if any(gap(piece, body) > NEAR for piece in with_it[1:]) else 0
        if len(with_it) > 1:
            body = union(diff, with_it, stable_s)
        if self._left_behind(thing, body, diff, t):
            changed.append(body)
            self._leaves(thing, t, out, changed)
            return
        thing.region, thing.seen, thing.missed = body, t, 0
        thing.trail = thing.trail | body.mask
        thing.size = max(body.area, thing.size * 0.85**dt)
        thing.value = max(thing.value, sureness(body, 0.4 if t > thing.born else 0.0))
        thing.reached_in &= body.at_edge
        if thing.reached_in:
            thing.reached_at = t
        if thing.split and t - thing.born > 3:
            thing.split = False
        if not thing.known:
            self._weigh(thing, body, diff, t, out, changed, gone_places)
        elif thing.going:
            if body.area > 2 * SLIVER * thing.size:
                thing.going = False
                out.sightings.append(Sighting("enter", thing.value, body.box, f"enter-{thing.id}-{t:.1f}", t))
        elif body.at_edge and body.area < SLIVER * thing.size and before.area > body.area and not thing.split:
            thing.going = True
            self._farewell(thing, t, out)
        if thing in self.all:
            self._stillness(thing, body, t, out)

    def _left_behind(self, thing: Thing, body: Region, diff: Difference, t: float) -> bool:
        """The part that moves is gone; what is left has not moved: it is not the thing, the thing left it behind."""
        before = thing.region
        if body.at_edge and before.at_edge:
            return False
        if t - thing.reached_at <= HANDLING_S and not body.at_edge and body.stable >= RESTS and body.area < LEFT_OVER * thing.size:
            return True
        if body.stable < RESTS / 2 or body.area > LEFT_OVER * before.area:
            return False
        if (body.mask & grow(before.mask, 2)).sum() < 0.75 * body.mask.sum():
            return False
        went = before.mask & ~grow(body.mask, 2)
        return bool(went.any() and diff.moved[went].mean() > 0.5)

    def _weigh(self, thing: Thing, body: Region, diff: Difference, t: float, out: Outcome, changed: list[Region], gone_places: list[Region]) -> None:
        """A new thing that has not been announced: did it come in, was it there before, was it put there, or is it nothing?"""
        size = math.sqrt(thing.first.sum() / thing.first.size)
        (x, y), (x0, y0) = body.centre, _centre(thing.first)
        off = math.hypot(x - x0, y - y0) / SIDE > 0.4 * size or (body.mask & thing.first).sum() < 0.35 * min(
            body.mask.sum(), thing.first.sum()
        )
        # A comer leaves the scene behind as it was; what stood in the scene leaves a gap in it.
        origin = thing.first & ~grow(body.mask, 2)
        differs = np.abs(diff.picture - diff.settled) > diff.tolerance
        was_there = origin.any() and float(differs[origin].mean()) > 0.3
        if off and was_there:
            thing.known = True
            out.accept.append(origin & differs)
            gone_places[:] = [g for g in gone_places if (g.mask & origin).sum() < 0.25 * g.mask.sum()]
            if t - self._settled_since > HABIT_S:
                out.sightings.append(Sighting("move", thing.value, body.box, f"move-{thing.id}-{t:.1f}", t))
        elif off or (body.at_edge and t - thing.born <= WEIGH_S) or (body.moving >= MOVES and plain(body) and t > thing.born):
            self._announce(thing, body, t, out)
        elif body.stable >= RESTS:
            changed.append(body)
            self.all.remove(thing)
        elif t - thing.born > WEIGH_S:
            if body.vacated < 0.3 and body.area > SIZEABLE / 2:
                self._announce(thing, body, t, out)
                thing.known = True
            else:
                out.agitate.append(body.mask)
                self.all.remove(thing)

    def _announce(self, thing: Thing, body: Region, t: float, out: Outcome) -> None:
        """Say that it came; while it is not sure enough, say so again with each picture until it is."""
        thing.known = thing.value >= 0.75 or t - thing.born > WEIGH_S
        thing.announced = True
        out.sightings.append(Sighting("enter", thing.value, body.box, f"enter-{thing.id}", t))

    def _stillness(self, thing: Thing, body: Region, t: float, out: Outcome) -> None:
        if body.moving > STILL_SHARE and t > thing.born:
            long = t - thing.rests_since >= STILL_S
            if long and body.moving < MOVES:
                return  # a gesture; it did not go anywhere
            if thing.told_still and long and thing.known:
                out.sightings.append(Sighting("move", thing.value, body.box, f"move-{thing.id}-{t:.1f}", t))
            thing.rests_since, thing.told_still = t, False
        elif thing.known and not thing.told_still and t - thing.rests_since >= STILL_S:
            thing.told_still = True
            out.sightings.append(Sighting("still", thing.value * 0.95, body.box, f"still-{thing.id}-{t:.1f}", t))
        if t - thing.rests_since > KEPT_S:
            out.accept.append(body.mask)
            self.all.remove(thing)

    # --------------------------------------------------------------------------------------------- what was not seen

    def _missed(self, thing: Thing, t: float, out: Outcome, changed: list[Region]) -> None:
        r = thing.region
        if not thing.known and not thing.announced:
            out.agitate.append(r.mask)  # seen once, then never again: the place's own unrest
            self.all.remove(thing)
            return
        thing.missed += 1
        walked = r.moving >= MOVES or r.at_edge
        if walked or thing.missed >= 2:
            self._leaves(thing, t, out, changed)

    def _leaves(self, thing: Thing, t: float, out: Outcome, changed: list[Region]) -> None:
        self.all.remove(thing)
        if (thing.known or thing.announced) and not (thing.going or thing.split):
            self._farewell(thing, t, out)

    def _farewell(self, thing: Thing, t: float, out: Outcome) -> None:
        """A hand that changed something has said all by that, so a hand's departure waits for what it leaves behind."""
        sighting = Sighting("leave", thing.value, thing.region.box, f"leave-{thing.id}", t)
        if not thing.reached_in or t - thing.born > VISIT_S:
            out.sightings.append(sighting)
        elif not thing.worked:
            self._farewells.append((sighting, thing))

    def _appeared(self, body: Region, t: float, dt: float, out: Outcome, gone_places: list[Region]) -> None:
        if len(self.all) >= MOST:
            return
        thing = self._new(body, t)
        reach = REACH + REACH_PER_S * dt
        sources = [g for g in gone_places if g.moving >= MOVES and gap(g, body) < reach and 0.2 < body.area / g.area < 4]
        if body.moving >= MOVES and sources and not any(x.known for x in self.all if x is not thing):
            # It moved away from where it stood in the settled scene, or came and took that: the place tells it.
            thing.known = thing.announced = True
        elif body.moving >= MOVES and body.vacated < 0.35 and (body.at_edge or (dt >= 1.5 and not gone_places)):
            self._announce(thing, body, t, out)
        # Else the next picture tells a comer from something put, taken or restless.

    # --------------------------------------------------------------------------------------------- the scene changed

    def _vacated(self, places: list[Region], t: float, out: Outcome) -> list[Region]:
        """Places something left. Where a young thing came from it is explained; otherwise something was taken."""
        changed = []
        for place in places:
            source = next((x for x in self.all if self._came_from(x, place, t)), None)
            if source is not None:
                if t - source.born < 1e-6:
                    source.first = source.first | place.mask
                continue
            if any(x.known and x.seen == t and gap(place, x.region) < BESIDE and x.region.area > place.area for x in self.all):
                continue  # somebody stands right in front of it: wait for a clear view
            changed.append(place)
        return changed

    def _came_from(self, thing: Thing, place: Region, t: float) -> bool:
        """May the young thing be what left this place? They are near and of a size."""
        young = not thing.known and not thing.region.at_edge and t - thing.born < WEIGH_S
        return young and gap(place, thing.region) < 0.3 and 0.3 < thing.region.area / place.area < 3

    def _report_changes(self, changed: list[Region], t: float, out: Outcome) -> None:
        """All changes of one moment are one sighting: where they are far apart, of the surest one's place."""
        out.accept += [r.mask for r in changed]
        for thing in self.all + [x for _, x in self._farewells]:
            thing.worked |= any((thing.trail & r.mask).any() for r in changed)
        self._changes = [(at, r) for at, r in self._changes if t - at <= ECHO_S]
        fresh = [r for r in changed if not any(gap(r, e) < NEAR and r.area < e.area for _, e in self._changes)]
        self._changes = (self._changes + [(t, r) for r in fresh])[-MOST:]
        if not fresh or t - self._light_at < LIGHT_S:
            return
        self._count += 1
        first = max(fresh, key=lambda r: sureness(r))
        near = [r for r in fresh if gap(r, first) < 2 * NEAR]
        box = Box(
            min(r.box.x0 for r in near), min(r.box.y0 for r in near), max(r.box.x1 for r in near), max(r.box.y1 for r in near)
        )
        out.sightings.append(Sighting("changed", sureness(first, 0.6), box, f"changed-{self._count}", t))

    def _merge(self) -> None:
        """Things that share a region for a while are one."""
        for a in list(self.all):
            for b in list(self.all):
                if a is not b and a in self.all and b in self.all and a.region is b.region and a.born <= b.born and (b.split or b.known):
                    self.all.remove(b)
                    a.value, a.known = max(a.value, b.value), a.known or b.known

    def _new(self, region: Region, t: float, known: bool = False, split: bool = False, value: float = 0.0) -> Thing:
        self._count += 1
        thing = Thing(
            id=self._count,
            region=region,
            first=region.mask,
            born=t,
            seen=t,
            size=region.area,
            value=max(value, sureness(region)),
            known=known,
            split=split,
            reached_in=region.at_edge,
            reached_at=t if region.at_edge else -1e9,
            rests_since=t,
            trail=region.mask,
        )
        self.all.append(thing)
        return thing


def _centre(mask: Mask) -> tuple[float, float]:
    ys, xs = np.nonzero(mask)
    return (float(xs.min() + xs.max() + 1) / 2, float(ys.min() + ys.max() + 1) / 2) if xs.size else (0.0, 0.0)
