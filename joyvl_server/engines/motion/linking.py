"""Which regions of a picture are whose: by overlap, by nearness, and who is one from the start."""

from __future__ import annotations

from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.picture import grow
from joyvl_server.engines.motion.regions import EDGED, Region, describe, gap
from joyvl_server.engines.motion.thing import Thing, divide, one_upright

ALIVE = 0.3
"""A region is alive when at least this part of it moved within the last moment."""
LARGE = 0.02
"""Large, as part of the picture: about 18 x 23 pixels."""
FAINT = 0.5
"""Somebody known, or large and moving, needs only this part of the usual outline: shadows go along and blur it."""
REACH = 0.03
"""How far somebody may jump between two pictures without overlapping himself, in picture widths: this …"""
REACH_PER_S = 0.5
"""… and so much a second: a brisk walk close to the camera."""
JOINED_S = 2.0
"""Two movers that grow together while one is younger than this were one from the start."""


def is_real(region: Region, things: list[Thing]) -> bool:
    """Less of an outline will do for what is somebody already, and for what is large and moves."""
    if region.edged < EDGED * FAINT:
        return False
    if region.area >= LARGE and region.moving >= ALIVE:
        return True
    return any(x.known and (x.region.mask & region.mask).any() for x in things)


def link(
    things: list[Thing], regions: list[Region], diff: Difference, dt: float, stable_s: float
) -> tuple[dict[int, list[Region]], list[Region]]:
    """Which regions are whose: by overlap, then by nearness. A region that several share is divided among them."""
    links: dict[int, list[Region]] = {}
    free: list[Region] = []
    near = {x.id: grow(x.region.mask, 2) for x in things}
    for region in regions:
        mine = []
        for thing in things:
            both = int((region.mask & near[thing.id]).sum())
            if both > 0.1 * min(region.area, thing.region.area) * region.mask.size:
                mine.append(thing)
        if not mine:
            free.append(region)
        elif len(mine) == 1:
            links.setdefault(mine[0].id, []).append(region)
        else:
            for thing, part in zip(mine, divide(region, [x.region.mask for x in mine]), strict=True):
                if part.any():
                    links.setdefault(thing.id, []).append(describe(diff, part, stable_s))
    reach = min(0.4, REACH + REACH_PER_S * dt)
    for thing in things:
        own = links.get(thing.id, [])
        if any(r.alive >= ALIVE for r in own) or (own and dt < 0.5):
            continue
        went_on = [
            r
            for r in free
            if r.alive >= ALIVE and gap(r, thing.region) <= reach and 0.15 < r.area / thing.region.area < 7
        ]
        if went_on:
            best = min(went_on, key=lambda r: gap(r, thing.region))
            free.remove(best)
            links.setdefault(thing.id, []).append(best)
    for thing in things:
        movers = [r for r in links.get(thing.id, []) if r.alive >= ALIVE]
        limbs = [r for r in free if r.alive >= ALIVE and any(one_upright(r, m) for m in movers)]
        if limbs:
            links[thing.id] += limbs
            free = [r for r in free if r not in limbs]
    return links, free


def join_young(things: list[Thing], t: float) -> None:
    """Two that touch while one is young were one from the start: an arm and its body, a head and its shadow."""
    for young in list(things):
        if t - young.born > JOINED_S or young.seen != t:
            continue
        for old in things:
            if old is not young and old.born <= young.born and old.seen == t and gap(old.region, young.region) <= 0.015:
                old.origin = old.origin | young.origin
                things.remove(young)
                break
