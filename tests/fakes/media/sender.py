"""Drives a composer and its context, a second at a time, and an engine that only obeys."""

from __future__ import annotations

from typing import Any

from fakes.media.frames import make_frame
from fakes.prompts import Mirror
from fakes.server.configs import make_config
from joyvl_server.core.effects import BeginChunk, Effect, PrepareChunk, StopWriting, Write
from joyvl_server.core.inputs import WriteFailed, Written
from joyvl_server.core.prompt.composer import ComposedTurn, PromptComposer
from joyvl_server.core.prompt.context import Context
from joyvl_server.core.prompt.turns import SILENCE, Chunk, Draft, Look


class Sender:
    """`second` composes a turn and settles it, unless it fails. `effects` are those of the second before."""

    def __init__(self, **config: Any) -> None:
        self.config = make_config(**config)
        self.context = Context(self.config)
        self.composer = PromptComposer(self.config, self.context)
        self.mirror = Mirror(self.config.separator, self.config.context_tokens)
        self.t = -1.0
        self.effects: list[Effect] = []

    def second(
        self, *, t: float | None = None, fails: bool = False, said: str = SILENCE, **fields: Any
    ) -> tuple[Chunk | None, ComposedTurn]:
        """The chunk that began, if one did, and the message; fields of the frame and of `compose`."""
        self.t = self.t + 1 if t is None else t
        looks = {name: fields.pop(name) for name in ("burst", "backlog", "change") if name in fields}
        step = len(self.mirror.began) * 1000 + int(abs(self.t)) + 1
        effects, message = self.composer.compose(step, make_frame(self.t, **fields), Look.FULL, **looks)
        self.mirror.obey(effects)
        self.context.append(message.turn)
        self.mirror.append(message.turn)
        if fails:
            self.context.rollback()
            self.mirror.rollback()
        else:
            self.context.settle(said)
            self.mirror.settle(said)
            after = self.composer.settled(message)
            self.mirror.obey(after)
            effects = effects + after
        self.effects = effects
        began = [effect.chunk for effect in effects if isinstance(effect, BeginChunk)]
        return (began[0] if began else None), message

    def seconds(self, count: int, **fields: Any) -> list[Effect]:
        """So many seconds; returns all their effects."""
        effects: list[Effect] = []
        for _ in range(count):
            self.second(**fields)
            effects += self.effects
        return effects

    def until(self, kind: type[Effect], limit: int = 400, **fields: Any) -> Any:
        """Seconds until there is such an effect; returns it."""
        for _ in range(limit):
            self.second(**fields)
            for effect in self.effects:
                if isinstance(effect, kind):
                    return effect
        raise AssertionError(f"no {kind.__name__} within {limit} seconds")

    # ----------------------------------------------------------------------------------------------- what engines tell

    @property
    def draft(self) -> Draft:
        """The only draft under way."""
        (draft,) = self.mirror.drafts.values()
        return draft

    def writes(self, text: str, draft_id: str | None = None) -> list[Effect]:
        return self._wrote(Written(self.t, draft_id or self.draft.id, text))

    def fails_to_write(self, draft_id: str | None = None) -> list[Effect]:
        return self._wrote(WriteFailed(self.t, draft_id or self.draft.id, "engine_timeout", "It took too long."))

    def _wrote(self, outcome: Written | WriteFailed) -> list[Effect]:
        self.mirror.drafts.pop(outcome.id, None)
        effects = self.composer.written(outcome)
        self.mirror.obey(effects)
        return effects

    def warms(self, turns: int | None = None) -> None:
        """All of the prepared chunk is warm, or so many turns of its lead."""
        prepared = self.mirror.prepared
        assert prepared is not None
        turns = len(prepared.turns) if turns is None else turns
        self.context.warmed(prepared.chunk.number, turns)


__all__ = ["BeginChunk", "PrepareChunk", "Sender", "StopWriting", "Write"]
