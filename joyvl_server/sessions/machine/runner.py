"""Drives one observer: hands it inputs, gives engine effects to the lane, takes times, keeps the input log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Score
from joyvl_server.core.effects import BeginChunk, Decided, Effect, Settle, StopWriting, Write
from joyvl_server.core.errors import ContextTooLong
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import (
    Chosen,
    ChunkWarmed,
    ContextRoomChanged,
    EngineFailed,
    EngineRestarted,
    Input,
    Passed,
    PictureLimitChanged,
    PressureChanged,
    SaidDone,
    Scored,
    TextDelta,
    Tick,
    WriteFailed,
    Written,
)
from joyvl_server.core.observer import Observer
from joyvl_server.core.prompt.budget import ANSWER_RESERVE
from joyvl_server.core.prompt.picture_limit import PictureCosts
from joyvl_server.engines.base import Capabilities, Engine, EngineSpec
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.engines.health import SessionHealth
from joyvl_server.sessions.machine.background import BackgroundWork, SliceOutcomes, WriterExecutor
from joyvl_server.sessions.machine.executor import ENGINE_EFFECTS, EngineExecutor, EngineOutcomes
from joyvl_server.sessions.machine.input_log import InputLog
from joyvl_server.sessions.machine.tick_timer import TickTimer
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.admission import longest_prompt
from joyvl_server.sessions.scheduling.leases import EngineClient, EngineLimits, Lease

log = structlog.get_logger(__name__)


NO_LIMIT = 1_000_000_000
"""where the engine does not say: the setting is the bound"""


class MachineRunner:
    """`now` gives stream seconds; `perform` gets every effect that is not the engine's, in order.

    `pen` is the engine that writes texts, with this session's seat there; None where the own one does. `too_long` gets
    the tokens of a prompt, as counted here, that the engine found too long.
    """

    def __init__(
        self,
        engine: Engine,
        spec: EngineSpec,
        config: ObserverConfig,
        client: EngineClient,
        *,
        pen: tuple[Engine, EngineClient] | None,
        engine_timeout_s: float,
        record_dir: Path | None,
        clock: Clock,
        metrics: Metrics,
        now: Callable[[], float],
        perform: Callable[[Effect], None],
        health: SessionHealth,
        capabilities: Callable[[], Capabilities],
        too_long: Callable[[int, ContextTooLong], None],
    ) -> None:
        self.stopwatch = TickTimer(clock, metrics)
        self._session_id = spec.session_id
        self._engine = engine
        self._metrics = metrics
        self._now = now
        self._perform = perform
        self._health = health
        self._capabilities = capabilities
        self._too_long = too_long
        self._observer = Observer(config)
        self._recorder = InputLog.open(record_dir, spec.session_id, config)
        self._inbox: deque[Input] = deque()
        self._handling = False
        outcomes = EngineOutcomes(
            asked=self._asked,
            scored=self._scored,
            chosen=self._chosen,
            text=self._heard,
            said=self._said,
            failed=self._failed,
            too_long=lambda error: self._too_long(self._observer.context.tokens + ANSWER_RESERVE, error),
            trouble=self._trouble,
            lost=self.engine_restarted,
            prepared=self._prepared,
        )
        self._lane = EngineExecutor(engine, spec, engine_timeout_s, outcomes)
        self._pen = None if pen is None else WriterExecutor(pen[0], spec, engine_timeout_s)
        self._slices = BackgroundWork(
            clock,
            client,
            self._lane,
            client if pen is None else pen[1],
            self._pen or self._lane,
            SliceOutcomes(self._warmed, self._written, self._write_failed, self._trouble),
        )
        self._clock = clock
        self._tick_s = spec.tick_s
        self._costs = PictureCosts(spec.tick_s)
        self._request: tuple[int, float, tuple[int, int]] | None = None
        """step, when it went out (monotonic), and its pictures, as `Context.pictures`"""
        self._limits = EngineLimits()
        self.limit(client.limits)

    async def run(self) -> None:
        """Carry out what the engine is asked for, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lane.run())
            tasks.create_task(self._slices.run())

    async def aclose(self) -> None:
        if self._pen is not None:
            await self._pen.aclose()
        await self._recorder.aclose()

    @property
    def busy(self) -> bool:
        """A step is in flight."""
        return self._lane.busy

    @property
    def replying(self) -> bool:
        """The step in flight speaks."""
        return self._lane.replying

    async def idle(self) -> None:
        await self._lane.idle()

    def tick(self, frame: Frame, burst: tuple[Frame, ...], due: float, age_s: float, grant: Lease) -> None:
        """A second has come, `due` (monotonic); its frame is `age_s` seconds old now. Takes the grant over."""
        if self._lane.busy:
            grant.release()
            self.passed(frame, burst)
            return
        self.stopwatch.due(due, age_s)
        self._lane.hold(grant)
        self.take(Tick(self._now(), frame, burst))
        self._lane.rest()

    def passed(self, frame: Frame, burst: tuple[Frame, ...]) -> None:
        """A second passed while a reply was on its way."""
        self.take(Passed(self._now(), frame, burst))

    def limit(self, limits: EngineLimits) -> None:
        """How short of time the engine is, and how long a context may be (None: as long as the settings say)."""
        before, self._limits = self._limits, limits
        if limits.pressure is not before.pressure:
            self.take(PressureChanged(self._now(), limits.pressure))
        tokens = limits.context_tokens
        if tokens != before.context_tokens:
            limit = longest_prompt(self._capabilities())
            room = NO_LIMIT if tokens is None else tokens
            self.take(ContextRoomChanged(self._now(), room, NO_LIMIT if limit is None else limit))

    def engine_restarted(self) -> None:
        self.take(EngineRestarted(self._now()))
        self._limit_pictures(PictureCosts(self._tick_s))

    def take(self, input: Input) -> None:
        """Hand one input to the machine and see to its effects. What an effect brings about queues behind it."""
        self._inbox.append(input)
        if self._handling:
            return
        self._handling = True
        try:
            while self._inbox:
                current = self._inbox.popleft()
                effects = self._observer.handle(current)
                self._recorder.write(current, effects)
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._handling = False

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, ENGINE_EFFECTS):
            self._lane.put(effect)
            if isinstance(effect, BeginChunk):
                self._slices.begun()
            elif isinstance(effect, Settle):
                self._slices.settled()
        elif isinstance(effect, Write):
            self._slices.write(effect.draft)
        elif isinstance(effect, StopWriting):
            self._slices.stop(effect.id)
        else:
            if isinstance(effect, Decided):
                self._health.ticked(effect.skipped)
            self._perform(effect)

    # --------------------------------------------------------------------------------------------- the lane's outcomes

    def _asked(self, step: int) -> None:
        self.stopwatch.asked()
        again = self._request is not None and self._request[0] == step  # a choice came before: all of it is read
        self._request = None if again else (step, self._clock.monotonic(), self._observer.context.pictures)

    def _took(self, step: int) -> None:
        """The decision of this step is there, or will not come in time: what pictures cost is learnt from it."""
        if self._request is None or self._request[0] != step or not _unknown_cost(self._engine.capabilities):
            return
        _, began, (new, old) = self._request
        self._costs.took(new, old, self._clock.monotonic() - began)
        self._limit_pictures(self._costs)

    def _limit_pictures(self, costs: PictureCosts) -> None:
        self._costs, limit = costs, costs.limit
        if limit != self._observer.context.limit:
            self.take(PictureLimitChanged(self._now(), limit.most, limit.fresh))

    def _scored(self, step: int, score: Score) -> None:
        self.stopwatch.scored()
        if score.garbage is not None:
            self._metrics.garbage.inc()
            log.debug("answer outside the protocol, taken as silence", session=self._session_id, answer=score.garbage)
            self._health.garbage(score.garbage)
        else:
            self._health.decided()
        self.take(Scored(self._now(), step, score))
        self._took(step)

    def _chosen(self, step: int, shares: tuple[float, ...]) -> None:
        self.take(Chosen(self._now(), step, shares))

    def _heard(self, step: int, text: str) -> None:
        self.take(TextDelta(self._now(), step, text))

    def _said(self, step: int) -> None:
        self.take(SaidDone(self._now(), step))

    def _failed(self, step: int, code: str, message: str) -> None:
        self.take(EngineFailed(self._now(), step, code, message))
        self._health.failed(code, message)
        if code == "engine_timeout":
            self._took(step)

    def _trouble(self, code: str) -> None:
        self._metrics.engine_failures.labels(self._engine.name, code).inc()
        self._health.request_failed(code)

    def _prepared(self, number: int) -> None:
        self._slices.prepared(number)

    # -------------------------------------------------------------------------------------------- the slices' outcomes

    def _warmed(self, number: int, turns: int) -> None:
        self.take(ChunkWarmed(self._now(), number, turns))

    def _written(self, id: str, text: str) -> None:
        self.take(Written(self._now(), id, text))

    def _write_failed(self, id: str, code: str, message: str) -> None:
        self.take(WriteFailed(self._now(), id, code, message))


def _unknown_cost(can: Capabilities) -> bool:
    """Has it to be found out what pictures cost? Not at a server that scores: it keeps what it has read."""
    return can.follows_instructions and not can.needs_every_frame and not can.scores
