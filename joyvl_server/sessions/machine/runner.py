"""Runs the machine of one session: hands it inputs, has its effects carried out, takes times, keeps the input log.

One machine lives as long as its session. That its engine can do more or less is an input to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import structlog

from joyvl_server.core import inputs
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Decision, Score, Skip
from joyvl_server.core.effects import BeginChunk, Decided, Effect, Settle, StopWriting, TickNow, UtteranceDelta, Write
from joyvl_server.core.errors import ContextTooLong
from joyvl_server.core.frame import Frame
from joyvl_server.core.observer import Observer
from joyvl_server.core.prompt.budget import ANSWER_RESERVE
from joyvl_server.core.prompt.notices import Query
from joyvl_server.core.prompt.summary_log import Summary
from joyvl_server.core.prompt.turns import Draft, Look
from joyvl_server.engines.base import Capabilities, EngineSpec
from joyvl_server.ingest.base import Source, SourceState, SourceStatus
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.delegation.session_delegation import RecentFrames
from joyvl_server.sessions.deps import SessionDeps, observer_config
from joyvl_server.sessions.machine.background import BackgroundWork
from joyvl_server.sessions.machine.engine_access import EngineAccess
from joyvl_server.sessions.machine.executor import EngineExecutor
from joyvl_server.sessions.machine.input_log import InputLog
from joyvl_server.sessions.machine.outcomes import EngineEffect
from joyvl_server.sessions.machine.tick_timer import TickTimer
from joyvl_server.sessions.machine.writer import WriterExecutor
from joyvl_server.sessions.scheduling.leases import EngineClient, Lease, Priority
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import Ticked
from joyvl_server.sessions.speech.session_speech import SpeechFacts
from joyvl_server.sessions.ticking.base import Ticker
from joyvl_server.settings import SessionSettings
from joyvl_server.store.sessions import SessionRecord

log = structlog.get_logger(__name__)


class MachineRunner:
    """`run` ticks and works until the source is over; `leave` and `aclose` at the end. Inputs may come before `run`.

    Effects for the engine go to its executor and to the background work, all others to the bus.
    """

    def __init__(
        self,
        record: SessionRecord,
        settings: SessionSettings,
        source: Source,
        ticker: Ticker,
        bus: Bus,
        deps: SessionDeps,
    ) -> None:
        self.source = source
        self._session_id = record.id
        self._settings = settings
        self._ticker = ticker
        self._shown: Frame | None = None
        self._newest: Frame | None = None
        self._bus = bus
        self._deps = deps
        self._clock = deps.clock
        self._inbox: deque[inputs.Input] = deque()
        self._handling = True  # until all of it stands, inputs wait
        self.engine = EngineAccess(record, settings, deps, bus, self)
        self.client: EngineClient = self.engine.client
        self.priority: Priority = self.engine.priority
        self.timer = TickTimer(record.id, deps.clock, deps.metrics)
        # No machine begins where another one began: people and clients tell remarks and tasks by these.
        self._config = replace(
            observer_config(settings, self.engine.facts),
            first_epoch=deps.numbers.next(),
            task_prefix=f"{new_id('task')}_",
        )
        self._observer = Observer(self._config)
        self._log = InputLog.open(settings.record_dir, record.id, self._config)
        spec, timeout_s = EngineSpec(session_id=record.id, tick_s=settings.tick_s), settings.engine_timeout_s
        self._executor = EngineExecutor(self.engine.engine, spec, timeout_s, self)
        writer = self.engine.writing_engine
        self._writer = None if writer is None else WriterExecutor(writer, spec, timeout_s)
        self._background = BackgroundWork(
            deps.clock,
            self.engine.client,
            self._executor,
            self.engine.writer,
            self._writer or self._executor,
            self,
        )
        self.frames = RecentFrames(deps.agents.frames_s) if deps.tasks.able else None
        self._handling = False

    async def run(self, *, stays: bool) -> None:
        """Tick until the source is over; with `stays`, go on working after that. Cancelled, the engine session is
        closed, within some seconds."""
        await self.engine.monitor.known(self._settings.engine_timeout_s)
        self.engine_changed()
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(self._executor.run()), tasks.create_task(self._background.run())]
            # A task of its own: a tick resumes nothing but the ticker.
            await tasks.create_task(self._ticker.run(self))
            if stays:
                await asyncio.Event().wait()
            for task in working:
                task.cancel()

    async def aclose(self) -> None:
        """Close what writes texts, and the input log. Cancelled, it may leave the log open."""
        if self._writer is not None:
            await self._writer.aclose()
        await self._log.aclose()

    def remembered(self) -> tuple[int, int, list[Summary]]:
        """The number of its chunk, the estimated tokens of that, and what is known of seconds before it."""
        context = self._observer.context
        number = context.present.chunk.number if context.present is not None else 0
        return number, context.tokens, self._observer.remembered()

    def open_queries(self) -> Mapping[str, Query]:
        """What is asked and not answered yet, by id, as the machine knows it."""
        return self._observer.open_queries

    def decide_now(self) -> None:
        """Somebody waits for a decision: the next tick comes at once."""
        self._ticker.wake()

    def take(self, input: inputs.Input) -> None:
        """Hand one input to the machine and see to its effects. What an effect brings about queues behind it."""
        self._inbox.append(input)
        if self._handling:
            return
        self._handling = True
        try:
            while self._inbox:
                current = self._inbox.popleft()
                effects = self._observer.handle(current)
                if self._log.recording:
                    self._log.write(current, effects)
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._handling = False

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, EngineEffect):
            self._executor.put(effect)
            if isinstance(effect, BeginChunk):
                self._background.begun()
            elif isinstance(effect, Settle) and self._background.prepared_number is not None:
                self._background.settled()
        elif isinstance(effect, Decided):
            self._decided(effect)
        elif isinstance(effect, Write):
            self._background.write(effect.draft)
        elif isinstance(effect, StopWriting):
            self._background.stop(effect.id)
        elif isinstance(effect, TickNow):
            self._ticker.wake()
        else:
            if isinstance(effect, UtteranceDelta):
                self._deps.numbers.used(effect.epoch)
            self._bus.publish(effect)

    def _decided(self, decided: Decided) -> None:
        skipped = decided.skipped
        if skipped is not None or decided.look is not Look.SKIP:  # a sound says nothing of the engine
            self.engine.health.ticked(skipped)
        record = self.timer.record(decided, self._deps.numbers.next(), self._settings.threshold)
        spoken = skipped is None and decided.decision is not Decision.SILENT
        self._bus.publish(Ticked(decided, record, spoken, self._picture(decided) if spoken else b""))

    def _picture(self, decided: Decided) -> bytes:
        """What the step in flight shows. What a sound makes it say has no step: the newest picture goes with it."""
        frame = self._newest if decided.look is Look.SKIP else self._shown
        return b"" if frame is None else frame.image.jpeg

    # ------------------------------------------------------------------------------------------- what the ticker does

    @property
    def now(self) -> float:
        """Stream seconds."""
        return self.source.now

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    @property
    def pictures(self) -> int:
        """Pictures of one second that a tick may bring."""
        return self.engine.pictures

    @property
    def busy(self) -> bool:
        """A step is in flight."""
        return self._executor.pending > 0

    @property
    def replying(self) -> bool:
        """The step in flight speaks."""
        return self._executor.replying

    async def idle(self) -> None:
        """See `Ticking`."""
        await self._executor.idle()

    async def look(self, at: float | None = None) -> Frame:
        """See `Ticking`. The picture comes with what this session's engine and fidelity need of it."""
        began = self._clock.monotonic()
        frame = await self.source.look(at=at, glance=self.engine.glances, trail=self.engine.every_frame)
        self.timer.looked(began)
        return frame

    def tick(self, frame: Frame, burst: tuple[Frame, ...], due: float, speed: float, lease: Lease) -> None:
        """A second has come: `due` is monotonic, `speed` stream seconds per second. Takes the lease over."""
        if self._executor.pending:
            lease.release()
            self.passed(frame, burst)
            return
        self._seen(frame)
        self._shown = frame
        now = self.source.now
        self.timer.due(due, max(0.0, (now - frame.t) / speed))
        self._executor.hold(lease)
        self.take(inputs.Tick(now, frame, burst))
        self._executor.release()

    def passed(self, frame: Frame, burst: tuple[Frame, ...]) -> None:
        """A second passed while a reply was on its way."""
        self._seen(frame)
        self.take(inputs.Passed(self.source.now, frame, burst))

    def _seen(self, frame: Frame) -> None:
        self._newest = frame
        if self.frames is not None:
            self.frames.add(frame)

    def rest(self, resting: bool) -> None:
        """See `Ticking`."""
        self.engine.has_pictures = not resting and self.source.state.status is SourceStatus.ONLINE
        if resting:
            self.engine.health.ticked(Skip.NO_FRAME)

    def source_changed(self, state: SourceState) -> None:
        """The source came or went."""
        self.engine.has_pictures = state.status is SourceStatus.ONLINE
        if self.engine.has_pictures:
            self._ticker.online()

    # ------------------------------------------------------------------------------------------ settings, the engine

    def configure(self, settings: SessionSettings) -> None:
        """These count from now on. The machine learns only of what is another. Raises `ConfigError` for settings
        that the machine cannot work with: it goes on with those before."""
        self._settings = settings
        self.engine_changed()  # it may be able to do something else by now, which nobody has told yet
        self._set_config(observer_config(settings, self.engine.facts, self._config))

    def speech_changed(self, facts: SpeechFacts) -> None:
        """Somebody hears what the session says, or nobody does any more; or people are heard in another way."""
        config = replace(
            self._config,
            voice=facts.audible,
            half_duplex=facts.half_duplex,
            addressed_only=facts.addressed_only,
        )
        self._set_config(config)

    def _set_config(self, config: ObserverConfig) -> None:
        if config != self._config:
            self.take(inputs.ConfigChanged(self.now, config))
            self._config = config

    def engine_changed(self) -> None:
        """See `EngineUser`."""
        self.engine.configure(self._settings)
        if self.engine.facts != self._config.engine:
            self._config = replace(self._config, engine=self.engine.facts)
            self._executor.renew()
            self.take(inputs.CapabilitiesChanged(self.now, self.engine.facts))
            self.engine.changed()

    # --------------------------------------------------------------------------------------- what the executor reports

    def asked(self, step: int) -> None:
        self.timer.asked()
        if self.engine.learns_costs:
            self.engine.asked(step, self._observer.context.pictures)

    def scored(self, step: int, score: Score) -> None:
        self.timer.scored()
        if score.garbage is not None:
            self._deps.metrics.garbage.inc()
            log.debug("answer outside the protocol, taken as silence", session=self._session_id, answer=score.garbage)
            self.engine.health.garbage(score.garbage)
        else:
            self.engine.health.decided()
        self.take(inputs.Scored(self.source.now, step, score))
        if self.engine.learns_costs:
            self.engine.answered(step)

    def chosen(self, step: int, shares: tuple[float, ...]) -> None:
        self.take(inputs.Chosen(self.now, step, shares))

    def text(self, step: int, text: str) -> None:
        self.take(inputs.TextDelta(self.now, step, text))

    def said(self, step: int) -> None:
        self.take(inputs.SaidDone(self.now, step))

    def failed(self, step: int, code: str, message: str) -> None:
        self.take(inputs.EngineFailed(self.now, step, code, message))
        self.engine.health.failed(code, message)
        if code == "engine_timeout" and self.engine.learns_costs:
            self.engine.answered(step)

    def too_long(self, error: ContextTooLong) -> None:
        self.engine.monitor.too_long(self._observer.context.tokens + ANSWER_RESERVE, error)

    def trouble(self, code: str) -> None:
        self._deps.metrics.engine_failures.labels(self.engine.engine.name, code).inc()
        self.engine.health.request_failed(code)

    def prepared(self, number: int) -> None:
        self._background.prepared(number)

    def lost(self) -> None:
        self.engine.engine_restarted()

    # -------------------------------------------------------------------------------- what the background work reports

    async def write_text(self, draft: Draft) -> str | None:
        """A text that is not the machine's own, written between its turns; None where nothing comes of it.

        Cancelled, nobody wants it any more.
        """
        return await self._background.text(draft) if self._config.engine.writes else None

    def warmed(self, number: int, turns: int) -> None:
        self.take(inputs.ChunkWarmed(self.now, number, turns))

    def written(self, id: str, text: str) -> None:
        self.take(inputs.Written(self.now, id, text))

    def write_failed(self, id: str, code: str, message: str) -> None:
        self.take(inputs.WriteFailed(self.now, id, code, message))
