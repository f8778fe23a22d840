"""The engines of this server: each is opened once, by name, when the first session wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.engines.base import Engine, EngineSettings
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.sessions.engines.monitor import EngineMonitor
from joyvl_server.sessions.engines.state import EngineStatus
from joyvl_server.sessions.metrics import Metrics

log = structlog.get_logger(__name__)

GROUP = "joyvl.engines"
LOADING_S = 600.0
ASK_S = 1.0
CLOSE_S = 20.0
"""How long an engine may take to give everything back; a process of its own has 10 s to end by itself."""
IMPORT_S = 30.0
"""How long the import of an engine may take; a big library on a slow disk needs some of it."""


class EnginePool:
    """`equip` gives it what its engines are monitored with; until then it only builds and describes them."""

    def __init__(self, options: Mapping[str, EngineSettings]) -> None:
        self._options = options
        self._engines: dict[str, Engine] = {}
        self._imported: dict[str, object] = {}
        """what builds each engine, or the `ConfigError` that says why it cannot be imported"""
        self._imports: dict[str, asyncio.Task[None]] = {}
        self._threads = BoundedThreads("import of a plug-in", limit=4, timeout_s=IMPORT_S)
        self._monitors: dict[str, EngineMonitor] = {}
        self._asking: dict[str, asyncio.Task[str | None]] = {}
        self._clock: Clock = SystemClock()
        self._metrics: Metrics | None = None
        self._loading_s = LOADING_S

    def add(self, engine: Engine) -> None:
        """Use this engine under its own name, ahead of any installed one."""
        self._engines[engine.name] = engine

    def equip(self, clock: Clock, metrics: Metrics, loading_s: float = LOADING_S) -> None:
        """What monitors are made with from now on. `loading_s` is the longest time an engine may load its model."""
        self._clock, self._metrics, self._loading_s = clock, metrics, loading_s

    async def load(self, name: str) -> None:
        """Import what that engine needs, off the loop and once, for `get`, which says what was wrong with it.

        Returns after `IMPORT_S` at the latest. Cancelled, the import goes on for whoever asks next.
        """
        if name in self._engines or name in self._imported:
            return
        if name not in self._imports:
            self._imports[name] = asyncio.create_task(self._import(name), name=f"import of engine {name}")
        await asyncio.wait({self._imports[name]}, timeout=IMPORT_S)

    async def load_all(self) -> None:
        """`load` every installed engine. Cancelled, the imports go on."""
        await asyncio.gather(*(self.load(name) for name in plugins.names(GROUP)))

    async def _import(self, name: str) -> None:
        try:
            self._imported[name] = await self._threads.run(lambda: plugins.load(GROUP, name))
        except ConfigError as error:
            self._imported[name] = error
        except TimeoutError:
            sentence = f"The engine {name} was not imported within {IMPORT_S:g} s. Start the server again to retry."
            self._imported[name] = ConfigError(sentence)
        finally:
            del self._imports[name]

    def get(self, name: str) -> Engine:
        """The engine of that name. Raises `ConfigError` when there is none or its options are wrong.

        Imports it here and now where `load` has not: not for the loop of a server.
        """
        if name not in self._engines:
            if name in self._imports:
                raise ConfigError(f"The engine {name} is still being imported. Try again in a moment.")
            found = self._imported[name] if name in self._imported else plugins.load(GROUP, name)
            if isinstance(found, ConfigError):
                raise found
            self._engines[name] = self._build(name, cast(Callable[[EngineSettings], Engine], found))
        return self._engines[name]

    def _build(self, name: str, build: Callable[[EngineSettings], Engine]) -> Engine:
        try:
            return build(self._options.get(name, {}))
        except JoyvlError:
            raise
        except Exception as error:  # somebody else's code: whatever it raises, the reason is for the user
            raise ConfigError(f"The engine {name} cannot be built: {type(error).__name__}: {error}") from error

    def monitor(self, name: str) -> EngineMonitor:
        """The monitor of that engine, made at its first use. Raises `ConfigError` as `get` does."""
        if name not in self._monitors:
            self._monitors[name] = EngineMonitor(
                self.get(name), self._clock, self._metrics or Metrics(), self._loading_s
            )
        return self._monitors[name]

    def schedulers(self) -> list[dict[str, Any]]:
        """A snapshot of the scheduler of every engine in use."""
        return [monitor.scheduler.snapshot() for monitor in self._monitors.values()]

    def describe(self) -> list[dict[str, Any]]:
        """Every installed engine: its name, its capabilities, or why it cannot be used as configured."""
        return [self._describe(name) for name in sorted(plugins.names(GROUP))]

    def _describe(self, name: str) -> dict[str, Any]:
        try:
            found = self._monitors.get(name) or self.get(name)
            return {"name": name, "capabilities": found.capabilities, "error": None}
        except ConfigError as error:
            return {"name": name, "capabilities": None, "error": str(error)}

    async def check(self, default: str) -> dict[str, str | None]:
        """Readiness of the engines that sessions use, and of the `default` one: None, or a sentence.

        What sessions use is known and asked nothing. An engine that nobody uses yet is asked, for a second at most.
        Cancelled, the asking goes on for whoever asks next.
        """
        parts: dict[str, str | None] = {}
        for name in sorted({*self._monitors, default}):
            monitor = self._monitors.get(name)
            if monitor is None or not monitor.started:
                parts[f"engine {name}"] = await self._ask(name)
            else:
                state, unknown = monitor.state, f"The engine {name} is being tried."
                parts[f"engine {name}"] = None if state.decides else state.reason or unknown
        return parts

    def faults(self) -> dict[str, str | None]:
        """Engines in use by name: None for one that decides, else a sentence. One that is loading or not known yet is
        left out."""
        states = {name: monitor.state for name, monitor in self._monitors.items() if monitor.started}
        return {
            name: None if state.decides else state.reason or "It does not answer."
            for name, state in states.items()
            if state.status is not EngineStatus.LOADING
        }

    def slow(self) -> dict[str, str]:
        """What engines manage that decide less than once a second, by their names."""
        states = {name: monitor.state for name, monitor in self._monitors.items()}
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
        await self.load(name)
        try:
            await self.get(name).check()
        except JoyvlError as error:
            return str(error)
        except Exception as error:  # somebody else's code: the other parts are still told of
            return f"The engine {name} cannot be asked: {type(error).__name__}: {error}"
        return None

    async def aclose(self) -> None:
        """Give every engine back, `CLOSE_S` for each at most. Cancelled, it may leave some of them open."""
        background = [*self._asking.values(), *self._imports.values()]
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await asyncio.gather(*(monitor.aclose() for monitor in self._monitors.values()))
        self._monitors.clear()
        engines, self._engines = list(self._engines.values()), {}
        await asyncio.gather(*(_close(engine) for engine in engines))


async def _close(engine: Engine) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await engine.aclose()
    except TimeoutError:
        log.error("engine does not close", engine=engine.name, waited_s=CLOSE_S)
    except Exception as error:  # somebody else's code: the others are still given back
        log.error("engine does not close", engine=engine.name, exc_info=error)
