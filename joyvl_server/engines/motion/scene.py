"""One camera's scene: what each new picture means. Plain Python, no asyncio; a few milliseconds a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from joyvl_server.core.frame import Grey
from joyvl_server.engines.motion.background import Background, Difference
from joyvl_server.engines.motion.camera import Freezer, View, ViewState, is_another_view, is_blank
from joyvl_server.engines.motion.picture import Mask, Picture, grow, prepare
from joyvl_server.engines.motion.regions import EDGED, Region, closed, find, together
from joyvl_server.engines.motion.sighting import MotionFrame, Sighting
from joyvl_server.engines.motion.thing import MOVES, SMALL
from joyvl_server.engines.motion.things import Things

WARM_UP = 3
"""This many pictures are looked at before anything is said about things: noise and unrest must be known first …"""
WARM_UP_S = 2.0
"""… and for at least this many seconds."""
STARTS_S = 5.0
"""A camera takes its time: exposure, night mode, the first whole picture. For so long after its start what happens to
the view as a whole is that, and the scene is learnt again; …"""
SETTLES_S = 10.0
"""… for so long it is, too, while it has not kept still for `WARM_UP_S` …"""
BLANK_S = 20.0
"""… and for so long nothing is said while there is only a blank picture."""
ANOTHER = 0.2
"""While the camera settles, a difference in this part of the picture is the camera."""
EVEN = 1.1
"""While it settles, a change of the light by more than this factor is the exposure."""
WRONG = 0.6
"""When this part of the picture differs, edges and all, …"""
WRONG_S = 6.0
"""… for so long, then what was learnt is wrong, whatever the reason."""
STEP_S = 0.5
"""Where more pictures than one a second are to be had, one is looked at about so often: a walker has moved by then."""
SOON_S = 0.3
"""Pictures closer than this are passed over: what moved and what rests is only seen over some time."""
BACK_S = 5.0
"""A picture older than the last one by more than this belongs to a stream that began again."""
GAP_S = 30.0
"""After a longer gap the scene is learnt once more: what happened in between nobody saw."""
FLOOD = 0.55
"""When more than this part of the picture differs although its details are the same, the light is another."""
LIGHT_STEP = 1.25
"""When the light changes by more than this factor from one picture to the next, the camera or a lamp did it."""
LIT = 0.1
"""Light makes and takes edges in less than this part of the picture."""
STABLE_S = 0.7
"""Unchanged for so long counts as stable: about a second, less the jitter of the ticks."""


class Scene:
    """`look()` at each picture in order of time. Everything it keeps is bounded: a dozen small pictures."""

    def __init__(self) -> None:
        self.camera = ViewState()
        self.freezer = Freezer()
        self.things = Things()
        self.background: Background | None = None
        self._t = -1e9
        self._count = 0
        self._light = 1.0
        self._learnt_at = 0.0
        self._begun_at = 0.0
        self._blank = False
        self._wrong_since: float | None = None

    def follow(self, pictures: Sequence[tuple[float, Grey]]) -> list[Sighting]:
        """Look at the last of `pictures` and, evenly spread, at some of the others since the last call."""
        now, last = pictures[-1][0], self._t
        steps = round((now - last) / STEP_S) if last <= now < last + GAP_S else 1
        sightings = []
        for i in range(1, max(1, min(steps, 8))):
            due = last + i * (now - last) / steps
            t, grey = min(pictures, key=lambda p: abs(p[0] - due))
            if abs(t - due) < 0.6 * STEP_S and t < now - SOON_S:
                sightings += self.look(grey, t)
        return sightings + self.look(pictures[-1][1], now)

    def look(self, grey: Grey, t: float) -> list[Sighting]:
        """What happened with this picture; `t` in stream seconds. One hardly newer than the last is passed over."""
        if self._t - BACK_S < t < self._t + SOON_S:
            return []
        if t < self._t:
            self.background = None  # the clock began again: another stream
        dt, self._t = t - self._t if self.background is not None else 1.0, t
        sightings = []
        if self.freezer.look(grey, t):
            sightings.append(self._whole("frozen", 0.9, t))
        picture = prepare(grey)
        if self.background is None or self.background.settled.shape != picture.shape or dt > GAP_S:
            self._begun_at = t
            self._begin(picture, t)
            return sightings
        return sightings + self._compare(self.background, picture, t, dt)

    def _compare(self, background: Background, picture: Picture, t: float, dt: float) -> list[Sighting]:
        warm = background.pictures >= WARM_UP and t - self._learnt_at >= WARM_UP_S
        settling = not warm and t - self._begun_at < SETTLES_S
        starting = settling or t - self._begun_at < STARTS_S
        if (starting or self._blank) and is_another_view(picture, background.settled, background.noise):
            return self._appeared(picture, t)
        report = self.camera.look(picture, background.settled, t, background.noise)
        if starting and report.began is not None:
            return self._appeared(picture, t)
        if report.began is not None:
            return [self._whole(report.began.value, report.value, t)]
        if report.view is not View.STEADY:
            return []
        if report.ended is not None:
            back = [] if report.ended is View.MOVING else [self._whole("changed", report.value, t)]
            if report.relearn:
                self._begun_at = t
                self._relearn(picture, t)
            else:
                diff = background.compare(picture, t)
                self.things.settle_at(t)
                self.things.adopt(find(diff, STABLE_S), t)
                background.learn(diff, t, self.things.mask(picture.shape), diff.excess > 1)
            return back
        diff = background.compare(picture if report.aligned is None else report.aligned, t)
        if settling and (differing(diff) > ANOTHER or not 1 / EVEN < diff.light < EVEN):
            return self._appeared(picture, t)
        if self._is_wrong(diff, t):
            self._begun_at = t
            self._begin(picture, t)
            return [self._whole("changed", 0.8, t)]
        regions = together(diff, find(diff, STABLE_S), STABLE_S, MOVES)
        if self._light_changed(diff):
            background.resettle(picture, self.things.mask(picture.shape))
            self.things.changes.light_stepped(t)
            return []
        last, self._light = self._light, diff.light
        if not 1 / LIGHT_STEP < diff.light / last < LIGHT_STEP:
            self.things.changes.light_stepped(t)
            unclear = self.things.mask(picture.shape) | grow(diff.excess > 1, 2)
            background.learn(diff, t, unclear, np.zeros(picture.shape, bool))
            return []
        if not warm or (self._blank and t - self._begun_at < BLANK_S):
            return self._warm_up(background, diff, regions, t)
        now = self.things.update(regions, diff, t, dt, STABLE_S)
        self._learn(background, diff, regions, now)
        return now.sightings

    def _learn(self, background: Background, diff: Difference, regions: list[Region], now: MotionFrame) -> None:
        for mask in now.agitate:
            background.agitate(diff, grow(mask, 2))
        for mask in now.accept:
            background.accept(diff, grow(closed(mask), 4))
        shape = diff.picture.shape
        open_questions = _union([r.mask for r in regions if r.edged >= EDGED and r.area >= SMALL], shape)
        for mask in now.accept + now.agitate:
            open_questions &= ~mask
        unreal = _union([r.mask for r in regions if r.edged < EDGED], shape)
        background.learn(diff, now.t, self.things.mask(shape) | grow(open_questions, 2), unreal)

    def _warm_up(self, background: Background, diff: Difference, regions: list[Region], t: float) -> list[Sighting]:
        """The first pictures: what moves is unrest or was there before; both are taken in without a word."""
        vacated = any(r.vacated > 0.65 and r.area > 0.005 for r in regions)
        for region in regions:
            if region.vacated > 0.65:
                background.accept(diff, grow(region.mask, 2))
            elif (vacated or region.at_edge) and region.vacated < 0.3:
                self.things.adopt([region], t)
            else:
                background.agitate(diff, grow(region.mask, 2))
        shape = diff.picture.shape
        background.learn(diff, t, self.things.mask(shape), np.zeros(shape, bool))
        return []

    def _appeared(self, picture: Picture, t: float) -> list[Sighting]:
        """The picture learnt before was none of the scene, or the camera had not settled yet: learn this one."""
        said = [] if t - self._begun_at < BLANK_S else [self._whole("changed", 0.8, t)]
        if said:
            self._begun_at = t
        self._begin(picture, t)
        return said

    def _is_wrong(self, diff: Difference, t: float) -> bool:
        if differing(diff) < WRONG or edges_of(diff) < LIT:
            self._wrong_since = None
        elif self._wrong_since is None:
            self._wrong_since = t
        return self._wrong_since is not None and t - self._wrong_since >= WRONG_S

    def _light_changed(self, diff: Difference) -> bool:
        """Most of the picture differs in brightness, but hardly an edge came or went."""
        return differing(diff) >= FLOOD and edges_of(diff) < LIT

    def _begin(self, picture: Picture, t: float) -> None:
        """Learn scene and camera from this picture alone."""
        self._relearn(picture, t)
        self.camera = ViewState()
        self.camera.look(picture, picture, t, 1.5)

    def _relearn(self, picture: Picture, t: float) -> None:
        self.background = Background(picture, t)
        self._blank, self._wrong_since = is_blank(picture, self.background.noise), None
        self._light, self._learnt_at = 1.0, t
        self.things.settle_at(t)

    def _whole(self, kind: str, value: float, t: float) -> Sighting:
        self._count += 1
        return Sighting(kind, value, None, f"{kind}-view-{self._count}-{t:.1f}", t)


def differing(diff: Difference) -> float:
    """The part of the picture that is not as usual."""
    return float((diff.excess > 1).mean())


def edges_of(diff: Difference) -> float:
    """The part of the picture where an edge came or went."""
    return float(((diff.gained > 0) | (diff.lost > 0)).mean())


def _union(masks: list[Mask], shape: tuple[int, ...]) -> Mask:
    out = np.zeros(shape, bool)
    for mask in masks:
        out |= mask
    return out
