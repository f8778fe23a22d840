"""Which region of the newest picture is which thing."""

from __future__ import annotations

from joyvl_server.engines.motion.picture import grow
from joyvl_server.engines.motion.regions import Region, gap
from joyvl_server.engines.motion.sighting import MotionFrame
from joyvl_server.engines.motion.thing import MOVES, RESTS, Thing, alike, one_upright, part_inside

OVERLAPS = 0.1
"""A region is (a piece of) a thing when they share at least this part of the smaller one."""
REACH = 0.1
"""How far a thing may have got between two pictures, in picture widths: this …"""
REACH_PER_S = 0.35
"""… and this much per second (a person who walks close to the camera) …"""
REACH_MOST = 0.6
"""… but never more than this."""
LEFT_OVER = 0.6
"""When a thing suddenly has less than this part of its size and the rest has not moved, the rest was left behind."""
HANDLING_S = 3.5
"""A hand that let go of something is out of the picture after this many seconds."""

Links = dict[int, list[Region]]


def reach(dt: float) -> float:
    return min(REACH_MOST, REACH + REACH_PER_S * dt)


def link(things: list[Thing], bodies: list[Region], now: MotionFrame) -> tuple[Links, list[Region]]:
    """Regions by thing (several are its pieces, several things may share one), and the regions that are nobody's."""
    links, free = _by_overlap(things, bodies)
    _gone_on(things, links, free, now)
    _by_distance(things, links, free, reach(now.dt))
    for thing_id, mine in links.items():
        legs = [b for b in free if b.moving >= MOVES and any(o.moving >= MOVES and one_upright(o, b) for o in mine)]
        links[thing_id] = mine + legs
        free = [b for b in free if b not in legs]
    return links, free


def _by_overlap(things: list[Thing], bodies: list[Region]) -> tuple[Links, list[Region]]:
    links: Links = {}
    free: list[Region] = []
    places = [(x, grow(x.region.mask, 2)) for x in things]
    for body in bodies:
        mine = [
            x
            for x, place in places
            if int((body.mask & place).sum()) > OVERLAPS * min(body.area, x.region.area) * body.mask.size
        ]
        for thing in mine:
            links.setdefault(thing.id, []).append(body)
        if not mine:
            free.append(body)
    return links, free


def _gone_on(things: list[Thing], links: Links, free: list[Region], now: MotionFrame) -> None:
    """What was moving and now only rests where it was may have gone on: then the mover is the thing."""
    for thing in things:
        mine = links.get(thing.id, [])
        if not mine or any(b.moving >= MOVES for b in mine):
            continue
        if thing.known and not any(left_behind(thing, b, now) for b in mine):
            continue
        near = [(gap(b, thing.region), i) for i, b in enumerate(free) if b.moving >= MOVES and alike(b, thing.region)]
        distance, index = min(near, default=(1.0, -1))
        if index >= 0 and distance <= reach(now.dt):
            links[thing.id] = [free.pop(index), *mine]


def _by_distance(things: list[Thing], links: Links, free: list[Region], most: float) -> None:
    """Things that nothing overlaps and movers that are nobody's, the nearest pairs first."""
    pairs = sorted(
        (gap(b, x.region), i, x.id)
        for i, b in enumerate(free)
        if b.moving >= MOVES
        for x in things
        if x.id not in links and alike(b, x.region)
    )
    used: set[int] = set()
    for distance, i, thing_id in pairs:
        if distance <= most and i not in used and thing_id not in links:
            links[thing_id] = [free[i]]
            used.add(i)
    free[:] = [b for i, b in enumerate(free) if i not in used]


def left_behind(thing: Thing, body: Region, now: MotionFrame) -> bool:
    """The part that moves is gone; what is left has not moved: it is not the thing, the thing left it behind."""
    before = thing.region
    if body.at_edge and before.at_edge:
        return False
    lately = now.t - thing.reached_at <= HANDLING_S and not body.at_edge
    if lately and body.stable >= RESTS and body.area < LEFT_OVER * thing.size:
        return True
    if body.stable < RESTS / 2 or body.area > LEFT_OVER * before.area:
        return False
    if part_inside(body.mask, grow(before.mask, 2)) < 0.75:
        return False
    went = before.mask & ~grow(body.mask, 2)
    return bool(went.any() and now.diff.moved[went].mean() > 0.5)
