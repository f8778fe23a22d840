"""Whether an engine decides, and if it does not, why: the engine as a whole, and each session that it decides for.

How the engine is as a whole comes from its monitor, which checks it: loading, away, cannot. How it is for a session
comes from that session's requests: failures in a row, answers outside the protocol in a row, time without any decision.
A session shows the engine's own state where that is bad, else what it found itself. A session's own fault ends with its
next decision, and only with that: a server that lists its models well may still decide nothing.

The breaker hears of every request here, and the monitor hears when it opens and when requests work again.

No I/O. Times come from the clock; `look` has to be called once a second for what only time can show.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.engines.breaker import Breaker, BreakerListener
from joyvl_server.sessions.engines.session_health import LASTING_S, SessionHealth
from joyvl_server.sessions.engines.state import STATUS_OF_CODE, EngineListener, EngineState, EngineStatus

log = structlog.get_logger(__name__)

BLIND_S = 10.0
"""a session with pictures and without a decision for so long is blind"""
SLOW_TIMES = 3.0
"""an engine known to be slow may take this many times its usual time before a session counts as blind"""


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
        self._own = self._made(EngineStatus.LOADING, None, None)
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
        """It is being tried for the first time. The reason says so only where that takes long."""
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
        if self._own.decides or self._own.trying:
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
            self._told = self.state.decides or self.state.trying  # that it has gone ends no fault

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
