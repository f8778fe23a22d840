"""A session's machine and its places at the engines. The machine is made anew when the engine can do other things."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Effect
from joyvl_server.core.inputs import Input
from joyvl_server.engines.base import Capabilities, EngineSpec
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.deps import SessionDeps
from joyvl_server.sessions.engines.monitor import EngineMonitor
from joyvl_server.sessions.engines.state import EngineListener
from joyvl_server.sessions.machine.runner import MachineRunner
from joyvl_server.sessions.scheduling.leases import EngineLimits


class Observation:
    """`facts` gives the machine's settings as they are now, `first` what a new machine has to know first.

    `pen` looks after the engine that writes summaries, where that is another one. `now` gives stream seconds.
    `on_pressure` is called when the engine's pressure has changed; `listener` hears how the engine is. `leave` it
    at the end.
    """

    def __init__(
        self,
        spec: EngineSpec,
        monitor: EngineMonitor,
        pen: EngineMonitor | None,
        around: SessionDeps,
        *,
        now: Callable[[], float],
        facts: Callable[[Capabilities], ObserverConfig],
        first: Callable[[], Iterable[Input]],
        perform: Callable[[Effect], None],
        on_pressure: Callable[[], None],
        listener: EngineListener,
    ) -> None:
        self._spec = spec
        self._monitor = monitor
        self._pen = pen
        self._around = around
        self._now = now
        self._facts = facts
        self._first = first
        self._perform = perform
        self._on_pressure = on_pressure
        self.client = monitor.scheduler.join(
            spec.session_id,
            spec.tick_s,
            self,
            admitted=True,
            most_tokens=around.settings.context_tokens,
        )
        self._writer_client = None if pen is None else pen.scheduler.join(spec.session_id, None)
        self._changed = asyncio.Event()
        self._config = facts(monitor.capabilities)
        self._told = self.client.pressure
        self.health = monitor.join(spec.session_id, spec.tick_s, listener)
        self.driver = self._new_driver()

    @property
    def capabilities(self) -> Capabilities:
        return self._monitor.capabilities

    async def run(self, tick: Callable[[], Awaitable[None]], *, stays: bool) -> None:
        """Drive the machine while `tick` runs; with `stays`, also after it has ended, until cancelled."""
        await self._monitor.known(self._around.settings.engine_timeout_s)
        self.engine_changed()
        while await self._drive(tick, stays):
            self._changed.clear()
            await self.driver.aclose()
            self._config = self._facts(self.capabilities)
            self.driver = self._new_driver()

    async def aclose(self) -> None:
        await self.driver.aclose()

    def leave(self) -> None:
        """Give the places at the engines back."""
        self.client.leave()
        self.health.leave()
        if self._writer_client is not None:
            self._writer_client.leave()

    def engine_changed(self) -> None:
        """The engine was probed: it may be able to do more, or be another one."""
        config = self._facts(self.capabilities)
        # What people change live is no reason for another machine.
        if replace(config, threshold=self._config.threshold, fidelity=self._config.fidelity) != self._config:
            self._changed.set()

    async def _drive(self, tick: Callable[[], Awaitable[None]], stays: bool) -> bool:
        """True when another machine is needed."""
        async with asyncio.TaskGroup() as tasks:
            changed = tasks.create_task(self._changed.wait())
            driving = tasks.create_task(self.driver.run())
            ticking = tasks.create_task(_awaited(tick))
            await asyncio.wait({ticking, changed}, return_when=asyncio.FIRST_COMPLETED)
            if stays:
                await changed
            for task in (changed, driving, ticking):
                task.cancel()
        return self._changed.is_set()

    def _new_driver(self) -> MachineRunner:
        around = self._around
        # No machine begins where another one began: people and clients tell remarks and tasks by these.
        config = replace(self._config, first_epoch=around.numbers.next(), task_prefix=f"{new_id('task')}_")
        driver = MachineRunner(
            self._monitor.engine,
            self._spec,
            config,
            self.client,
            pen=None if self._pen is None or self._writer_client is None else (self._pen.engine, self._writer_client),
            engine_timeout_s=around.settings.engine_timeout_s,
            record_dir=around.settings.record_dir,
            clock=around.clock,
            metrics=around.metrics,
            now=self._now,
            perform=self._perform,
            health=self.health,
            capabilities=lambda: self.capabilities,
            too_long=self._monitor.too_long,
        )
        for input in self._first():
            driver.take(input)
        return driver

    def limits_changed(self, limits: EngineLimits) -> None:
        """See `LimitsListener`."""
        self.driver.limit(limits)
        if limits.pressure is not self._told:
            self._told = limits.pressure
            self._on_pressure()

    def engine_restarted(self) -> None:
        """See `LimitsListener`."""
        self.driver.engine_restarted()


async def _awaited(tick: Callable[[], Awaitable[None]]) -> None:
    await tick()
