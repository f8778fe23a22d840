"""A chunk and the turns that have joined it. It only grows."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.prompt.turns import Chunk, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import MESSAGE, answer_tokens, text_tokens, user_parts, user_turn_tokens

LATELY = 16
"""this many of the newest turns say how large turns are, and how far apart"""


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
        self._counted: tuple[UserTurn, int] | None = None
        self.settled_since = 0
        """how many turns have settled since it began"""
        for settled in chunk.lead:
            self.add(settled)
        self.settled_since = 0

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
        """What the turn would cost as the next one. It is counted once."""
        if self._counted is None or self._counted[0] is not turn:
            self._counted = (turn, self._words(turn))
        return self._counted[1] + self._prefix_due

    def settle(self, turn: UserTurn, answer: str, *, pictures: bool) -> SettledTurn:
        """The turn joins with its answer, as a context keeps it; with `pictures`, they may be sent again."""
        words = self.cost(turn) - self._prefix_due
        settled = SettledTurn(turn.kept(pictures=pictures), answer)
        self._join(settled, words, turn.pictures)
        return settled

    def add(self, settled: SettledTurn) -> None:
        """A turn that settled elsewhere joins; its model time is this chunk's."""
        self._join(settled, self._words(settled.user), settled.user.pictures)

    def begin(self, t: float) -> None:
        """It is the present one from the turn at stream time `t` on; all that has joined it is its lead."""
        self.began = t
        if self.settled_since:
            self.chunk = replace(self.chunk, lead=tuple(self.turns))
            self.settled_since = 0

    def _join(self, settled: SettledTurn, words: int, pictures: int) -> None:
        size = words + answer_tokens(settled.answer)
        self.tokens += size + self._prefix_due
        self.pictures += pictures
        self._sizes.append(size)
        self._counted = None  # it holds pictures that the settled turn does not
        self.turns.append(settled)
        self.settled_since += 1

    @property
    def _prefix_due(self) -> int:
        """The prefix stands in the first turn."""
        return 0 if self.turns else self.prefix_tokens

    def _words(self, turn: UserTurn) -> int:
        first = turn.burst[0] if turn.burst else turn.frame
        if turn.t != first.t - self.chunk.origin:
            turn = self.chunk.retimed(turn)
        return user_turn_tokens(user_parts(turn, separator=self._separator))
