"""What the machine asks of its engine, and who hears what became of it. Every method returns at once."""

from __future__ import annotations

from typing import Protocol

from joyvl_server.core.decisions import Score
from joyvl_server.core.effects import (
    Abort,
    Append,
    AskChoice,
    AskScore,
    BeginChunk,
    PrepareChunk,
    Rollback,
    Say,
    Settle,
)
from joyvl_server.core.errors import ContextTooLong

EngineEffect = BeginChunk | PrepareChunk | Append | AskScore | AskChoice | Say | Abort | Settle | Rollback


class EngineOutcomes(Protocol):
    """Who hears what became of effects for the engine."""

    def asked(self, step: int) -> None:
        """The request of this step is about to go out."""

    def scored(self, step: int, score: Score) -> None: ...

    def chosen(self, step: int, shares: tuple[float, ...]) -> None: ...

    def text(self, step: int, text: str) -> None: ...

    def said(self, step: int) -> None: ...

    def failed(self, step: int, code: str, message: str) -> None:
        """`code` is a stable word, `message` a sentence."""

    def too_long(self, error: ContextTooLong) -> None:
        """The engine found the prompt too long; told before `failed`."""

    def trouble(self, code: str) -> None:
        """A request failed, perhaps one that the step can do without."""

    def prepared(self, number: int) -> None:
        """The engine has the chunk with this number next to the present one now."""

    def lost(self) -> None:
        """The engine session was thrown away: the present chunk must begin again."""


class SliceOutcomes(Protocol):
    """Who hears what became of background work."""

    def warmed(self, number: int, turns: int) -> None:
        """`turns` turns of the lead of prepared chunk `number` are warm."""

    def written(self, id: str, text: str) -> None:
        """The text of that draft is whole."""

    def write_failed(self, id: str, code: str, message: str) -> None:
        """Nothing comes of that draft: a stable code and a sentence."""

    def trouble(self, code: str) -> None:
        """A request of this session's own engine failed."""
