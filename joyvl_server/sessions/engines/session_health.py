"""Whether one session gets decisions: what its requests and ticks came to. `health` has the engine as a whole.

No I/O. Times come from the clock; `look` has to be called once a second for what only time can show.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from joyvl_server.core.decisions import Skip
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.engines.state import STATUS_OF_CODE, EngineListener, EngineState, EngineStatus

if TYPE_CHECKING:
    from joyvl_server.sessions.engines.health import EngineHealth

FAILURES = 3
"""this many failures in a row are a state …"""
LASTING_S = 3.0
"""… and so is one that no decision has followed for this long"""
GARBAGE = "engine_garbage"
MOST_QUOTED = 80
RESTS = (Skip.STILL, Skip.NO_FRAME, Skip.OFFLINE)
"""seconds in which nothing was asked of the engine because there was nothing to look at"""
LATELY, ENOUGH = 5, 4
"""intervals that count, and how many of them there must be: while the first ones are decided, much is learnt"""
SLOW, QUICK = 1.2, 1.1
"""ticks between two decisions: from the first on it is slow, below the second it is no longer"""
CHANGED = 0.2
"""another pace is worth telling when it differs by this share"""


@dataclass(slots=True)
class _Trouble:
    """Failures of one session in a row."""

    code: str
    reason: str
    count: int
    first_at: float


class SessionHealth:
    """Whether one session gets decisions. Its machine's runner reports how its requests and ticks went."""

    def __init__(
        self, engine: EngineHealth, session_id: str, clock: Clock, tick_s: float, listener: EngineListener
    ) -> None:
        self.session_id = session_id
        self.listener = listener
        self._engine = engine
        self._clock = clock
        self._rate = DecisionRate(tick_s)
        self.slow_s: float | None = None
        """seconds between two decisions, where there are fewer than ticks; see `slow`"""
        self._trouble: _Trouble | None = None
        self._quiet_since = clock.monotonic()
        self._state = engine.own

    @property
    def state(self) -> EngineState:
        return self._state

    def decided(self) -> None:
        """A tick was decided."""
        now = self._clock.monotonic()
        self._engine.request_worked(now)
        self._quiet_since = now
        if self._trouble is not None or self._state.status is not EngineStatus.READY:
            self._trouble = None
            self.look()
        self._engine.decided(now)

    def request_failed(self, code: str) -> None:
        """A request failed, one of the background work too; `failed` says what it meant for the tick."""
        self._engine.request_failed(code)

    def ticked(self, skipped: Skip | None) -> None:
        """A second of the session is over: decided, or skipped for this reason."""
        if skipped is None:
            self._rate.decided(self._clock.monotonic())
            if self._rate.slow_s != self.slow_s:
                self.slow(self._rate.slow_s)
        elif skipped not in (Skip.BUSY, Skip.LATE):
            self._rate.rested()
        if skipped in RESTS:
            self._quiet_since = self._clock.monotonic()

    def slow(self, seconds: float | None) -> None:
        """It gets one decision in this many `seconds`, fewer than it has ticks; None: as many as ticks.

        The engine still decides: its sessions go on, and show this.
        """
        if seconds != self.slow_s:
            self.slow_s = seconds
            self._engine.look()

    def failed(self, code: str, reason: str) -> None:
        """A tick's request failed: the error's code and sentence."""
        now, before = self._clock.monotonic(), self._trouble
        if before is None:
            self._trouble = _Trouble(code, reason, 1, now)
        else:
            before.code, before.reason, before.count = code, reason, before.count + 1
        self.look()
        self._engine.noted(code, reason)

    def garbage(self, answer: str) -> None:
        """A tick was answered outside the protocol: the request worked, and decided nothing."""
        self._engine.request_worked(self._clock.monotonic())
        quoted = " ".join(answer.split())
        quoted = quoted if len(quoted) <= MOST_QUOTED else quoted[: MOST_QUOTED - 1] + "…"
        self.failed(
            GARBAGE,
            f"The engine {self._engine.engine} answers, but with no decision: its last answer was “{quoted}”. "
            "Use a vision model that follows instructions.",
        )

    def look(self) -> None:
        """Find the present state, and tell it where it is a new one."""
        before, found = self._state, self._found()
        if (found.status, found.code, found.reason) == (before.status, before.code, before.reason):
            return
        since = before.since_wall if found.status is before.status else self._clock.wall()
        self._state = found = replace(found, since_wall=since)
        news = found.status is EngineStatus.SLOW and found.reason != before.reason
        if news or (found.status, found.code, _stage(found)) != (before.status, before.code, _stage(before)):
            self.listener.engine_state_changed(found)

    def leave(self) -> None:
        """The session has ended."""
        self._engine.leave(self)

    def _found(self) -> EngineState:
        now, own, pictures = self._clock.monotonic(), self._engine.own, self.listener.has_pictures
        if not pictures:
            self._trouble = None
        if not (pictures and own.decides):
            self._quiet_since = now
        fault = self._fault(now)
        return own if fault is None or not (own.decides or own.trying) else fault

    def _fault(self, now: float) -> EngineState | None:
        """What this session itself found wrong."""
        trouble = self._trouble
        if trouble is not None and (trouble.count >= FAILURES or self._lasts(trouble, now)):
            status = STATUS_OF_CODE.get(trouble.code, EngineStatus.CANNOT)
            return EngineState(status, trouble.code, trouble.reason, self._clock.wall())
        quiet = now - self._quiet_since
        if quiet < self._engine.patience_s:
            return None
        reason = f"The engine {self._engine.engine} has decided nothing for {self._engine.patience_s:g} s."
        return EngineState(EngineStatus.AWAY, "engine_blind", reason, self._clock.wall())

    @staticmethod
    def _lasts(trouble: _Trouble, now: float) -> bool:
        """One answer outside the protocol is nothing yet."""
        return now - trouble.first_at >= LASTING_S and (trouble.count > 1 or trouble.code != GARBAGE)


def _stage(state: EngineState) -> str | None:
    """How far one is that loads, without the seconds, which change every time. Of others only the code is news."""
    return (state.reason or "").partition(" (")[0] if state.status is EngineStatus.LOADING else None


class DecisionRate:
    """`decided` at every decision, `rested` at a tick at which the engine was asked nothing, or failed."""

    def __init__(self, tick_s: float) -> None:
        self.slow_s: float | None = None
        """seconds between two decisions, as long as they come too seldom; else None"""
        self._tick_s = tick_s
        self._intervals: deque[float] = deque(maxlen=LATELY)
        self._last: float | None = None

    def decided(self, now: float) -> None:
        if self._last is not None:
            self._intervals.append(now - self._last)
        self._last = now
        if len(self._intervals) < ENOUGH:
            return
        interval = median(self._intervals)
        if interval < (SLOW if self.slow_s is None else QUICK) * self._tick_s:
            self.slow_s = None
        elif self.slow_s is None or abs(interval - self.slow_s) > CHANGED * self.slow_s:
            self.slow_s = interval

    def rested(self) -> None:
        self._last = None
