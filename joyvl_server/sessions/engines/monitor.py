"""Owns one engine's state: finds out what it can do, when it is away or back, restarted or another one.

The monitor alone decides when the engine is probed, asked after and probed once more. An engine only reports, by what
its calls return or raise and through `EngineEvents`. The scheduler, sessions, `/readyz` and the page read what stands
here: `state`, the breaker, the capabilities.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from joyvl_server.core.errors import ContextTooLong, EngineError, EngineLoading, EngineUnavailable, why_of
from joyvl_server.engines.base import Capabilities, Engine, ReportsEvents, Restartable, SlowToLoad
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.engines.closing import CLOSE_S
from joyvl_server.sessions.engines.health import EngineHealth
from joyvl_server.sessions.engines.session_health import SessionHealth
from joyvl_server.sessions.engines.state import EngineListener, EngineState, EngineStatus
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.admission import ANSWER_TOKENS
from joyvl_server.sessions.scheduling.scheduler import EngineScheduler

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 300.0
"""a probe that takes longer is told, and goes on"""
RETRY_S, LONGEST_RETRY_S = 2.0, 30.0
ABSENT_RETRY_S = 5.0
"""between two tries to reach a server that is not there: that costs nobody anything"""
PROBE_PAUSE_S = 30.0
"""an engine in doubt is probed at most this often"""
LOOK_S, PEEK_S = 1.0, 0.1
KEPT_OF_TOLD = 0.9
"""of the limit it tells, where it tells how long the prompt was, too: no count is exact …"""
KEPT_OF_LIMIT = 0.75
"""… where it tells only its limit …"""
KEPT_UNTOLD = 0.5
"""… and of the prompt that was too long, where it tells nothing"""
FORGOTTEN_S = 5.0
"""away for longer than this, an engine is taken for restarted: nothing of what it had cached counts on"""


class EngineMonitor:
    """One engine in use, with its scheduler. `start` it when it is first used; `aclose` ends what goes on in the
    background, not the engine.

    `loading_s` is the longest time that it may load its model, where the engine does not know better.
    """

    def __init__(self, engine: Engine, clock: Clock, metrics: Metrics, loading_s: float) -> None:
        self.engine = engine
        loading_s = engine.loading_s if isinstance(engine, SlowToLoad) else loading_s
        self._health = EngineHealth(engine.name, clock, loading_s, self)
        self._breaker = breaker = self._health.breaker
        can = engine.capabilities
        self.scheduler = EngineScheduler(clock, engine.name, can, breaker, metrics)
        metrics.breaker_open.labels(engine.name).set_function(lambda: float(breaker.open))
        self._clock = clock
        self._known = can
        self._stated_context = can.context_tokens
        self._most_context: int | None = None
        """taught by its refusals"""
        self._tried = asyncio.Event()
        self._news = asyncio.Event()
        """the breaker has opened, or a probe is due"""
        self._opened = asyncio.Event()
        """the breaker has opened since a probe began"""
        self._probed_at = float("-inf")
        self._doubted_at: float | None = None
        """since when what answers may be another server or model than the one that was probed"""
        self._retries = Backoff(RETRY_S, LONGEST_RETRY_S)
        self._retried: type[Exception] | None = None
        self._restarts = self._count_restarts()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        if isinstance(engine, ReportsEvents):
            engine.report_to(self)

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do, with the longest context that its refusals have taught."""
        return self._taught(self.engine.capabilities)

    @property
    def state(self) -> EngineState:
        """Of the engine as a whole: its own, or that of a session for which it does not decide."""
        return self._health.state

    def join(self, session_id: str, tick_s: float, listener: EngineListener) -> SessionHealth:
        """A session that it decides for, with `tick_s` seconds between its ticks. `leave` it at the end."""
        return self._health.join(session_id, tick_s, listener)

    @property
    def started(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        if self._task is None:
            self._health.trying()
            self._task = asyncio.create_task(self._run(), name=f"engine-{self.engine.name}")
            self._looking = asyncio.create_task(self._look(), name=f"health of engine-{self.engine.name}")

    async def known(self, timeout_s: float) -> Capabilities:
        """What the engine can do: as probed, or as stated where that fails or takes longer than this.

        Sessions are told what is found out later. Cancelled, the probe goes on.
        """
        self.start()
        if not self._tried.is_set():
            await wait_until(self._clock, self._tried.wait(), self._clock.monotonic() + timeout_s)
        return self.capabilities

    async def there(self, away_s: float, tell: Callable[[EngineState], None]) -> EngineState:
        """Wait until it can be asked: while it loads, which has a bound, and while it is away, at most `away_s` s.

        Returns how it is then; `tell` gets each state that is waited in, once. May be cancelled.
        """
        self.start()
        told, until = None, float("inf")
        while True:
            now, state = self._clock.monotonic(), self._health.own
            away = state.status is EngineStatus.AWAY
            until = min(until, now + away_s) if away else float("inf")
            loaded_too_long = away and state.code == EngineLoading.code
            if now >= until or loaded_too_long or (self._tried.is_set() and (state.decides or state.cannot)):
                return state
            if not state.decides and state.reason and (state.status, state.code) != told:
                told = state.status, state.code
                tell(state)
            await self._clock.sleep(PEEK_S)

    async def aclose(self) -> None:
        """End what goes on in the background. Cancelled, some of it may go on."""
        for task in filter(None, (self._task, self._looking)):
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_S)  # somebody else's code may not let itself be cancelled
        self._task = self._looking = None

    def too_long(self, tokens: int, error: ContextTooLong) -> None:
        """It found a prompt too long that had about `tokens`, as we count, with its answer.

        From now on contexts are shorter, for all its sessions, until it is restarted, or probed as another one.
        """
        if error.limit is not None and error.asked is not None:
            most = KEPT_OF_TOLD * tokens * error.limit / error.asked
        elif error.limit is not None:
            most = KEPT_OF_LIMIT * min(tokens, error.limit)
        else:
            most = KEPT_UNTOLD * tokens
        taught = max(1, int(most)) + ANSWER_TOKENS
        if self._most_context is None or taught < self._most_context:
            self._most_context, self._stated_context = taught, self.engine.capabilities.context_tokens
            log.info("engine takes shorter contexts", engine=self.engine.name, tokens=taught, error=str(error))
            self._adapt(self.engine.capabilities)

    def _taught(self, can: Capabilities) -> Capabilities:
        known = [n for n in (can.context_tokens, self._most_context) if n is not None]
        return replace(can, context_tokens=min(known)) if known else can

    # ------------------------------------------------------------------------------------------- what is reported to it

    def capabilities_changed(self) -> None:
        """See `EngineEvents`."""
        self._adapt(self.engine.capabilities)

    def doubted(self) -> None:
        """See `EngineEvents`."""
        if self._doubted_at is None:
            self._doubted_at = self._clock.monotonic()

    def opened(self) -> None:
        """See `BreakerListener`."""
        self.scheduler.went_away()
        self._health.shut_off()
        self._opened.set()
        self._news.set()

    def recovered(self, *, closed: bool) -> None:
        """See `BreakerListener`."""
        if closed:
            self._came_back()
        self._look_for_restart()

    # --------------------------------------------------------------------------------------------------- what it does

    async def _look(self) -> None:
        """Once a second: what only time shows; how far it is, while its first probe waits for it; is a probe due?"""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._tried.is_set():
                await self._see_whether_it_loads()
            self._health.look()
            if self._probe_is_due():
                self._news.set()

    async def _see_whether_it_loads(self) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.engine.check()
        except EngineLoading as error:
            self._failed(error)
        except Exception:  # an edge to somebody else's code: what is wrong is found out by the probe
            log.debug("engine cannot be asked yet", engine=self.engine.name, exc_info=True)

    def _probe_is_due(self) -> bool:
        """It was in doubt, and has answered since."""
        doubted = self._doubted_at is not None and self._health.worked_at >= self._doubted_at
        return doubted and not self._breaker.open and self._clock.monotonic() - self._probed_at >= PROBE_PAUSE_S

    async def _run(self) -> None:
        """Probe; then wait until the engine goes away, until it is back, and probe again."""
        told = None
        while True:
            try:
                await self._probe()
                while not self._breaker.open:
                    await self._news.wait()
                    self._news.clear()
                    if self._probe_is_due():
                        await self._probe_once_more()
                while self._breaker.open:
                    await self._ask_after_it()
            except Exception as error:  # a supervisor's edge: an engine with a fault is asked again, later
                what = f"{type(error).__name__}: {error}"
                if what != told:
                    log.error("engine monitor failed", engine=self.engine.name, exc_info=error)
                told = what
                self._health.failed("engine_fault", f"The engine {self.engine.name} has a fault: {what}")
                self._tried.set()
                await self._clock.sleep(LONGEST_RETRY_S)

    async def _probe(self) -> None:
        """Until it works; or until the breaker is open, for then it is asked after first."""
        while True:
            try:
                can = await self._find_out()
                break
            except (EngineError, TimeoutError) as error:
                log.debug("engine cannot be probed yet", engine=self.engine.name, error=why_of(error))
                self._failed(error)
                self._adapt(self.engine.capabilities)
                self._tried.set()
                await self._clock.sleep(self._pause(error))
                if self._breaker.open:
                    return
        self._retried = None
        self._doubted_at = None
        self._health.answers()
        self._adapt(can)
        self._tried.set()

    async def _probe_once_more(self) -> None:
        """One try, while its sessions go on. Where it fails, the next one comes after `PROBE_PAUSE_S`."""
        try:
            can = await self._find_out(while_there=True)
        except (EngineError, TimeoutError) as error:
            log.info("the engine could not be probed", engine=self.engine.name, error=why_of(error))
            return
        self._doubted_at = None
        self._health.answers()
        self._adapt(can)

    async def _find_out(self, *, while_there: bool = False) -> Capabilities:
        """One probe. One that takes very long is told and goes on, unless the engine is away by then.

        `while_there`: it is given up as soon as the engine is away, for then it is asked after first.
        """
        self._probed_at = self._clock.monotonic()
        self._opened.clear()
        probing = asyncio.ensure_future(self.engine.probe())
        opening = asyncio.ensure_future(self._opened.wait())
        waited_for = {probing, opening} if while_there else {probing}
        try:
            while not probing.done():
                await asyncio.wait(waited_for, timeout=PROBE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
                if probing.done():
                    break
                if self._breaker.open:
                    raise TimeoutError
                self._failed(TimeoutError())
                self._tried.set()
            return probing.result()
        finally:
            opening.cancel()
            if not probing.done():
                probing.cancel()
                await asyncio.wait({probing})

    def _pause(self, error: EngineError | TimeoutError) -> float:
        """Seconds before the next probe. Another kind of failure begins with short pauses."""
        if type(error) is not self._retried:
            self._retried = type(error)
            self._retries = Backoff(RETRY_S, self._longest_pause(error))
        return self._retries.failed()

    @staticmethod
    def _longest_pause(error: EngineError | TimeoutError) -> float:
        if isinstance(error, EngineLoading):
            return RETRY_S
        return ABSENT_RETRY_S if isinstance(error, EngineUnavailable) else LONGEST_RETRY_S

    def _failed(self, error: EngineError | TimeoutError) -> None:
        if isinstance(error, EngineError):
            self._health.failed(error.code, str(error))
        elif self._health.own.status is not EngineStatus.LOADING or self._health.own.trying:
            self._health.failed("engine_timeout", f"The engine {self.engine.name} did not answer in time.")

    def _adapt(self, can: Capabilities) -> None:
        if can.context_tokens != self._stated_context:
            self._stated_context, self._most_context = can.context_tokens, None
        can = self._taught(can)
        if can != self._known:
            self._known = can
            self.scheduler.adapt(can)
            for listener in self._health.listeners:
                listener.engine_capabilities_changed()

    async def _ask_after_it(self) -> None:
        """The half-open probe, when its pause is over."""
        breaker = self._breaker
        await self._clock.sleep(max(0.0, breaker.probe_at - self._clock.monotonic()))
        if not breaker.open:
            return
        breaker.probing()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.engine.check()
        except (EngineError, TimeoutError) as error:
            self._failed(error)
            breaker.probe_failed(self._clock.monotonic())
            return
        self._health.answers()
        away_s = self._clock.monotonic() - breaker.opened_at
        if breaker.probe_worked():
            self._came_back()
        self._look_for_restart(away_s)

    def _came_back(self) -> None:
        """The breaker has closed."""
        away_s = self._clock.monotonic() - self._breaker.opened_at
        log.debug("engine gets requests again", engine=self.engine.name, away_s=round(away_s, 1))
        self.scheduler.came_back()

    def _look_for_restart(self, away_s: float = 0.0) -> None:
        restarts, self._restarts = self._restarts, self._count_restarts()
        if restarts != self._restarts or away_s > FORGOTTEN_S:
            self._most_context = None  # it may have been started with another one
            self._adapt(self.engine.capabilities)
            self.scheduler.restarted()

    def _count_restarts(self) -> int:
        return self.engine.restarts if isinstance(self.engine, Restartable) else 0
