"""Changes of the scene: something was put, taken or shifted, and rests."""

from __future__ import annotations

import math
from dataclasses import dataclass

from joyvl_server.core.zones import Box
from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import NEAR, Region, gap
from joyvl_server.engines.motion.sighting import Outcome, Sighting, sureness

ARM = 0.25
"""Closer than this part of `SIDE` to a hand that reaches in, a place may be what it holds: glass is half unseen."""
BESIDE = 0.03
"""Closer than this part of `SIDE` to a mover, a place is not in clear view yet."""
TWICE_S = 0.1
"""What has rested before is taken for a change the second time it is in clear view …"""
SLOW_S = 0.4
"""… or at once, when pictures come slower than this: it has rested from one to the next."""
RIPE_S = 0.35
"""In clear view for so long a place is taken for what it looks like: two or three pictures."""
SURE_S = 0.55
"""… and a little longer when something stands there: it may yet go on."""
VACATED = 0.65
"""From this share of lost edges on, something left the place."""
QUIET = 0.15
"""Less than this part of a quiet place changes from picture to picture."""
REST_S = 0.8
"""Beside a mover it must have rested for so long."""
PATIENCE_S = 6.0
"""A place that never comes to rest is dropped after so many seconds: it is no change, it is unrest."""
ECHO_S = 2.5
"""What changes again beside a change within so many seconds is the same change, settling."""
MOMENT_S = 1.0
"""What changes anywhere within so many seconds is one happening: two hands, two things."""
LIGHT_S = 3.5
"""For so long after the light jumped what looks changed is the light."""
RESTS = 0.7
"""A place rests when at least this part of it has not moved for a moment."""
MOST = 16


@dataclass(slots=True, eq=False)
class Place:
    """A difference without a mover on it. `clear_since`: no mover beside it since then;
    `quiet_since`: nothing moves in it; `rests_since`: the same, and no hand is near that may still hold it."""

    region: Region
    born: float
    seen: float
    clear_since: float
    quiet_since: float
    rests_since: float


class Changes:
    def __init__(self) -> None:
        self._places: list[Place] = []
        self._said: list[tuple[float, Region]] = []
        self._light_at = -1e9
        self._count = 0

    def light_stepped(self, t: float) -> None:
        self._light_at = t

    def forget(self) -> None:
        self._places.clear()
        self._said.clear()

    def pending_in(self, trail: Mask) -> bool:
        return any((p.region.mask & trail).any() for p in self._places)

    def update(
        self, regions: list[Region], movers: list[Region], hands: list[Region], t: float, dt: float, out: Outcome
    ) -> list[Region]:
        """Takes the regions no mover explains; says what is ripe. Returns what is said to have changed now."""
        self._follow(regions, movers, hands, t)
        ripe = [p.region for p in self._places if p.seen == t and self._is_ripe(p, t, dt)]
        self._places = [p for p in self._places if p.region not in ripe and t - p.seen < max(1.0, 1.5 * dt)]
        for place in list(self._places):
            if t - place.born > PATIENCE_S and t - place.clear_since > PATIENCE_S:
                out.agitate.append(place.region.mask)
                self._places.remove(place)
        if ripe:
            self._say(ripe, t, out)
        return ripe

    def _follow(self, regions: list[Region], movers: list[Region], hands: list[Region], t: float) -> None:
        for region in regions:
            free = all(gap(region, h) > ARM or h is region for h in hands)
            clear = free and all(gap(region, m) > BESIDE or m is region for m in movers)
            was = next(
                (
                    p
                    for p in self._places
                    if (p.region.mask & grow(region.mask, 2)).sum() > 0.3 * min(p.region.mask.sum(), region.mask.sum())
                ),
                None,
            )
            if was is None:
                if len(self._places) < MOST:
                    self._places.append(Place(region, t, t, t if clear else math.inf, t, t))
                continue
            was.region, was.seen = region, t
            if region.moving >= QUIET:
                was.quiet_since = t
            if region.moving >= QUIET or not free:
                was.rests_since = t
            was.clear_since = min(was.clear_since, t) if clear else math.inf

    def _is_ripe(self, place: Place, t: float, dt: float) -> bool:
        rests = place.region.stable >= RESTS
        clear_s, quiet_s = t - place.clear_since, t - place.quiet_since
        if clear_s >= (TWICE_S if dt < SLOW_S else 0.0) and (
            rests or (place.region.vacated >= VACATED and quiet_s >= RIPE_S)
        ):
            return True
        if min(clear_s, quiet_s) >= SURE_S:
            return True
        return rests and t - place.rests_since >= REST_S

    def _say(self, ripe: list[Region], t: float, out: Outcome) -> None:
        """All changes of one moment are one sighting: where they are far apart, of the surest one's place."""
        out.accept += [r.mask for r in ripe]
        self._said = [(at, r) for at, r in self._said if t - at <= ECHO_S]
        fresh = [r for r in ripe if not any(t - at <= MOMENT_S or _same_place(r, e) for at, e in self._said)]
        self._said = (self._said + [(t, r) for r in fresh])[-MOST:]
        if not fresh or t - self._light_at < LIGHT_S:
            return
        self._count += 1
        first = max(fresh, key=sureness)
        near = [r.box for r in fresh if gap(r, first) < 2 * NEAR]
        box = Box(min(b.x0 for b in near), min(b.y0 for b in near), max(b.x1 for b in near), max(b.y1 for b in near))
        out.sightings.append(Sighting("changed", sureness(first, 0.6), box, f"changed-{self._count}", t))


def _same_place(now: Region, said: Region) -> bool:
    """Overlapping, or a smaller piece beside it."""
    return bool((now.mask & grow(said.mask, 2)).any()) or (gap(now, said) < NEAR and now.area < said.area)
