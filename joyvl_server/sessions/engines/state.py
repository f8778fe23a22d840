"""How an engine is, as everybody else sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from joyvl_server.core.errors import EngineLoading


class EngineStatus(StrEnum):
    READY = "ready"
    """it decides"""
    LOADING = "loading"
    """it starts, loads its model, or was not asked yet"""
    AWAY = "away"
    """not reachable, or it does not answer"""
    CANNOT = "cannot"
    """it answers and cannot decide: nonsense, a context too small, a model that does not see, a wrong key"""
    SLOW = "slow"
    """it decides, but less than once a second"""


STATUS_OF_CODE = {
    EngineLoading.code: EngineStatus.LOADING,
    "engine_unavailable": EngineStatus.AWAY,
    "engine_timeout": EngineStatus.AWAY,
    "engine_cut": EngineStatus.AWAY,
    "engine_overloaded": EngineStatus.AWAY,
    "engine_blind": EngineStatus.AWAY,
}
"""By the error's code; any other is something the engine cannot do."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """`reason` is a sentence for people, `code` a stable word; both None where it decides as usual, or where nothing is
    known yet.

    `since_wall`: Unix seconds at which this status began.
    """

    status: EngineStatus
    code: str | None
    reason: str | None
    since_wall: float
    decides: bool = field(init=False, repr=False)
    cannot: bool = field(init=False, repr=False)
    trying: bool = field(init=False, repr=False)
    """nothing is known of it yet"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "decides", self.status in (EngineStatus.READY, EngineStatus.SLOW))
        object.__setattr__(self, "cannot", self.status is EngineStatus.CANNOT)
        object.__setattr__(self, "trying", self.status is EngineStatus.LOADING and self.code is None)


class EngineListener(Protocol):
    """A session, as its engine's monitor tells it. None of these may block."""

    @property
    def has_pictures(self) -> bool:
        """There is something to look at now."""

    def engine_state_changed(self, state: EngineState) -> None:
        """Told each new state of the engine, as it is for this session, once."""

    def engine_capabilities_changed(self) -> None:
        """It can do more than before, or less, or is another one."""
