"""What each frame may cost: a full look, a glance, or nothing.

Everything rests on two figures (`change`): the *change* against the last full look, so that slow changes add up, and
the *stir* against the frame before, which says whether it still goes on. Full looks go to the first sign of something
after a quiet time, to every beginning, to what ended (it came to rest, or is as it was at rest before), and every other
second while it lasts, so that nothing is further than a second from a full look. The rest are glances; of what has been
still for some time frames are skipped.

The constants here, like those of the change, were chosen on drawn scenes: 108 random ones, 67 more at four phases of
the second, and 30 in which people come right after others have gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Pressure, Skip
from joyvl_server.core.frame import Frame
from joyvl_server.core.gaze.change import Cells, ChangeMeter, Measured
from joyvl_server.core.inputs import Passed, Tick
from joyvl_server.core.prompt.turns import Look, Second
from joyvl_server.core.watches.time_conditions import time_conditioned
from joyvl_server.core.watches.watches import WatchSet

SIGN = 0.01
"""a change this small, half a grey level beyond what is tolerated, is looked at if there was none before: people come
into the picture by a hand or a foot. From 0.005 to 0.02 drawn scenes cost the same"""
QUIET_S = 2.0
"""for how long there was no sign before. 3 spares one full look in 20 and misses people who come when others have just
gone; less is every second tick"""
LASTING = 0.5
"""share of `full_look_change` that deserves a full look once it has come to rest, and that ends a stillness"""
SURGE, SURGE_MORE = 2.0, 0.25
"""a stir this many times the strongest of the last three, and this much more, is something new in a moving scene"""
RARER, PRESSED_S = 2.0, 12.0
"""under pressure changes must be this many times as large, and full looks this far apart (s); questions are free"""
SLACK_S = 0.25
"""frames come a little early or late: a distance is kept if it is missed by no more"""
ECO_SHARE = 0.2
"""eco: seconds between looks per second of stillness: 2 s after 10, 4 s after 20, 8 s after 40"""
MAX_SECONDS = 8
"""of a reply that wait for the next turn"""


@dataclass(frozen=True, slots=True)
class LookDecision:
    """What the gaze made of one frame: its cost and its change (0 to 1; 1 for the first and after a change of size)."""

    look: Look
    change: float
    cells: Cells


class Gaze:
    """Judges frames; the caller tells by `saw` which ones the model got, or will get with the next turn.

    Engines that need every frame get every frame in full.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.pressure = Pressure.NONE
        self.timed = False
        self._config = config
        self._meter = ChangeMeter()
        self._full_t = self._seen_t = self._sign_t = self._stirred_t = 0.0
        self._active = self._owed = False
        self._settled = True
        self._stirs: tuple[float, ...] = ()
        self._set_measures()

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        self._config = config
        self._set_measures()

    def press(self, pressure: Pressure) -> None:
        """How short of time the engine is from now on."""
        self.pressure = pressure
        self._set_measures()

    def watch(self, watch_set: WatchSet) -> None:
        """Other watches are in force. Where one depends on time, no second is skipped."""
        self.timed = any(time_conditioned(watch.text) for watch in watch_set.active)

    def judge(self, frame: Frame, *, wanted: bool) -> LookDecision:
        """The cost of `frame`; `wanted` when somebody asked something: then it is looked at in full.

        Every frame is to be judged once, in order of time, also those that are then skipped.
        """
        found = self._meter.measure(frame.grey, self._large)
        if found.new:
            return LookDecision(Look.FULL, found.change, found.cells)
        since_full = frame.t - self._full_t
        if not 0 <= since_full < self._config.max_glance_s * self._rarer:  # time jumped back, or it has been long
            due = True
        else:
            due = self._happens(frame.t, found)
            self._owed = self._owed or due
        look = self._look(frame, full=due or wanted)
        self._remember(frame.t, found)
        return LookDecision(look, found.change, found.cells)

    def saw(self, frame: Frame, looked: LookDecision) -> None:
        """The model got this frame, with the look that `judge` gave it."""
        self._seen_t = frame.t
        if looked.look is not Look.FULL:
            return
        new = frame.grey.shape != self._meter.shape
        if new or frame.t < self._full_t:
            self._sign_t = self._stirred_t = frame.t
        if new:
            self._stirs = ()
        self._meter.keep(frame.grey.shape, looked.cells, at_rest=self._settled)
        self._full_t = frame.t
        self._owed = False

    def _happens(self, t: float, found: Measured) -> bool:
        """Does something deserve a full look?"""
        change, stir = found.change, found.stir
        if change >= SIGN and self._owed:
            return True  # the frame that deserved it never came to the model
        if self._rarer == 1.0:
            first_sign = change >= SIGN and t - self._sign_t >= QUIET_S
            if first_sign or (stir < SIGN and change >= self._config.full_look_change * LASTING):
                return True
        elif t - self._full_t < PRESSED_S - SLACK_S:
            return False
        if max(change, stir) < self._large:
            return False
        begins = not self._active or stir > SURGE * max(self._stirs, default=0.0) + SURGE_MORE
        goes_on = t - self._full_t >= self._config.motion_look_s - SLACK_S
        return begins or goes_on or stir < SIGN or found.as_before

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

    def _remember(self, t: float, found: Measured) -> None:
        change, stir = found.change, found.stir
        self._active = max(change, stir) >= self._large
        self._settled = stir < SIGN
        self._stirs = (*self._stirs[-2:], stir)
        if change >= SIGN:
            self._sign_t = t
        if max(change, stir) >= self._config.full_look_change * LASTING:
            self._stirred_t = t

    def _set_measures(self) -> None:
        self._rarer = RARER if self.pressure >= Pressure.GLANCES else 1.0
        self._large = min(1.0, self._config.full_look_change * self._rarer)
        """a change from here on is never taken for what a room does by itself"""


class FrameSampler:
    """What the model gets to see of each second: the gaze's looks, and the seconds that passed during a reply.

    `select` for each second the session looks at; then its turn has `settled`, or is `lost`. `miss` those that pass
    during the reply.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.gaze = Gaze(config)
        self.backlog = Backlog()
        self._keeps = not config.engine.needs_every_frame
        self._again = False

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on. An engine that needs every frame follows them itself: nothing waits for it."""
        self._keeps = not config.engine.needs_every_frame
        self.gaze.configure(config)
        if not self._keeps:
            self.backlog.drop()

    def select(self, tick: Tick, *, wanted: bool) -> tuple[LookDecision, tuple[Second, ...]]:
        """What the newest picture may cost, and the seconds that go with it; nothing goes with a frame to skip.

        A still picture is looked at all the same where seconds of the reply before wait for a turn to go with.
        """
        missed = self.backlog.offer((*tick.burst, tick.frame)[0].t)
        looked = self.gaze.judge(tick.frame, wanted=wanted or self._again)
        if looked.look is not Look.SKIP:
            return looked, missed
        if missed:
            return replace(looked, look=Look.GLANCE), missed
        self.backlog.failed()
        return looked, ()

    def miss(self, second: Tick | Passed, after: float) -> Skip:
        """A second passes during the reply to the frame at stream time `after`: it is kept for the next turn, if there
        is anything to see. Returns why it has no turn of its own."""
        frame = second.frame
        if not self._keeps or frame.t <= after:
            return Skip.BUSY
        looked = self.gaze.judge(frame, wanted=False)
        if looked.look is Look.SKIP:
            return Skip.STILL
        self.gaze.saw(frame, looked)
        self.backlog.keep(Second((*second.burst, frame), looked.look))
        return Skip.BUSY

    def settled(self) -> None:
        """The turn is part of the context."""
        self.backlog.settled()
        self._again = False

    def lost(self, *, seen: bool) -> None:
        """The turn failed: what it carried of the reply before waits again, and what the model has `seen` is looked at
        once more."""
        self.backlog.failed()
        self._again = self._again or seen


class Backlog:
    """Seconds that passed while a reply was on its way: they go into the next turn, each under its own time tag.

    At most `MAX_SECONDS` wait; where there are more, every other one is dropped, the newest is kept.

    `offer` gives them to a turn; when it has `settled` they are done with, when it has `failed` they wait for another.
    """

    def __init__(self) -> None:
        self._waiting: list[Second] = []
        self._offered: list[Second] = []

    def keep(self, second: Second) -> None:
        """Add a second; of those that are not older than it (time jumped back) none is kept."""
        self._waiting = _thinned([*_before(second.frames[0].t, self._waiting), second])

    def offer(self, t: float) -> tuple[Second, ...]:
        """All that is older than stream time `t`, oldest first; nothing else is kept (time jumped back)."""
        self._offered, self._waiting = _before(t, self._waiting), []
        return tuple(self._offered)

    def drop(self) -> None:
        """Nobody wants any of them."""
        self._waiting, self._offered = [], []

    def settled(self) -> None:
        self._offered = []

    def failed(self) -> None:
        """The turn failed, or none was sent."""
        older = _before(self._waiting[0].frames[0].t, self._offered) if self._waiting else self._offered
        self._waiting, self._offered = _thinned([*older, *self._waiting]), []


def _before(t: float, seconds: Iterable[Second]) -> list[Second]:
    return [second for second in seconds if second.frames[0].t < t]


def _thinned(seconds: list[Second]) -> list[Second]:
    while len(seconds) > MAX_SECONDS:
        seconds = seconds[::-1][::2][::-1]
    return seconds
