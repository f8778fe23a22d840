"""The engines of this server: each is opened once, by name, when the first session wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.engines.base import Engine, EngineSettings
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.sessions.attendant import Attendant
from joyvl_server.sessions.metrics import Metrics

GROUP = "joyvl.engines"


class EnginePool:
    """`attend` gives it what its engines are looked after with; until then it only builds and describes them."""

    def __init__(self, options: Mapping[str, EngineSettings]) -> None:
        self._options = options
        self._engines: dict[str, Engine] = {}
        self._attendants: dict[str, Attendant] = {}
        self._clock: Clock = SystemClock()
        self._metrics: Metrics | None = None
        self._on_change: Callable[[str], None] = lambda name: None

    def add(self, engine: Engine) -> None:
        """Use this engine under its own name, ahead of any installed one."""
        self._engines[engine.name] = engine

    def attend(self, clock: Clock, metrics: Metrics, on_change: Callable[[str], None]) -> None:
        """`on_change` is called with an engine's name when it turns out to be able to do other things."""
        self._clock, self._metrics, self._on_change = clock, metrics, on_change

    def get(self, name: str) -> Engine:
        """The engine of that name. Raises `ConfigError` when there is none or its options are wrong."""
        if name not in self._engines:
            build = cast(Callable[[EngineSettings], Engine], plugins.load(GROUP, name))
            self._engines[name] = build(self._options.get(name, {}))
        return self._engines[name]

    def attendant(self, name: str) -> Attendant:
        """Who looks after that engine, from its first use on. Raises `ConfigError` as `get` does."""
        if name not in self._attendants:
            self._attendants[name] = Attendant(
                self.get(name), self._clock, self._metrics or Metrics(), lambda name: self._on_change(name)
            )
        return self._attendants[name]

    def schedulers(self) -> list[dict[str, Any]]:
        """A snapshot of the scheduler of every engine in use."""
        return [attendant.scheduler.snapshot() for attendant in self._attendants.values()]

    def describe(self) -> list[dict[str, Any]]:
        """Every installed engine: its name, its capabilities, or why it cannot be used as configured."""
        return [self._describe(name) for name in sorted(plugins.names(GROUP))]

    def _describe(self, name: str) -> dict[str, Any]:
        try:
            engine = self.get(name)
        except ConfigError as error:
            return {"name": name, "capabilities": None, "error": str(error)}
        return {"name": name, "capabilities": engine.capabilities, "error": None}

    async def check(self, default: str) -> dict[str, str | None]:
        """Readiness of the engines that sessions use, and of the `default` one: None, or a sentence."""
        parts: dict[str, str | None] = {}
        for name in sorted({*self._attendants, default} & set(self._engines)):
            try:
                await self._engines[name].check()
                parts[f"engine {name}"] = None
            except EngineError as error:
                parts[f"engine {name}"] = str(error)
        return parts

    async def aclose(self) -> None:
        await asyncio.gather(*(attendant.aclose() for attendant in self._attendants.values()))
        self._attendants.clear()
        for engine in self._engines.values():
            await engine.aclose()
        self._engines.clear()
