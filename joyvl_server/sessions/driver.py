"""Drives one observer: hands it inputs, gives engine effects to the lane, takes times, keeps the input log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.events import Effect, EngineFailed, Input, SaidDone, Score, Scored, TextDelta, Tick
from joyvl_server.core.frame import Frame
from joyvl_server.core.observer import Observer
from joyvl_server.engines.base import Engine, EngineSpec
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.lane import ENGINE_EFFECTS, EngineLane, Outcomes
from joyvl_server.sessions.latency import Stopwatch
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.recorder import Recorder

log = structlog.get_logger(__name__)


class Driver:
    """`now` gives stream seconds; `perform` gets every effect that is not the engine's, in order."""

    def __init__(
        self,
        engine: Engine,
        spec: EngineSpec,
        config: ObserverConfig,
        *,
        engine_timeout_s: float,
        record_dir: Path | None,
        clock: Clock,
        metrics: Metrics,
        now: Callable[[], float],
        perform: Callable[[Effect], None],
    ) -> None:
        self.stopwatch = Stopwatch(clock, metrics)
        self._session_id = spec.session_id
        self._engine_name = engine.name
        self._metrics = metrics
        self._now = now
        self._perform = perform
        self._observer = Observer(config)
        self._recorder = Recorder.open(record_dir, spec.session_id, config)
        self._inbox: deque[Input] = deque()
        self._handling = False
        outcomes = Outcomes(self._asked, self._scored, self._heard, self._said, self._failed)
        self._lane = EngineLane(engine, spec, engine_timeout_s, outcomes)

    async def run(self) -> None:
        """Carry out what the engine is asked for, until cancelled."""
        await self._lane.run()

    async def aclose(self) -> None:
        await self._recorder.aclose()

    @property
    def busy(self) -> bool:
        """A step is in flight."""
        return self._lane.busy

    async def idle(self) -> None:
        await self._lane.idle()

    def text_of(self, epoch: int | None) -> str | None:
        return self._observer.text_of(epoch)

    def tick(self, frame: Frame, due: float, age_s: float) -> None:
        """A second has come, `due` (monotonic); its frame was `age_s` seconds old by then."""
        self.stopwatch.due(due, age_s)
        self.take(Tick(self._now(), frame))

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
                    if isinstance(effect, ENGINE_EFFECTS):
                        self._lane.put(effect)
                    else:
                        self._perform(effect)
        finally:
            self._handling = False

    # --------------------------------------------------------------------------------------------- the lane's outcomes

    def _asked(self, step: int) -> None:
        self.stopwatch.asked()

    def _scored(self, step: int, score: Score) -> None:
        self.stopwatch.scored()
        if score.garbage is not None:
            self._metrics.garbage.inc()
            log.warning("answer outside the protocol, taken as silence", session=self._session_id, answer=score.garbage)
        self.take(Scored(self._now(), step, score))

    def _heard(self, step: int, text: str) -> None:
        self.take(TextDelta(self._now(), step, text))

    def _said(self, step: int) -> None:
        self.take(SaidDone(self._now(), step))

    def _failed(self, step: int, code: str, message: str) -> None:
        self._metrics.engine_failures.labels(self._engine_name, code).inc()
        self.take(EngineFailed(self._now(), step, code, message))
