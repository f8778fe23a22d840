"""Things that come, stay and go: regions linked from picture to picture, and the sightings that follow from it.

Pictures come about five times a second, so that a thing overlaps itself from one to the next. Three rules carry
everything: what is alive (moved a moment ago) and lasts is somebody; what a mover leaves at rest behind it is a
change of the scene; what came in as a whole is the same somebody until its place looks like the settled scene again.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from joyvl_server.engines.motion.background import Difference
from joyvl_server.engines.motion.changes import Changes
from joyvl_server.engines.motion.linking import ALIVE, JOINED_S, LARGE, is_real, join_young, link
from joyvl_server.engines.motion.picture import Mask, grow
from joyvl_server.engines.motion.regions import EDGED, NEAR, Region, gap, union
from joyvl_server.engines.motion.sighting import Outcome, Sighting, sureness
from joyvl_server.engines.motion.thing import (
    VACATED,
    Thing,
    clear_of,
    gap_remains,
    holds,
    is_origin,
    is_vacant,
    one_upright,
)

SMALL = 0.0022
"""Smaller regions are nobody and nothing, as part of the picture: about 6 x 8 pixels."""
RESTING_WEIGHT = 0.15
"""Of several pieces the one that moves most is the somebody; what rests counts by this part of its size."""
RESTS = 0.7
"""A region rests when at least this part of it has not."""
SLOW_S = 0.7
"""When pictures come slower than this, what comes over the edge is announced at first sight."""
LASTS_S = 0.35
"""What is seen alive for so long is somebody: two or three pictures, longer than a flicker or a falling leaf."""
ORIGIN_S = 0.5
"""Where somebody is seen for so long after he appeared is where he comes from."""
PROVE_S = 2.0
"""What is alive but neither came over the edge nor goes anywhere has so long to prove that it is somebody."""
GONE_S = 0.35
"""Somebody not seen for so long, whose place is the settled scene again, is gone …"""
LOST_S = 2.0
"""… and somebody not seen for so long is gone in any case."""
PAST_S = 1.2
"""A mover lets go of a thing and is away from it within so many seconds."""
LEFT_OVER = 0.6
"""When somebody suddenly has less than this part of his size and the rest rests, the rest was left behind."""
SLIVER = 0.2
"""Somebody at the edge with less than this part of his size left is as good as gone …"""
SLIVER_S = 0.35
"""… after so many seconds: shadows and a trailing foot stay in view."""
WHOLE_S = 0.8
"""Clear of the edge for so long, somebody is in the picture as a whole."""
VISIT_S = 8.0
"""A hand that reaches in stays shorter than this; who stays longer is somebody."""
HANDLED_S = 4.0
"""The departure of a hand so soon after a change that it made is not worth a word."""
STILL_S = 60.0
"""Motionless for so long is worth a word."""
SAME_PLACE = 0.5
"""Motionless: outline now and then share at least this part of both."""
HABIT_S = 30.0
"""Something that stood in the settled scene for so long and moves now is worth a word."""
KEPT_S = 900.0
"""A thing that has been motionless for so long belongs to the scene from then on."""
MOST = 16
"""So many things are followed at once."""


class Things:
    def __init__(self) -> None:
        self.all: list[Thing] = []
        self.changes = Changes()
        self._gone: list[Thing] = []
        self._count = 0
        self._settled_since = 0.0

    def light_stepped(self, t: float) -> None:
        self.changes.light_stepped(t)

    def settle_at(self, t: float) -> None:
        """The scene was learnt anew: nothing is followed, nothing has stood for long."""
        self.all.clear()
        self.changes.forget()
        self._settled_since = t

    def adopt(self, regions: list[Region], t: float) -> None:
        """Follow what is there without a word."""
        for region in regions:
            if region.area >= 4 * SMALL and region.edged >= EDGED and region.vacated < 0.35:
                self._new(region, t).known = True

    def mask(self, shape: tuple[int, ...]) -> Mask:
        """Where things are, with a margin, so that the scene behind them is not learnt wrongly."""
        out = np.zeros(shape, bool)
        for thing in self.all:
            r, m = thing.region, 4
            out[max(0, r.y0 - m) : r.y1 + m, max(0, r.x0 - m) : r.x1 + m] = True
        return out

    def update(self, regions: list[Region], diff: Difference, t: float, dt: float, stable_s: float) -> Outcome:
        """What one more picture means."""
        out = Outcome()
        real = [r for r in regions if r.area >= SMALL and (r.edged >= EDGED or is_real(r, self.all))]
        links, free = link(self.all, real, diff, dt, stable_s)
        left: list[Region] = []
        for thing in list(self.all):
            mine = links.get(thing.id, [])
            if mine:
                self._seen(thing, mine, diff, t, stable_s, out, left)
            else:
                self._missed(thing, regions, t, out)
        for region in free:
            if region.alive >= ALIVE and region.vacated < 0.85 and len(self.all) < MOST:
                thing = self._new(region, t)
                if dt >= SLOW_S and region.at_edge and region.area >= 2 * SMALL:
                    self._announce(thing, region, t, out)
            else:
                left.append(region)
        join_young(self.all, t)
        explained = [r for r in left if any(is_origin(x, r) and x.from_scene for x in self.all)]
        out.accept += [r.mask for r in explained]
        left = [r for r in left if r not in explained]
        movers = [x.region for x in self.all if x.seen == t and x.region.alive >= ALIVE / 2]
        hands = [
            x.region for x in self.all if x.known and not x.whole and t - x.born <= VISIT_S and x not in self._gone
        ]
        gone, self._gone = self._gone, []
        for region in self.changes.update(left, movers, hands, t, dt, out):
            for thing in self.all + gone:
                if (thing.trail & grow(region.mask, 3)).any():
                    thing.worked_at = t
        for thing in gone:
            self._say_leave(thing, t, out)
        return out

    # ---------------------------------------------------------------------------------------------- what was seen

    def _seen(
        self,
        thing: Thing,
        mine: list[Region],
        diff: Difference,
        t: float,
        stable_s: float,
        out: Outcome,
        left: list[Region],
    ) -> None:
        body = max(mine, key=lambda r: r.area * (RESTING_WEIGHT + r.moving) * (0.1 if r.vacated > VACATED else 1.0))
        with_it, shed = [body], []
        for piece in mine:
            if piece is body:
                continue
            apart = gap(piece, body)
            vacant = is_vacant(piece)
            if is_origin(thing, piece):
                thing.from_scene = True
                out.accept.append(piece.mask)
            elif vacant or (
                piece.stable >= RESTS and body.alive >= ALIVE and apart > NEAR and not one_upright(piece, body)
            ):
                shed.append(piece)
            elif piece.alive >= ALIVE and apart > NEAR and not one_upright(piece, body) and len(self.all) < MOST:
                thing.apart_since = min(thing.apart_since, t)
                if t - thing.apart_since >= JOINED_S / 2:
                    other = self._new(piece, t)
                    other.known, other.quiet = thing.known, True
                    thing.apart_since = math.inf
                else:
                    with_it.append(piece)
            else:
                with_it.append(piece)
        if len(with_it) == 1:
            thing.apart_since = math.inf
        else:
            body = union(diff, with_it, stable_s)
        left += shed
        if self._left_behind(thing, body, diff, t):
            left.append(body)
            self._leaves(thing)
            return
        thing.region, thing.seen = body, t
        thing.past.append((t, body))
        while thing.past and t - thing.past[0][0] > PAST_S and len(thing.past) > 2:
            thing.past.popleft()
        thing.trail = thing.trail | body.mask
        thing.size = max(body.area, thing.size * 0.98)
        thing.value = max(thing.value, sureness(body, 0.4 if t > thing.born else 0.0))
        if body.at_edge:
            thing.edge_at = t
        thing.whole |= t - thing.edge_at >= WHOLE_S
        if not thing.known:
            self._weigh(thing, body, diff, t, out, left)
        if thing in self.all:
            self._dwindles(thing, body, t)
            self._stillness(thing, body, t, out)

    def _left_behind(self, thing: Thing, body: Region, diff: Difference, t: float) -> bool:
        """What moved has gone, its place is the settled scene again, and what is left rests: it was left behind."""
        rests = not body.at_edge and (body.stable >= RESTS or holds(body, thing.past[-1][1]))
        if not (rests or is_vacant(body)):
            return False
        for _, was in thing.past:
            if body.area > LEFT_OVER * was.area or (body.mask & grow(was.mask, 2)).sum() < 0.75 * body.mask.sum():
                continue
            went = was.mask & ~grow(body.mask, 2)
            lately = diff.stable_s[went] < 2 * PAST_S
            if went.any() and float(lately.mean()) > 0.5 and float((diff.excess[went] < 1).mean()) > 0.7:
                return True
        return False

    def _weigh(self, thing: Thing, body: Region, diff: Difference, t: float, out: Outcome, left: list[Region]) -> None:
        """Not announced yet: did it come in, was it there before, was it put there, or is it nothing?"""
        age = t - thing.born
        if age <= ORIGIN_S and not thing.first.at_edge:
            thing.first, thing.origin = body, thing.origin | body.mask
        off = clear_of(body, thing.first)
        if body.stable >= RESTS and not body.at_edge:
            left.append(body)
            self.all.remove(thing)
        elif age < LASTS_S:
            return
        elif off and not thing.first.at_edge and not thing.from_scene and gap_remains(thing.first.mask, diff):
            thing.from_scene = True
        elif thing.from_scene:
            thing.known = True
            if t - self._settled_since > HABIT_S:
                out.sightings.append(Sighting("move", thing.value, body.box, f"move-{thing.id}-{t:.1f}", t))
        elif (thing.first.at_edge and not thing.flickers) or (off and age >= PROVE_S / 2 and not thing.flickers):
            self._announce(thing, body, t, out)
        elif age > PROVE_S:
            if not thing.flickers and body.vacated < 0.15 and body.area > 4 * SMALL and body.edged > 2 * EDGED:
                self._announce(thing, body, t, out)
            else:
                out.agitate.append(thing.trail)
                self.all.remove(thing)

    def _announce(self, thing: Thing, body: Region, t: float, out: Outcome) -> None:
        """Say that it came; while it is not sure enough, say so again with each picture until it is."""
        thing.known = thing.value >= 0.75 or t - thing.born > 2 * PROVE_S
        out.sightings.append(Sighting("enter", thing.value, body.box, f"enter-{thing.id}", t))

    def _dwindles(self, thing: Thing, body: Region, t: float) -> None:
        """Somebody at the edge of whom only a sliver is left is gone; should he come back, he enters again."""
        if not (body.at_edge and body.area < SLIVER * thing.size):
            thing.sliver_since = math.inf
            if thing.gone_said and body.area > 3 * SLIVER * thing.size:
                thing.gone_said, thing.known, thing.born = False, False, t
            return
        thing.sliver_since = min(thing.sliver_since, t)
        if t - thing.sliver_since >= SLIVER_S and not thing.gone_said:
            thing.gone_said = True
            self._gone.append(thing)

    def _stillness(self, thing: Thing, body: Region, t: float, out: Outcome) -> None:
        both = float((body.mask & thing.anchor).sum())
        if both < SAME_PLACE * float((body.mask | thing.anchor).sum()):
            if thing.told_still:
                out.sightings.append(Sighting("move", thing.value, body.box, f"move-{thing.id}-{t:.1f}", t))
            thing.anchor, thing.rests_since, thing.told_still = body.mask, t, False
        elif thing.known and not thing.told_still and t - thing.rests_since >= STILL_S:
            thing.told_still = True
            out.sightings.append(Sighting("still", thing.value * 0.95, body.box, f"still-{thing.id}-{t:.1f}", t))
        if t - thing.rests_since > KEPT_S:
            out.accept.append(body.mask)
            self.all.remove(thing)

    # ------------------------------------------------------------------------------------------ what was not seen

    def _missed(self, thing: Thing, regions: list[Region], t: float, out: Outcome) -> None:
        unseen = t - thing.seen
        if not thing.known:
            thing.flickers = True
        if not thing.known and unseen >= GONE_S and t - thing.born < LASTS_S + unseen:
            if not thing.first.at_edge or thing.size < LARGE:
                out.agitate.append(thing.region.mask)  # seen for a moment, then never again: the place's own unrest
            self.all.remove(thing)
            return
        last = thing.region
        restored = not any(float(r.mask[last.mask].mean()) > 0.2 for r in regions)
        leaving = last.at_edge or last.area < SLIVER * thing.size
        if (restored and (unseen >= GONE_S or leaving)) or unseen >= LOST_S:
            self._leaves(thing)

    def _leaves(self, thing: Thing) -> None:
        self.all.remove(thing)
        if not thing.gone_said:
            self._gone.append(thing)

    def _say_leave(self, thing: Thing, t: float, out: Outcome) -> None:
        # A hand that changed something has said all by that.
        hand = t - thing.born <= VISIT_S and (t - thing.worked_at <= HANDLED_S or self.changes.pending_in(thing.trail))
        if hand:  # … and that it came need not be said any more either
            out.sightings.append(Sighting("enter", 0.0, None, f"enter-{thing.id}", t))
        elif thing.known and not (thing.quiet and t - thing.born < 2 * JOINED_S):
            out.sightings.append(Sighting("leave", thing.value, thing.region.box, f"leave-{thing.id}", t))

    # ---------------------------------------------------------------------------------------------------- keeping

    def _new(self, region: Region, t: float) -> Thing:
        self._count += 1
        thing = Thing(
            id=self._count,
            region=region,
            first=region,
            born=t,
            seen=t,
            size=region.area,
            value=sureness(region),
            past=deque([(t, region)]),
            origin=region.mask,
            trail=region.mask,
            anchor=region.mask,
            rests_since=t,
            edge_at=t if region.at_edge else -1e9,
            whole=not region.at_edge,
        )
        self.all.append(thing)
        return thing
