"""Whether an engine decides, and if it does not, why: the engine as a whole, and each session that it decides for.

How the engine is as a whole comes from its monitor, which asks after it: loading, away, cannot. How it is for a session
comes from that session's requests: failures in a row, answers outside the protocol in a row, time without any decision.
A session shows the engine's own state where that is bad, else what it found itself. A session's own fault ends with its
next decision, and only with that: a server that lists its models well may still decide nothing.

The breaker hears of every request here, and the monitor hears when it opens and when requests work again.

No I/O. Times come from the clock; `look` has to be called once a second for what only time can show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from joyvl_server.core.decisions import Skip
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.engines.breaker import Breaker, BreakerListener
from joyvl_server.sessions.engines.decision_rate import DecisionRate
from joyvl_server.sessions.engines.state import STATUS_OF_CODE, EngineListener, EngineState, EngineStatus

log = structlog.get_logger(__name__)

FAILURES = 3
"""this many failures in a row are a state …"""
LASTING_S = 3.0
"""… and so is one that no decision has followed for this long"""
BLIND_S = 10.0
"""a session with pictures and without a decision for so long is blind"""
SLOW_TIMES = 3.0
"""an engine known to be slow may take this many times its usual time before a session counts as blind"""
GARBAGE = "engine_garbage"
MOST_QUOTED = 80
RESTS = (Skip.STILL, Skip.NO_FRAME, Skip.OFFLINE)
"""seconds in which nothing was asked of the engine because there was nothing to look at"""


@dataclass(slots=True)
class _Trouble:
    """Failures of one session in a row."""

    code: str
    reason: str
    count: int
    first_at: float


class EngineHealth:
    """One engine's state. `loading_s` is the longest time that it may load its model before it counts as away."""

    def __init__(self, engine: str, clock: Clock, loading_s: float, listener: BreakerListener) -> None:
        self.engine = engine
        self.breaker = Breaker()
        self.worked_at = float("-inf")
        """when a request last worked (monotonic)"""
        self._listener = listener
        self._clock = clock
        self._loading_s = loading_s
        self._own = self._made(EngineStatus.READY, None, None)
        self._trying_since: float | None = None
        self._sessions: list[SessionHealth] = []
        self._loading_since: float | None = None
        self._last_failure = ("engine_unavailable", f"The engine {engine} does not answer.")
        self._decided_at = float("-inf")
        self._told = True

    @property
    def state(self) -> EngineState:
        """Of the engine as a whole: its own, else that of a session for which it does not decide."""
        if not self._own.decides:
            return self._own
        bad = [session for session in self._sessions if not session.state.decides]
        if not bad:
            return self._good()
        state = bad[0].state
        few = len(bad) < len(self._sessions)
        return replace(state, reason=f"Session {bad[0].session_id}: {state.reason}") if few else state

    @property
    def own(self) -> EngineState:
        """What those who ask after it found."""
        return self._own if not self._own.decides else self._good()

    @property
    def patience_s(self) -> float:
        """Seconds without a decision after which a session is blind."""
        return max(BLIND_S, SLOW_TIMES * (self._slow_s or 0.0))

    # ----------------------------------------------------------------------------------------------- found by asking

    def trying(self) -> None:
        """It is being tried for the first time. Said only where that takes long."""
        self._trying_since = self._clock.monotonic()

    def failed(self, code: str, reason: str) -> None:
        """Somebody asked after it, and it is not as it should be: the error's code and sentence.

        Ignored while it decides for sessions all the same.
        """
        if self._clock.monotonic() - self._decided_at < LASTING_S:
            return
        status = STATUS_OF_CODE.get(code, EngineStatus.CANNOT)
        if status is not EngineStatus.LOADING:
            self._loading_since = None
        elif self._loading_since is None:
            self._loading_since = self._clock.monotonic()
        elif self._clock.monotonic() - self._loading_since >= self._loading_s:
            status, reason = EngineStatus.AWAY, f"It still loads its model after {self._loading_s:g} s. {reason}"
        self._become(status, code, reason)

    def answers(self) -> None:
        """Somebody asked after it, and it is there."""
        self._loading_since = None
        self._become(EngineStatus.READY, None, None)

    def shut_off(self) -> None:
        """So many requests failed that nothing is asked of it for now."""
        if self._own.decides:
            self.failed(*self._last_failure)

    # -------------------------------------------------------------------------------------------------- for sessions

    def join(self, session_id: str, tick_s: float, listener: EngineListener) -> SessionHealth:
        """A session that it decides for. `leave` it at the end."""
        session = SessionHealth(self, session_id, self._clock, tick_s, listener)
        self._sessions.append(session)
        return session

    @property
    def listeners(self) -> list[EngineListener]:
        """Of all sessions, in the order in which they joined."""
        return [session.listener for session in self._sessions]

    def leave(self, session: SessionHealth) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            self._told = self.state.decides  # that it has gone ends no fault

    def look(self) -> None:
        """Once a second: find what only time shows."""
        if self._trying_since is not None and self._clock.monotonic() - self._trying_since >= LASTING_S:
            self._become(EngineStatus.LOADING, None, f"The engine {self.engine} is being tried.")
            return
        for session in list(self._sessions):
            session.look()
        self._log()

    def decided(self, now: float) -> None:
        """It has decided for one of its sessions."""
        self._decided_at = now
        if self._trying_since is not None or self._own.status is not EngineStatus.READY:
            self.answers()
        elif not self._told:
            self._log()

    def noted(self, code: str, reason: str) -> None:
        """A session's tick failed."""
        self._last_failure = (code, reason)
        self._log()

    def request_worked(self, now: float) -> None:
        """Any request of any session."""
        self.worked_at = now
        if not self.breaker.calm:
            self._listener.recovered(closed=self.breaker.worked())

    def request_failed(self, code: str) -> None:
        """Any request of any session failed, with the error's code."""
        if self.breaker.failed(code, self._clock.monotonic()):
            log.debug("engine gets no requests for now", engine=self.engine, code=code)
            self._listener.opened()

    # ------------------------------------------------------------------------------------------------------- helpers

    def _become(self, status: EngineStatus, code: str | None, reason: str | None) -> None:
        self._trying_since = None
        since = self._own.since_wall if status is self._own.status else self._clock.wall()
        self._own = EngineState(status, code, reason, since)
        self.look()

    def _good(self) -> EngineState:
        seconds = self._slow_s
        if seconds is None:
            return self._own
        reason = (
            f"The engine {self.engine} manages one decision every {seconds:.1f} s, always about the newest picture."
        )
        return self._made(EngineStatus.SLOW, "engine_slow", reason)

    @property
    def _slow_s(self) -> float | None:
        """Seconds between two decisions of the session that gets the fewest, where they are fewer than its ticks."""
        return max((session.slow_s for session in self._sessions if session.slow_s is not None), default=None)

    def _made(self, status: EngineStatus, code: str | None, reason: str | None) -> EngineState:
        return EngineState(status, code, reason, self._clock.wall())

    def _log(self) -> None:
        """A fault once when it starts and once when it ends."""
        state = self.state
        if state.trying or state.decides is self._told:
            return
        self._told = state.decides
        if state.decides:
            log.info("engine decides again", engine=self.engine)
        else:
            log.warning(
                "engine does not decide",
                engine=self.engine,
                status=state.status.value,
                code=state.code,
                error=state.reason,
                sessions=[session.session_id for session in self._sessions if not session.state.decides],
            )


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
        """It gets one decision in so many `seconds`, fewer than it has ticks; None: as many as ticks.

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
