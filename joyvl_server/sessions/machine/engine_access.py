"""What one session has of its engines: its clients at their schedulers, its health, and what they can do.

What is new about them becomes an input of the machine here, and goes on the bus where clients should know.
"""

from __future__ import annotations

from typing import Protocol

from joyvl_server.core.config import EngineFacts
from joyvl_server.core.decisions import Pressure
from joyvl_server.core.inputs import ContextLimitChanged, EngineRestarted, Input, PictureLimitChanged, PressureChanged
from joyvl_server.engines.base import Capabilities, Engine
from joyvl_server.sessions.deps import SessionDeps, engine_facts
from joyvl_server.sessions.engines.session_health import SessionHealth
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.machine.picture_costs import PictureCostMeter, costs_unknown
from joyvl_server.sessions.scheduling.admission import longest_prompt
from joyvl_server.sessions.scheduling.leases import EngineClient, EngineLimits, Priority
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import DecisionsResumed, DecisionsStopped, SessionUpdated
from joyvl_server.settings import SessionSettings
from joyvl_server.store.sessions import SessionRecord

NO_LIMIT = 1_000_000_000
"""where the engine does not say: the setting is the bound"""


class EngineUser(Protocol):
    """The machine whose engines they are."""

    @property
    def now(self) -> float:
        """Stream seconds."""

    def take(self, input: Input) -> None: ...

    def engine_changed(self) -> None:
        """The engine was probed: it may be able to do more, or be another one."""


class EngineAccess:
    """`leave` at the end. `writer` is the client at the engine that writes texts, which may be the same one."""

    def __init__(
        self, record: SessionRecord, settings: SessionSettings, deps: SessionDeps, bus: Bus, user: EngineUser
    ) -> None:
        writer = settings.summary_engine
        other = None if writer in (None, record.engine) else deps.engines.monitor(writer)
        self.priority = Priority.CALL if record.kind == "call" else Priority.CAMERA
        self.monitor = deps.engines.monitor(record.engine)
        self.engine: Engine = self.monitor.engine
        self.writing_engine: Engine | None = None if other is None else other.engine
        self.learns_costs = False
        """it must be found out what pictures cost"""
        self.has_pictures = False
        """the source shows some now; the machine's runner says so"""
        self._bus = bus
        self._user = user
        self._stopped = False
        self._costs = PictureCostMeter(deps.clock, settings.tick_s)
        self._picture_limit = self._costs.limit
        self._pressure = Pressure.NONE
        self._context_limits = (NO_LIMIT, NO_LIMIT)
        self.client: EngineClient = self.monitor.scheduler.join(
            record.id, settings.tick_s, self, admitted=True, most_tokens=settings.context_tokens
        )
        self.health: SessionHealth = self.monitor.join(record.id, settings.tick_s, self)
        self.writer = self.client if other is None else other.scheduler.join(record.id, None)
        self.configure(settings)
        self._take_limits()

    def configure(self, settings: SessionSettings) -> None:
        """These settings count from now on; what the engine can do is looked up once more."""
        self._settings = settings
        self.capabilities: Capabilities = self.monitor.capabilities
        self.facts: EngineFacts = engine_facts(settings, self.capabilities)
        self.learns_costs = costs_unknown(self.capabilities)
        self._choose_pictures()

    def changed(self) -> None:
        """The machine knows what the engine can do now: what was learnt about it is forgotten."""
        self._forget_costs()
        self._take_limits()

    @property
    def state(self) -> EngineState:
        """Whether the engine decides for this session."""
        return self.health.state

    def begun(self) -> None:
        """The session begins: people are told where the engine decides nothing yet."""
        if not (self.state.decides or self.state.trying):
            self.engine_state_changed(self.state)

    def leave(self) -> None:
        """Give the places at the engines back."""
        self.client.leave()
        self.health.leave()
        if self.writer is not self.client:
            self.writer.leave()

    # ------------------------------------------------------------------------------------ what the engine's owner tells

    def engine_capabilities_changed(self) -> None:
        """See `EngineListener`."""
        self.capabilities = self.monitor.capabilities
        self._bus.publish(SessionUpdated())
        self._user.engine_changed()

    def limits_changed(self, limits: EngineLimits) -> None:
        """See `LimitsListener`."""
        told = self._pressure
        self._take_limits()
        if limits.pressure is not told:
            self._bus.publish(SessionUpdated())

    def engine_restarted(self) -> None:
        """See `LimitsListener`."""
        self._user.take(EngineRestarted(self._user.now))
        self._forget_costs()

    def _take_limits(self) -> None:
        """The machine learns of limits that are others than before."""
        self.capabilities = self.monitor.capabilities
        pressure, tokens = self.client.pressure, self.client.limits.context_tokens
        if pressure is not self._pressure:
            self._pressure = pressure
            self._choose_pictures()
            self._user.take(PressureChanged(self._user.now, pressure))
        most = longest_prompt(self.capabilities)
        limits = (NO_LIMIT if tokens is None else tokens, NO_LIMIT if most is None else most)
        if limits != self._context_limits:
            self._context_limits = limits
            self._user.take(ContextLimitChanged(self._user.now, *limits))

    def _choose_pictures(self) -> None:
        every, fidelity = self.capabilities.needs_every_frame, self._settings.fidelity
        saves = fidelity != "faithful" or self._pressure is not Pressure.NONE
        self.every_frame = every
        """a picture comes with the small grey ones since the last look"""
        # The lead of a chunk is made of glances.
        self.glances = not every and (saves or self.capabilities.prepares)
        """a picture comes with a small copy"""
        self.pictures = 1 if every else self._settings.frames_per_tick
        """of one second that a tick may bring"""

    def engine_state_changed(self, state: EngineState) -> None:
        """See `EngineListener`. The timeline has it once when decisions stop and once when they come again."""
        self._bus.publish(SessionUpdated())
        if state.trying or state.decides is not self._stopped:
            return
        self._stopped = not state.decides
        self._bus.publish(DecisionsStopped(state) if self._stopped else DecisionsResumed(state))

    # ------------------------------------------------------------------------------------------- what its pictures cost

    def asked(self, step: int, pictures: tuple[int, int]) -> None:
        """The request of this step goes out with this many pictures, as `Context.pictures`."""
        self._costs.asked(step, pictures)

    def answered(self, step: int) -> None:
        """The decision of this step is there, or will not come in time: what pictures cost is learnt from it."""
        if self._costs.took(step):
            self._limit_pictures()

    def _forget_costs(self) -> None:
        self._costs.forget()
        self._limit_pictures()

    def _limit_pictures(self) -> None:
        limit = self._costs.limit
        if limit != self._picture_limit:
            self._picture_limit = limit
            self._user.take(PictureLimitChanged(self._user.now, limit.most, limit.fresh))
