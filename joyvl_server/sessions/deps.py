"""What every session of a server shares, and what follows from it for the machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from joyvl_server.agents.queue import TaskQueue
from joyvl_server.core.config import EngineFacts, ObserverConfig
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.clock import Clock, UniqueNumbers
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions.memory.services import PastServices
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.settings import AgentSettings, SessionSettings, StoreSettings
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.events import Events
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.ticks.ticks import DAY_S, TickRetention, Ticks
from joyvl_server.store.watches import Watches
from joyvl_server.timeline.timeline import Timeline

if TYPE_CHECKING:
    from joyvl_server.sessions.engines.pool import EnginePool
    from joyvl_server.sessions.sinks.clips import ClipTasks
    from joyvl_server.sessions.sinks.registry import SinkRegistry


@dataclass(slots=True)
class SessionDeps:
    """`settings`: those of sessions that choose none of their own; only `SessionFactory` changes them."""

    clock: Clock
    settings: SessionSettings
    metrics: Metrics
    watches: Watches
    events: Events
    numbers: UniqueNumbers
    sessions: Sessions
    cameras: Cameras
    ticks: Ticks
    engines: EnginePool
    sinks: SinkRegistry
    speech: SpeechServices
    agents: AgentSettings
    tasks: TaskQueue
    timeline: Timeline
    memory: LongTermMemory
    past: PastServices
    clips: ClipTasks
    updates_backlog: int = 1024


def engine_facts(settings: SessionSettings, can: Capabilities) -> EngineFacts:
    """What the machine's decisions depend on of what the engine can do."""
    return EngineFacts(
        follows_instructions=can.follows_instructions,
        reports_kinds=can.reports_kinds,
        needs_every_frame=can.needs_every_frame,
        chooses=can.chooses,
        prepares=can.prepares,
        writes=can.writes or settings.summary_engine is not None,
    )


def observer_config(
    settings: SessionSettings, engine: EngineFacts, before: ObserverConfig | None = None
) -> ObserverConfig:
    """The machine's settings: the session's own (`SessionSpec.resolved`), and what the engine can do. What neither
    says (its numbers, who hears it) is that of `before`."""
    return replace(
        before or ObserverConfig(),
        threshold=settings.threshold,
        hysteresis=settings.hysteresis,
        cooldown_s=settings.cooldown_s,
        duplicate_window_s=settings.duplicate_window_s,
        query_ttl_s=settings.query_ttl_s,
        fidelity=settings.fidelity,
        context_tokens=settings.context_tokens,
        chunk_s=settings.chunk_s,
        memory_tokens=settings.memory_tokens,
        summary_tokens=settings.summary_tokens,
        language=settings.language,
        lead_turns=settings.lead_turns,
        model_time_s=settings.model_time_s,
        delegation=settings.delegation,
        engine=engine,
    )


def tick_retention(settings: StoreSettings) -> TickRetention:
    """How long ticks are kept, and how many bytes of them."""
    return TickRetention(
        settings.tick_days * DAY_S, settings.tick_detail_days * DAY_S, settings.max_ticks_mb * 1_000_000
    )
