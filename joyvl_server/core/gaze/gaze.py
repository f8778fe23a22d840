"""What each frame may cost: a full look, a glance, or nothing.

Everything rests on two figures (`change`): the *change* against the last full look, so that slow changes add up, and
the *stir* against the frame before, which says whether it still goes on. Full looks go to the first sign of something
after a hush, to every beginning, to what ended (it came to rest, or is as it was at rest before), and every other
second while it lasts, so that nothing is further than a second from a full look. The rest are glances; of what has been
still for some time frames are skipped.

The constants here, like those of the change, were chosen on drawn scenes: 108 random ones, 67 more at four phases of
the second, and 30 in which people come right after others have gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Pressure
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze.change import NO_CELLS, Cells, NoiseTracker, apart, coarse, difference
from joyvl_server.core.prompt.turns import Look

SIGN = 0.01
"""a change this small, half a grey level beyond what is tolerated, is looked at if there was none before: people come
into the picture by a hand or a foot. From 0.005 to 0.02 drawn scenes cost the same"""
HUSH_S = 2.0
"""for how long there was no sign before. 3 spares one full look in 20 and misses people who come when others have just
gone; less is every second tick"""
LASTING = 0.5
"""share of `full_look_change` that deserves a full look once it has come to rest, and that ends a stillness"""
SURGE, SURGE_MORE = 2.0, 0.25
"""a stir so many times the strongest of the last three, and so much more, is something new in the midst of movement"""
RARER, PRESSED_S = 2.0, 12.0
"""under pressure changes must be so many times as large, and full looks so many seconds apart; questions are free"""
SLACK_S = 0.25
"""frames come a little early or late: a distance is kept if it is missed by no more"""
ECO_SHARE = 0.2
"""eco: seconds between looks per second of stillness: 2 s after 10, 4 s after 20, 8 s after 40"""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What the gaze made of one frame: its cost and its change (0 to 1; 1 for the first and after a change of size)."""

    look: Look
    change: float
    cells: Cells


class Gaze:
    """Judges frames; the caller tells by `saw` which ones the model got, or will get with the next turn.

    `pressure` is the engine's; `timed` says that an active watch depends on time (`time_conditions`): then no second
    is skipped. Both may be set at any time. Engines that need every frame get every frame in full.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.pressure = Pressure.NONE
        self.timed = False
        self._config = config
        self._unrest = NoiseTracker()
        self._shape: tuple[int, ...] | None = None
        self._full = self._rest = self._last = NO_CELLS
        self._full_t = self._seen_t = self._sign_t = self._stirred_t = 0.0
        self._active = self._owed = False
        self._settled = True
        self._stirs: tuple[float, ...] = ()

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        self._config = config

    def judge(self, frame: Frame, *, wanted: bool) -> Glimpse:
        """The cost of `frame`; `wanted` when somebody asked something: then it is looked at in full.

        Every frame is to be judged once, in order of time, also those that are then skipped.
        """
        cells = coarse(frame.grey)
        if frame.grey.shape != self._shape:
            return Glimpse(Look.FULL, 1.0, cells)
        tolerance = self._unrest.tolerance(cells)
        change = difference(cells, self._full, tolerance)
        moved = apart(cells, self._last)
        stir = difference(cells, self._last, tolerance, away=moved)
        since_full = frame.t - self._full_t
        if not 0 <= since_full < self._config.max_glance_s * self._rarer:  # time jumped back, or it has been long
            due = True
        else:
            as_before = change >= self._large and difference(cells, self._rest, tolerance) < self._large
            due = self._happens(frame.t, change, stir, as_before)
            self._owed = self._owed or due
        look = self._look(frame, full=due or wanted)
        self._unrest.learn(moved)
        self._remember(frame.t, cells, change, stir)
        return Glimpse(look, change, cells)

    def saw(self, frame: Frame, glimpse: Glimpse) -> None:
        """The model got this frame, with the look that `judge` gave it."""
        self._seen_t = frame.t
        if glimpse.look is not Look.FULL:
            return
        new = frame.grey.shape != self._shape
        if new or frame.t < self._full_t:
            self._sign_t = self._stirred_t = frame.t
        if new:
            self._shape, self._last, self._stirs = frame.grey.shape, glimpse.cells, ()
        if new or self._settled:
            self._rest = glimpse.cells
        self._full, self._full_t = glimpse.cells, frame.t
        self._owed = False

    def _happens(self, t: float, change: float, stir: float, as_before: bool) -> bool:
        """Does something deserve a full look?"""
        if change >= SIGN and self._owed:
            return True  # the frame that deserved it never came to the model
        if self._rarer == 1.0:
            first_sign = change >= SIGN and t - self._sign_t >= HUSH_S
            if first_sign or (stir < SIGN and change >= self._config.full_look_change * LASTING):
                return True
        elif t - self._full_t < PRESSED_S - SLACK_S:
            return False
        if max(change, stir) < self._large:
            return False
        begins = not self._active or stir > SURGE * max(self._stirs, default=0.0) + SURGE_MORE
        goes_on = t - self._full_t >= self._config.motion_look_s - SLACK_S
        return begins or goes_on or stir < SIGN or as_before

    def _look(self, frame: Frame, *, full: bool) -> Look:
        faithful = self._config.fidelity == "faithful" and self.pressure is Pressure.NONE
        if full or faithful or self._config.engine.needs_every_frame:
            return Look.FULL
        if frame.t - self._seen_t < self._blindness(frame.t - self._stirred_t) - SLACK_S:
            return Look.SKIP
        return Look.FULL if frame.glance is None else Look.GLANCE

    def _blindness(self, still_s: float) -> float:
        """Seconds from look to look at a picture that has been still for `still_s`; 0: nothing is skipped."""
        config = self._config
        if self.timed or still_s < config.still_after_s:
            return 0.0
        if config.fidelity == "eco" or self.pressure >= Pressure.SLOWER:
            return min(max(config.max_blind_s, still_s * ECO_SHARE), config.eco_blind_s)
        return config.max_blind_s if config.fidelity == "adaptive" else 0.0

    def _remember(self, t: float, cells: Cells, change: float, stir: float) -> None:
        self._last = cells
        self._active = max(change, stir) >= self._large
        self._settled = stir < SIGN
        self._stirs = (*self._stirs[-2:], stir)
        if change >= SIGN:
            self._sign_t = t
        if max(change, stir) >= self._config.full_look_change * LASTING:
            self._stirred_t = t

    @property
    def _rarer(self) -> float:
        return RARER if self.pressure >= Pressure.GLANCES else 1.0

    @property
    def _large(self) -> float:
        """A change from here on is never taken for what a room does by itself."""
        return min(1.0, self._config.full_look_change * self._rarer)
