"""Looks after one engine: finds out what it can do, asks after it while it is away, tells sessions when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from joyvl_server.core.errors import ContextTooLong, EngineError, EngineLoading, EngineUnavailable
from joyvl_server.engines.base import Capabilities, Engine, TellsChanges
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.engines.closing import CLOSE_S
from joyvl_server.sessions.engines.health import EngineHealth, EngineState, EngineStatus
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.admission import ANSWER_TOKENS
from joyvl_server.sessions.scheduling.scheduler import EngineScheduler

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 300.0
RETRY_S, LONGEST_RETRY_S = 2.0, 30.0
ABSENT_RETRY_S = 5.0
"""between two tries to reach a server that is not there: that costs nobody anything"""
LOOK_S, PEEK_S = 1.0, 0.1
KEPT_OF_TOLD = 0.9
"""of the room it tells, where it tells how long the prompt was, too: no count is exact …"""
KEPT_OF_LIMIT = 0.75
"""… where it tells only its limit …"""
KEPT_UNTOLD = 0.5
"""… and of the prompt that was too long, where it tells nothing"""
FORGOTTEN_S = 5.0
"""away for longer than this, an engine is taken for restarted: nothing of what it had cached counts on"""


class EngineMonitor:
    """One engine in use, with its scheduler and its health. `on_change` is called when its capabilities are others than
    before.

    `start` when it is first used; `aclose` ends what goes on in the background, not the engine.
    """

    def __init__(
        self, engine: Engine, clock: Clock, metrics: Metrics, on_change: Callable[[str], None], loading_s: float
    ) -> None:
        self.engine = engine
        # One that starts a process of ours knows better how long that may take.
        self.health = EngineHealth(engine.name, clock, float(getattr(engine, "loading_s", loading_s)))
        can = engine.capabilities
        self.scheduler = EngineScheduler(clock, engine=engine.name, parallel=can.parallel, metrics=metrics, can=can)
        self.scheduler.on_open = self._wake
        self.scheduler.on_recovery = self._look_for_restart
        self._clock = clock
        self._on_change = on_change
        self._known = can
        if isinstance(engine, TellsChanges):
            engine.on_change = lambda: self._adapt(self.engine.capabilities)
        self._stated_context = can.context_tokens
        self._most_context: int | None = None
        """taught by its refusals"""
        self._tried = asyncio.Event()
        self._opened = asyncio.Event()
        self._restarts = self._count_restarts()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do, with the longest context that its refusals have taught."""
        return self._taught(self.engine.capabilities)

    @property
    def started(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        if self._task is None:
            self.health.trying()
            self._task = asyncio.create_task(self._run(), name=f"engine-{self.engine.name}")
            self._looking = asyncio.create_task(self._look(), name=f"health of engine-{self.engine.name}")

    async def known(self, timeout_s: float) -> Capabilities:
        """What the engine can do: as probed, or as stated where that fails or takes longer than this.

        What is found out later is told by `on_change`.
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
            now, state = self._clock.monotonic(), self.health.own
            away = state.status is EngineStatus.AWAY
            until = min(until, now + away_s) if away else float("inf")
            loaded_too_long = away and state.code == EngineLoading.code
            if now >= until or loaded_too_long or (self._tried.is_set() and (state.decides or state.cannot)):
                return state
            if not state.decides and (state.status, state.code) != told:
                told = state.status, state.code
                tell(state)
            await self._clock.sleep(PEEK_S)

    async def aclose(self) -> None:
        for task in filter(None, (self._task, self._looking)):
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_S)  # somebody else's code may not let itself be cancelled
        self._task = self._looking = None

    def too_long(self, tokens: int, error: ContextTooLong) -> None:
        """It found a prompt too long that had about `tokens`, as we count, with its answer.

        From now on contexts are shorter, for all its sessions, until it is started anew or probed as another one.
        """
        if error.limit is not None and error.asked is not None:
            room = KEPT_OF_TOLD * tokens * error.limit / error.asked
        elif error.limit is not None:
            room = KEPT_OF_LIMIT * min(tokens, error.limit)
        else:
            room = KEPT_UNTOLD * tokens
        taught = max(1, int(room)) + ANSWER_TOKENS
        if self._most_context is None or taught < self._most_context:
            self._most_context, self._stated_context = taught, self.engine.capabilities.context_tokens
            log.info("engine takes shorter contexts", engine=self.engine.name, tokens=taught, error=str(error))
            self._adapt(self.engine.capabilities)

    def _taught(self, can: Capabilities) -> Capabilities:
        known = [n for n in (can.context_tokens, self._most_context) if n is not None]
        return replace(can, context_tokens=min(known)) if known else can

    def _wake(self) -> None:
        self.health.shut_off()
        self._opened.set()

    async def _look(self) -> None:
        """Once a second: what only time shows; and how far it is, while its first probe waits for it."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._tried.is_set():
                await self._see_whether_it_loads()
            self.health.look()

    async def _see_whether_it_loads(self) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.engine.check()
        except EngineLoading as error:
            self._failed(error)
        except Exception:  # an edge to somebody else's code: what is wrong is found out by the probe
            log.debug("engine cannot be asked yet", engine=self.engine.name, exc_info=True)

    async def _run(self) -> None:
        """Probe; then wait until the engine goes away, until it is back, and probe again."""
        told = None
        while True:
            try:
                await self._probe()
                await self._opened.wait()
                self._opened.clear()
                while self.scheduler.breaker.open:
                    await self._ask_after_it()
            except Exception as error:  # a supervisor's edge: an engine with a fault is asked again, later
                what = f"{type(error).__name__}: {error}"
                if what != told:
                    log.error("engine cannot be looked after", engine=self.engine.name, exc_info=error)
                told = what
                self.health.failed("engine_fault", f"The engine {self.engine.name} has a fault: {what}")
                self._tried.set()
                self._opened.set()
                await self._clock.sleep(LONGEST_RETRY_S)

    async def _probe(self) -> None:
        pause = RETRY_S
        while True:
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    can = await self.engine.probe()
                break
            except (EngineError, TimeoutError) as error:
                log.debug("engine cannot be probed yet", engine=self.engine.name, error=str(error))
                self._failed(error)
                self._adapt(self.engine.capabilities)
                self._tried.set()
                await self._clock.sleep(pause)
                pause = min(2 * pause, self._longest_pause(error))
                if self.scheduler.breaker.open:
                    return  # it is asked after first
        self.health.answers()
        self._adapt(can)
        self._tried.set()

    @staticmethod
    def _longest_pause(error: EngineError | TimeoutError) -> float:
        if isinstance(error, EngineLoading):
            return RETRY_S
        return ABSENT_RETRY_S if isinstance(error, EngineUnavailable) else LONGEST_RETRY_S

    def _failed(self, error: EngineError | TimeoutError) -> None:
        if isinstance(error, EngineError):
            self.health.failed(error.code, str(error))
        elif self.health.own.status is not EngineStatus.LOADING:
            self.health.failed("engine_timeout", f"The engine {self.engine.name} did not answer in time.")

    def _adapt(self, can: Capabilities) -> None:
        if can.context_tokens != self._stated_context:
            self._stated_context, self._most_context = can.context_tokens, None
        can = self._taught(can)
        if can != self._known:
            self._known = can
            self.scheduler.adapt(can)
            self._on_change(self.engine.name)

    async def _ask_after_it(self) -> None:
        """The half-open probe, when its pause is over."""
        breaker = self.scheduler.breaker
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
        self.health.answers()
        away_s = self._clock.monotonic() - breaker.opened_at
        if breaker.probe_worked():
            self.scheduler.back()
        self._look_for_restart(away_s)

    def _look_for_restart(self, away_s: float = 0.0) -> None:
        restarts, self._restarts = self._restarts, self._count_restarts()
        if restarts != self._restarts or away_s > FORGOTTEN_S:
            self._most_context = None  # it may have been started with another one
            self._adapt(self.engine.capabilities)
            self.scheduler.restarted()

    def _count_restarts(self) -> int:
        """Engines that are processes of ours count how often they were started anew."""
        return int(getattr(self.engine, "restarts", 0))
