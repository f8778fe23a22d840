"""What a session keeps asking an interaction server for: that knows one standing text, which a newer one replaces."""

from __future__ import annotations

from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.core.prompt.wire_format import QUERY_HEADER

ENDED = "[Instruction ended] "


class StandingText:
    """The instructions in force, and what is new in each turn: both are in every text that is sent."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._told = True

    def begin(self, chunk: Chunk) -> None:
        """What the prefix of a chunk asks for; it must be told with the first turn."""
        _, _, asked = chunk.prefix.partition(QUERY_HEADER)
        blocks = [block.strip() for block in asked.split(QUERY_HEADER)]
        self._lines = dict.fromkeys(block for block in blocks if block)
        self.repeat()

    def repeat(self) -> None:
        """The server has forgotten all of it."""
        self._told = not self._lines

    def text(self, turn: UserTurn) -> str:
        """What goes with this turn; empty where nothing is new."""
        notes: list[str] = []
        for line in turn.news:
            if line.startswith(QUERY_HEADER):
                self._lines[line.removeprefix(QUERY_HEADER).strip()] = None
                self._told = False
            elif line.startswith(ENDED) and line.removeprefix(ENDED) in self._lines:
                del self._lines[line.removeprefix(ENDED)]
                self._told = False
            else:
                notes.append(line)
        if turn.query is not None:
            notes.append(turn.query)
        if not notes and self._told:
            return ""
        return "\n".join([*self._lines, *notes]) or "Nothing is asked any more."

    def sent(self) -> None:
        self._told = True
