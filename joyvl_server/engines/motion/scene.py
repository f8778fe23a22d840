"""One camera's scene: what each new picture means. Plain Python, no asyncio; a few milliseconds a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from joyvl_server.core.frame import Grey
from joyvl_server.engines.motion.background import Background, Difference
from joyvl_server.engines.motion.camera import Camera, Freezer, Report, View
from joyvl_server.engines.motion.linking import ALIVE
from joyvl_server.engines.motion.picture import Mask, Picture, grow, prepare
from joyvl_server.engines.motion.regions import EDGED, Region, closed, find, together
from joyvl_server.engines.motion.sighting import Outcome, Sighting
from joyvl_server.engines.motion.things import SMALL, Things

WARM_UP_S = 1.5
"""For so long nothing is said about things: noise and unrest must be known first."""
WARM_UP = 3
"""... and during at least so many pictures."""
VIEW_S = 0.8
"""The view as a whole is judged so often: less of a pan than of a second's worth cannot be told from a tremble."""
CROWDED = 0.35
"""With more of the picture different than this, the view is judged at once."""
WIDE = 0.75
"""Nobody who enters is at once as wide as this part of the picture."""
GAP_S = 30.0
"""After a longer gap the scene is learnt anew: what happened in between nobody saw."""
FLOOD = 0.55
"""When more than this part of the picture differs although its details are the same, the light is another."""
LIGHT_STEP = 1.12
"""When the light changes by more than this factor from one picture to the next, the camera or a lamp did it."""
STABLE_S = 0.8
"""Unchanged for so long counts as stable, where pictures come often enough."""


class Scene:
    """`look()` at each picture in order of time. Everything it keeps is bounded: a dozen small pictures."""

    def __init__(self) -> None:
        self.camera = Camera()
        self.freezer = Freezer()
        self.things = Things()
        self.background: Background | None = None
        self._t = -1.0
        self._count = 0
        self._light = 1.0
        self._started = 0.0
        self._viewed = -1e9
        self._unsure = False
        self._held: list[Sighting] = []
        self._differing = 0.0

    def look(self, grey: Grey, t: float) -> list[Sighting]:
        """What happened with this picture; `t` in stream seconds. A picture not newer than the last is ignored."""
        if t <= self._t:
            return []
        dt, self._t = t - self._t if self._t >= 0 else 1.0, t
        sightings = []
        if self.freezer.look(grey, t):
            sightings.append(self._whole("frozen", 0.9, t))
        picture = prepare(grey)
        if self.background is None or self.background.settled.shape != picture.shape or dt > GAP_S:
            self._relearn(picture, t)
            self.camera = Camera()
            self.camera.look(picture, picture, t, 1.5)
            return sightings
        return sightings + self._compare(self.background, picture, t, dt)

    def _compare(self, background: Background, picture: Picture, t: float, dt: float) -> list[Sighting]:
        due = VIEW_S if self._differing < CROWDED else VIEW_S / 2
        report = Report(self.camera.view)
        if t - self._viewed >= due - 0.01:
            report = self._judge(background, picture, t)
        if report.began is not None:
            return [self._whole(report.began.value, report.value, t)]
        if report.view is not View.STEADY or self._unsure:
            return []
        if report.ended is not None:
            back = [] if report.ended is View.MOVING else [self._whole("changed", report.value, t)]
            if report.relearn:
                self._relearn(picture, t)
            else:
                diff = background.compare(picture, t)
                self.things.settle_at(t)
                self.things.adopt(find(diff, STABLE_S), t)
                background.learn(diff, t, self.things.mask(picture.shape), diff.excess > 1)
            return back
        diff = background.compare(self.camera.align(picture, background.settled), t)
        stable_s = STABLE_S if dt < STABLE_S else 0.7 * dt if dt < 1.1 else STABLE_S
        regions = together(diff, find(diff, stable_s), stable_s, ALIVE)
        self._differing = float((diff.excess > 1).mean())
        suspect = self._differing > CROWDED
        if suspect and self._viewed < t:
            report = self._judge(background, picture, t)
            if report.began is not None:
                return [self._whole(report.began.value, report.value, t)]
            if report.view is not View.STEADY:
                return []
        if self._light_changed(diff):
            background.resettle(picture, self.things.mask(picture.shape))
            self.things.light_stepped(t)
            return []
        last, self._light = self._light, diff.light
        if not 1 / LIGHT_STEP < diff.light / last < LIGHT_STEP:
            self.things.light_stepped(t)
            background.learn(
                diff, t, self.things.mask(picture.shape) | grow(diff.excess > 1, 2), np.zeros(picture.shape, bool)
            )
            return []
        if background.pictures < WARM_UP or t - self._started < WARM_UP_S:
            return self._warm_up(background, diff, regions, t)
        outcome = self.things.update(regions, diff, t, dt, stable_s)
        self._learn(background, diff, regions, outcome, t)
        return self._sober(outcome.sightings, t)

    def _sober(self, sightings: list[Sighting], t: float) -> list[Sighting]:
        """A camera that begins to turn looks like somebody large who enters: such news waits for the next judgement."""
        due = [s for s in self._held if self._viewed > s.t + VIEW_S / 4]
        self._held = [s for s in self._held if s not in due]
        for s in sightings:
            wide = s.box is not None and s.box.x1 - s.box.x0 > WIDE
            if s.kind == "enter" and (wide or self._differing > CROWDED):
                self._held = [h for h in self._held if h.key != s.key] + [s]
            else:
                due.append(s)
        return [replace(s, t=t) for s in due]

    def _judge(self, background: Background, picture: Picture, t: float) -> Report:
        self._viewed = t
        report = self.camera.look(picture, background.settled, t, background.noise)
        self._unsure = report.view is View.UNSURE
        if report.view is not View.STEADY:
            self._held.clear()
        return report

    def _learn(
        self, background: Background, diff: Difference, regions: list[Region], outcome: Outcome, t: float
    ) -> None:
        for mask in outcome.agitate:
            background.agitate(diff, grow(mask, 2))
        for mask in outcome.accept:
            background.accept(diff, grow(closed(mask), 4))
        shape = diff.picture.shape
        open_questions = _union([r.mask for r in regions if r.edged >= EDGED and r.area >= SMALL], shape)
        for mask in outcome.accept + outcome.agitate:
            open_questions &= ~mask
        unreal = _union([r.mask for r in regions if r.edged < EDGED], shape)
        background.learn(diff, t, self.things.mask(shape) | grow(open_questions, 2), unreal)

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

    def _light_changed(self, diff: Difference) -> bool:
        """Most of the picture differs in brightness, but hardly an edge came or went."""
        differs = diff.excess > 1
        if float(differs.mean()) < FLOOD:
            return False
        edges = float(((diff.gained > 0) | (diff.lost > 0)).mean())
        return edges < 0.1

    def _relearn(self, picture: Picture, t: float) -> None:
        self.background = Background(picture, t)
        self._light = 1.0
        self._started = t
        self.things.settle_at(t)

    def _whole(self, kind: str, value: float, t: float) -> Sighting:
        self._count += 1
        return Sighting(kind, value, None, f"{kind}-view-{self._count}", t)


def _union(masks: list[Mask], shape: tuple[int, ...]) -> Mask:
    out = np.zeros(shape, bool)
    for mask in masks:
        out |= mask
    return out
