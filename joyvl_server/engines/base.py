"""The engine protocol: `open(spec)` → `begin(chunk)`, then every second `append(turn)`, `score()`, perhaps `say()`,
and `settle(answer)` or `rollback()`.

Engines with state (motion, transformers) keep it; message servers keep the messages they were given. Engines are
found in the entry-point group `joyvl.engines`: the entry is a callable `(settings: Mapping[str, object]) -> Engine`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from joyvl_server.core.events import Score
from joyvl_server.core.turns import Chunk, UserTurn


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; sessions adapt, the page shows it. Stated by the engine, probed where it can be."""

    follows_instructions: bool = True
    """reads watches and queries as words"""
    scores: bool = False
    """`Score.value` is a probability, not just 0 or 1"""
    reports_kinds: bool = False
    """`Score.kind` and `Score.box` are set"""
    needs_every_frame: bool = False
    """keeps a model of the scene: the gaze must not skip or shrink frames"""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine session is opened with. `tick_s` is the usual time between two turns in seconds."""

    session_id: str
    tick_s: float = 1.0
    separator: str = "\n"


@runtime_checkable
class EngineSession(Protocol):
    """One session's conversation with an engine. Calls never overlap, but `aclose` may come at any time.

    All raise `EngineError` (or `EngineTimeout`, `EngineUnavailable`) and nothing else.
    """

    async def begin(self, chunk: Chunk) -> None:
        """Start a chunk: forget the messages before it. Engines whose state is not text keep that state."""

    async def append(self, turn: UserTurn) -> None:
        """Add the next user turn. Costs no request by itself."""

    async def score(self) -> Score:
        """Silent or speak, for the turn appended last. Closing the caller's task aborts the request."""

    def say(self) -> AsyncIterator[str]:
        """Deltas of the answer after `</response>`. Closing the iterator aborts the request."""

    async def settle(self, answer: str) -> None:
        """The last turn was answered with `answer` (wire format); it stays."""

    async def rollback(self) -> None:
        """Forget the last turn, which failed or was not settled."""

    async def aclose(self) -> None:
        """Give everything back. Idempotent."""


@runtime_checkable
class Engine(Protocol):
    """One engine, shared by its sessions."""

    name: str

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self, spec: EngineSpec) -> EngineSession: ...

    async def check(self) -> str:
        """Ready? Returns one line for `/readyz`; raises `EngineError` with a sentence where it is not."""

    async def aclose(self) -> None: ...


EngineSettings = Mapping[str, object]
