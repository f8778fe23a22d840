"""What every session of a server shares, and what follows from it for the machine."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.config import ObserverConfig
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.settings import SessionSettings
from joyvl_server.store.events import Events
from joyvl_server.store.watches import Watches


@dataclass(frozen=True, slots=True)
class Surroundings:
    clock: Clock
    settings: SessionSettings
    metrics: Metrics
    watches: Watches
    events: Events
    updates_backlog: int = 1024


def observer_config(settings: SessionSettings, can: Capabilities, threshold: float) -> ObserverConfig:
    """The machine's settings: the session's, and what the engine can do."""
    return ObserverConfig(
        threshold=threshold,
        cooldown_s=settings.cooldown_s,
        duplicate_window_s=settings.duplicate_window_s,
        query_ttl_s=settings.query_ttl_s,
        fidelity=settings.fidelity,
        context_tokens=settings.context_tokens,
        chunk_s=settings.chunk_s,
        follows_instructions=can.follows_instructions,
        reports_kinds=can.reports_kinds,
        needs_every_frame=can.needs_every_frame,
    )
