"""How far every session of an engine steps back while the engine is short of time. Pure; times and loads are given.

Up, one step at a time: when the load was too high, or too many steps came late, for `UP_AFTER_S`. Down, one step at a
time: when it was calm for a while and the load known from the step below would fit. After a step down that
soon had to be taken back, the next one waits twice as long, so that it does not swing.

One session alone at its engine gives up large pictures at most: looking less often would serve nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.decisions import Pressure

HIGH_LOAD = {Pressure.NONE: 0.78, Pressure.GLANCES: 0.9, Pressure.SLOWER: 0.9, Pressure.FULL: 0.9}
"""of the engine's time, with ticks alone: above it the step is left for the next one. Background work and replies need
the rest; smaller pictures cost nobody a second, so they come early"""
ALONE_LOAD = 1.0
"""where one session has the engine for itself: nobody else gains by what it gives up"""
FITS_LOAD = 0.65
LATE_SHARE = 0.15
"""of the steps: that many waited half their second, or lost it"""
CALM_SHARE = 0.03
UP_AFTER_S = 4.0
SETTLE_S = 8.0
"""after a move the readings still hold what was before it"""
CALM_S = 20.0
LONGEST_CALM_S = 320.0
SWING_S = 90.0
"""up again within this time after a step down counts as swinging"""
KNOWN_FOR_S = 600.0
"""what a step cost is taken for true this long; then it is tried again"""


@dataclass(frozen=True, slots=True)
class LoadReading:
    """One look at the engine.

    `load`: work asked for, in parts of the engine's time. `late`: share of steps that waited too long.
    """

    load: float
    late: float
    sessions: int


class DegradationPolicy:
    def __init__(self) -> None:
        self.step = Pressure.NONE
        self._calm_s = CALM_S
        self._since: float | None = None
        """since when it has been too much (or calm); None while it is neither"""
        self._high = False
        self._down_at: float | None = None
        """the last step down, while it may still turn out to have been too early"""
        self._moved_at: float | None = None
        self._cost: dict[Pressure, tuple[float, float]] = {}
        """the load of one session at each step, and when that was seen"""

    def read(self, now: float, reading: LoadReading) -> bool:
        """Take a reading in (about twice a second); True when the step changed."""
        if self._moved_at is not None and now - self._moved_at < SETTLE_S:
            return False
        alone = reading.sessions <= 1
        high = reading.load >= (ALONE_LOAD if alone else HIGH_LOAD[self.step]) or reading.late >= LATE_SHARE
        if reading.sessions > 0:
            self._cost[self.step] = (reading.load / reading.sessions, now)
        if high and not (alone and self.step >= Pressure.GLANCES):
            return self._holds(now, high=True, seconds=UP_AFTER_S) and self._up(now)
        if alone and self.step > Pressure.GLANCES:
            return self._holds(now, high=False, seconds=UP_AFTER_S) and self._down(now)
        if self.step is not Pressure.NONE and reading.late <= CALM_SHARE and self._would_fit(now, reading):
            return self._holds(now, high=False, seconds=self._calm_s) and self._down(now)
        self._since = None
        return False

    def _holds(self, now: float, *, high: bool, seconds: float) -> bool:
        if self._since is None or self._high is not high:
            self._since, self._high = now, high
        return now - self._since >= seconds

    def _up(self, now: float) -> bool:
        self._since = None
        if self.step is Pressure.FULL:
            return False
        if self._down_at is not None and now - self._down_at < SWING_S:
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
            self._down_at = None
        self.step = Pressure(self.step + 1)
        self._moved_at = now
        return True

    def _down(self, now: float) -> bool:
        self._since = None
        if self._down_at is not None and now - self._down_at > 2 * self._calm_s:
            self._calm_s = CALM_S  # the step before this one held
        self.step = Pressure(self.step - 1)
        self._down_at = self._moved_at = now
        return True

    def _would_fit(self, now: float, reading: LoadReading) -> bool:
        """The load that the step below would bring, as far as it is known."""
        if reading.load > FITS_LOAD:
            return False
        if self.step is Pressure.FULL:
            return True  # sessions look the same at both
        cost, seen = self._cost.get(Pressure(self.step - 1), (0.0, float("-inf")))
        return now - seen > KNOWN_FOR_S or cost * reading.sessions <= FITS_LOAD
