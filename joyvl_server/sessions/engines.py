"""The engines of this server: each is opened once, by name, when the first session wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.engines.base import Engine, EngineSettings
from joyvl_server.kit import plugins

GROUP = "joyvl.engines"


class EnginePool:
    def __init__(self, options: Mapping[str, EngineSettings]) -> None:
        self._options = options
        self._engines: dict[str, Engine] = {}

    def add(self, engine: Engine) -> None:
        """Use this engine under its own name, ahead of any installed one."""
        self._engines[engine.name] = engine

    def get(self, name: str) -> Engine:
        """The engine of that name. Raises `ConfigError` when there is none or its options are wrong."""
        if name not in self._engines:
            build = cast(Callable[[EngineSettings], Engine], plugins.load(GROUP, name))
            self._engines[name] = build(self._options.get(name, {}))
        return self._engines[name]

    def describe(self) -> list[dict[str, Any]]:
        """Every installed engine: its name, its capabilities, or why it cannot be used as configured."""
        return [self._describe(name) for name in sorted(plugins.names(GROUP))]

    def _describe(self, name: str) -> dict[str, Any]:
        try:
            engine = self.get(name)
        except ConfigError as error:
            return {"name": name, "capabilities": None, "error": str(error)}
        return {"name": name, "capabilities": engine.capabilities, "error": None}

    async def check(self) -> dict[str, str | None]:
        """Readiness of every engine in use: None, or a sentence."""
        parts: dict[str, str | None] = {}
        for name, engine in self._engines.items():
            try:
                await engine.check()
                parts[f"engine {name}"] = None
            except EngineError as error:
                parts[f"engine {name}"] = str(error)
        return parts

    async def aclose(self) -> None:
        for engine in self._engines.values():
            await engine.aclose()
        self._engines.clear()
