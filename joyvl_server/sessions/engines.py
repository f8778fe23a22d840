"""The engines of this server: each is opened once, by name, when the first session wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.engines.base import Engine, EngineSettings
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.sessions.attendant import Attendant
from joyvl_server.sessions.health import EngineStatus
from joyvl_server.sessions.metrics import Metrics

GROUP = "joyvl.engines"
LOADING_S = 600.0
ASK_S = 1.0


class EnginePool:
    """`attend` gives it what its engines are looked after with; until then it only builds and describes them."""

    def __init__(self, options: Mapping[str, EngineSettings]) -> None:
        self._options = options
        self._engines: dict[str, Engine] = {}
        self._attendants: dict[str, Attendant] = {}
        self._asking: dict[str, asyncio.Task[str | None]] = {}
        self._clock: Clock = SystemClock()
        self._metrics: Metrics | None = None
        self._on_change: Callable[[str], None] = lambda name: None
        self._loading_s = LOADING_S

    def add(self, engine: Engine) -> None:
        """Use this engine under its own name, ahead of any installed one."""
        self._engines[engine.name] = engine

    def attend(
        self, clock: Clock, metrics: Metrics, on_change: Callable[[str], None], loading_s: float = LOADING_S
    ) -> None:
        """`on_change` is called with an engine's name when it turns out to be able to do other things. `loading_s` is
        the longest time one may load its model."""
        self._clock, self._metrics, self._on_change, self._loading_s = clock, metrics, on_change, loading_s

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
                self.get(name),
                self._clock,
                self._metrics or Metrics(),
                lambda name: self._on_change(name),
                self._loading_s,
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
        """Readiness of the engines that sessions use, and of the `default` one: None, or a sentence.

        What sessions use is known and asked nothing. An engine that nobody uses yet is asked, for a second at most.
        """
        parts: dict[str, str | None] = {}
        for name in sorted({*self._attendants, default}):
            attendant = self._attendants.get(name)
            if attendant is None or not attendant.started:
                parts[f"engine {name}"] = await self._ask(name)
            else:
                state = attendant.health.state
                parts[f"engine {name}"] = None if state.decides else state.reason
        return parts

    def slow(self) -> dict[str, str]:
        """What engines manage that decide less than once a second, by their names."""
        states = {name: attendant.health.state for name, attendant in self._attendants.items()}
        return {
            name: state.reason for name, state in states.items() if state.status is EngineStatus.SLOW and state.reason
        }

    async def _ask(self, name: str) -> str | None:
        """Asks after an engine that nobody uses; whoever asks meanwhile waits for the same answer."""
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._check(name), name=f"check of engine-{name}")
            asking.add_done_callback(lambda task: self._asking.pop(name, None))
        done, _ = await asyncio.wait({asking}, timeout=ASK_S)
        return asking.result() if done else f"The engine {name} has not answered within {ASK_S:g} s."

    async def _check(self, name: str) -> str | None:
        try:
            await self.get(name).check()
        except JoyvlError as error:
            return str(error)
        return None

    async def aclose(self) -> None:
        for asking in list(self._asking.values()):
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await asyncio.gather(*(attendant.aclose() for attendant in self._attendants.values()))
        self._attendants.clear()
        for engine in self._engines.values():
            await engine.aclose()
        self._engines.clear()
