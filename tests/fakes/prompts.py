"""What an engine holds when it only obeys the effects of a context, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable

from joyvl_server.core.effects import BeginChunk, Effect, PrepareChunk, StopWriting, Write
from joyvl_server.core.prompt.turns import Chunk, Draft, ImagePart, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import MESSAGE, answer_tokens, text_tokens, user_parts, user_turn_tokens


class Held:
    """One chunk as an engine holds it: rendered messages, oldest first. Each is rendered once, when it joins."""

    def __init__(self, chunk: Chunk, separator: str) -> None:
        self.chunk = chunk
        self.separator = separator
        self.turns: list[SettledTurn] = []
        self.messages: list[object] = [chunk.system]
        """the system prompt, then user messages as tuples of words and picture hashes, and answers"""
        self.costs = [MESSAGE + text_tokens(chunk.system)]
        """tokens up to and with each settled turn, the system prompt alone first"""
        self.words = ""
        """all that it reads of user messages, in order"""
        for settled in chunk.lead:
            self.add(settled)

    def add(self, settled: SettledTurn) -> None:
        message, cost = self.render(settled.user)
        self.messages += [message, settled.answer]
        self.words += "\n".join(message)
        self.costs.append(self.costs[-1] + cost + answer_tokens(settled.answer))
        self.turns.append(settled)

    def render(self, turn: UserTurn) -> tuple[tuple[str, ...], int]:
        """The message that the turn is, as the next one, and its tokens."""
        parts = user_parts(turn, prefix="" if self.turns else self.chunk.prefix, separator=self.separator)
        message = tuple(f"#{part.image.sha256}" if isinstance(part, ImagePart) else part.text for part in parts)
        return message, user_turn_tokens(parts)


class Mirror:
    """Obeys effects; what an engine could not follow fails."""

    def __init__(self, separator: str, limit: int = 10**9) -> None:
        self.separator = separator
        self.limit = limit
        """tokens of a context, answer included"""
        self.present: Held | None = None
        self.prepared: Held | None = None
        self.pending: UserTurn | None = None
        self.drafts: dict[str, Draft] = {}
        self.began: list[Chunk] = []
        self.switched = 0
        """chunks begun that had been prepared"""
        self.wrote = 0

    def obey(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case BeginChunk(chunk):
                    self._begin(chunk)
                case PrepareChunk(chunk):
                    assert self.present is not None
                    assert self.pending is None
                    assert chunk.number > self.present.chunk.number
                    assert chunk.lead
                    self.prepared = Held(chunk, self.separator)
                    last = self.present.turns[-len(chunk.lead) :]
                    assert [s.user.frame for s in last] == [s.user.frame for s in chunk.lead]
                case Write(draft):
                    assert draft.id not in self.drafts
                    self.drafts[draft.id] = draft
                    self.wrote += 1
                    tokens = text_tokens(draft.system) + text_tokens(draft.instruction) + 2 * MESSAGE
                    assert len(self.drafts) <= 2
                    if draft.chunk is not None:
                        assert self.present is not None
                        assert draft.chunk == self.present.chunk
                        start = len(draft.chunk.lead)
                        assert list(draft.turns) == self.present.turns[start : start + len(draft.turns)]
                        tokens += self.present.costs[start + len(draft.turns)]
                    assert tokens + draft.max_tokens <= self.limit
                case StopWriting(draft_id):
                    del self.drafts[draft_id]
                case other:
                    raise AssertionError(other)

    def _begin(self, chunk: Chunk) -> None:
        assert self.pending is None
        assert chunk.number > (self.present.chunk.number if self.present else 0)
        begun = Held(chunk, self.separator)
        if self.prepared is not None and chunk.number == self.prepared.chunk.number:
            assert begun.messages == self.prepared.messages
            assert chunk.lead == tuple(self.prepared.turns)
            self.switched += 1
        self.present, self.prepared = begun, None
        self.began.append(chunk)

    def append(self, turn: UserTurn) -> None:
        assert self.present is not None
        assert self.pending is None
        self.pending = turn

    def settle(self, answer: str) -> None:
        assert self.present is not None
        assert self.pending is not None
        self.present.add(SettledTurn(self.pending, answer))
        if self.prepared is not None:
            self.prepared.add(self.prepared.chunk.leading(SettledTurn(self.pending, answer)))
        self.pending = None

    def rollback(self) -> None:
        assert self.pending is not None
        self.pending = None
