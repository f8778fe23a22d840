"""The messages of one chunk: they only grow, and each is encoded once."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.prompt.turns import Chunk, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import user_parts
from joyvl_server.engines.openai.messages import EncodedMessage, text_message, user_message
from joyvl_server.engines.openai.reading import Wire


@dataclass(frozen=True, slots=True)
class Style:
    """What all conversations of a session have in common."""

    separator: str = "\n"
    detail: str | None = None


class Conversation:
    """A chunk and the turns that settled in it, as messages."""

    def __init__(self, chunk: Chunk, wire: Wire, style: Style) -> None:
        self.chunk = chunk
        self.wire = wire
        self.system = wire.system(chunk.system)
        self.messages: list[EncodedMessage] = [text_message("system", self.system)] if self.system else []
        self.turns: list[SettledTurn] = []
        self._style = style
        for settled in chunk.lead:
            self.add(settled)

    def user(self, turn: UserTurn) -> EncodedMessage:
        """The turn as it would stand next; the chunk's prefix stands in the first one only."""
        prefix = "" if self.turns else self.chunk.prefix
        return user_message(user_parts(turn, prefix=prefix, separator=self._style.separator), self._style.detail)

    def add(self, settled: SettledTurn, user: EncodedMessage | None = None) -> None:
        """A turn that settled; `user` is its message, where that is encoded already."""
        self.messages += [user or self.user(settled.user), text_message("assistant", self.wire.answer(settled.answer))]
        self.turns.append(settled)

    def anew(self, wire: Wire) -> Conversation:
        """The same turns for a model that is spoken to otherwise."""
        other = Conversation(self.chunk, wire, self._style)
        for settled in self.turns[len(self.chunk.lead) :]:
            other.add(settled)
        return other

    def holds(self, chunk: Chunk) -> bool:
        """Is it, with all its turns, this very chunk?"""
        mine = self.chunk
        return (
            (mine.number, mine.system, mine.prefix) == (chunk.number, chunk.system, chunk.prefix)
            and len(self.turns) == len(chunk.lead)
            and all(a.user == b.user and a.answer == b.answer for a, b in zip(self.turns, chunk.lead, strict=True))
        )
