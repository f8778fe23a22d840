"""A chunk and the turns that have joined it. It only grows."""

from __future__ import annotations

from joyvl_server.core.prompt.turns import Chunk, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import MESSAGE, answer_tokens, text_tokens, user_parts, user_turn_tokens

LATELY = 16
"""so many of the newest turns say how large turns are, and how far apart"""


class ChunkState:
    """Costs are estimated tokens, times stream seconds. `began` is the time of the first turn after the lead."""

    def __init__(self, chunk: Chunk, separator: str, began: float) -> None:
        self.chunk = chunk
        self.began = began
        self.turns: list[SettledTurn] = []
        """the settled turns, the lead included, oldest first, with this chunk's model time"""
        self.prefix_tokens = text_tokens(chunk.prefix) + 2  # and the blank line after it
        self.tokens = MESSAGE + text_tokens(chunk.system)
        self.pictures = 0
        self._separator = separator
        self._sizes: list[int] = []
        for settled in chunk.lead:
            self.add(settled)

    @property
    def settled_since(self) -> int:
        """How many turns have settled since it began."""
        return len(self.turns) - len(self.chunk.lead)

    @property
    def size(self) -> float:
        """What a turn with its answer cost lately; there is at least one."""
        lately = self._sizes[-LATELY:]
        return sum(lately) / len(lately)

    @property
    def gap(self) -> float:
        """Seconds between two turns lately; 0 where there are not two."""
        lately = self.turns[-LATELY:]
        return (lately[-1].user.frame.t - lately[0].user.frame.t) / max(1, len(lately) - 1)

    def cost(self, turn: UserTurn) -> int:
        """What the turn would cost as the next one."""
        return self._words(turn) + self._prefix_due

    def add(self, settled: SettledTurn) -> None:
        """The turn joins; its model time is this chunk's."""
        size = self._words(settled.user) + answer_tokens(settled.answer)
        self.tokens += size + self._prefix_due
        self.pictures += settled.user.pictures
        self._sizes.append(size)
        self.turns.append(settled)

    @property
    def _prefix_due(self) -> int:
        """The prefix stands in the first turn."""
        return 0 if self.turns else self.prefix_tokens

    def _words(self, turn: UserTurn) -> int:
        return user_turn_tokens(user_parts(self.chunk.retimed(turn), separator=self._separator))
