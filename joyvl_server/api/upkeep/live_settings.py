"""Settings read again while the server runs: what can be changed at once is, the rest is named. All or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from joyvl_server.core.errors import ConfigError, Conflict
from joyvl_server.kit import logs
from joyvl_server.kit.settings_layers import leaves
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.settings import SessionSettings, Settings
from joyvl_server.settings.source import SettingsSource

log = structlog.get_logger(__name__)

Names = tuple[str, ...]
OF_SESSIONS = frozenset(SessionSpec.model_fields.keys() & SessionSettings.model_fields.keys()) | {"max_sessions"}
LIVE: frozenset[Names] = frozenset(
    {
        ("log", "level"),
        ("log", "format"),
        ("timeline", "max_gb"),
        ("timeline", "days"),
        ("memory", "days"),
        ("memory", "max_memories"),
        *(("sessions", name) for name in OF_SESSIONS),
    }
)
"""What a running server takes over. The others need a restart."""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """Dotted names of settings that are others than before: in force now, and those that wait for a restart."""

    applied: tuple[str, ...]
    restart: tuple[str, ...]


class LiveSettings:
    """`source`: None where the server was not started from settings that can be read again."""

    def __init__(self, settings: Settings, registry: Registry, source: SettingsSource | None) -> None:
        self.log_level: str = settings.log.level
        self._running = settings
        self._registry = registry
        self._source = source
        self._reading = asyncio.Lock()

    async def reload(self) -> ReloadReport:
        """Read the settings again and take over what can be. Raises `ConfigError` for settings that are wrong, and
        `Conflict`: then nothing is changed. Cancelled, it is done whole or not at all."""
        if self._source is None:
            raise Conflict("This server was not started from settings that can be read again: restart it.")
        async with self._reading:
            new = await asyncio.to_thread(self._source.read)
            changed = [names for names, _ in leaves(Settings) if _value(new, names) != _value(self._running, names)]
            applied = [names for names in changed if names in LIVE]
            if applied:
                self._apply(new, applied)
            report = ReloadReport(_dotted(applied), _dotted([names for names in changed if names not in LIVE]))
        log.info("settings are read again", applied=report.applied, need_restart=report.restart)
        return report

    def set_log_level(self, level: str) -> None:
        """Until the next start, or until the settings name another one: debug, info, warning or error."""
        logs.configure(level, self._running.log.format)
        if level != self.log_level:
            log.warning("level of the log is another one", level=level, before=self.log_level)
        self.log_level = level

    def _apply(self, new: Settings, names: Sequence[Names]) -> None:
        """Raises `ConfigError` before anything is changed."""
        groups = {above for above, *_ in names}
        if "sessions" in groups:
            taken = {name: getattr(new.sessions, name) for name in OF_SESSIONS}
            self._registry.factory.change_defaults(_with(self._running.sessions, taken), self._registry.sessions())
        if "timeline" in groups:
            self._registry.timeline.files.quota.change(new.timeline)
        if "memory" in groups:
            self._registry.past.retention.change(new.memory.days, new.memory.max_memories)
        if "log" in groups:
            level = new.log.level if new.log.level != self._running.log.level else self.log_level
            logs.configure(level, new.log.format)
            self.log_level = level
        for group, name in names:
            self._running = _with(self._running, {group: _with(getattr(self._running, group), {
                name: getattr(getattr(new, group), name)
            })})  # fmt: skip


def _with(model: Any, values: dict[str, Any]) -> Any:
    return model.model_copy(update=values)


def _value(settings: Settings, names: Names) -> object:
    found: Any = settings
    for name in names:
        found = getattr(found, name)
    return found


def _dotted(names: Sequence[Names]) -> tuple[str, ...]:
    return tuple(sorted(".".join(one) for one in names))


async def reload_and_tell(live: LiveSettings) -> None:
    """As a signal asks for it: what is wrong is logged. Cancelling it changes nothing, or all is changed."""
    try:
        await live.reload()
    except (ConfigError, Conflict) as error:
        log.error("settings cannot be used and nothing is changed", error=str(error))
