"""The model's context: chunks of turns. Inside a chunk it only grows; a turn that failed is rolled back.

A chunk starts with the system prompt, a frozen prefix and the last turns of the chunk before (the lead). It ends when
the next turn would not fit the token budget, or by age. What is dropped then is everything before the lead; what the
prefix keeps of it is `prefix.py`'s matter. Model time starts at 0 and restarts at the first switch after
`model_time_s`, because the model knows only short clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.frame import Frame
from joyvl_server.core.history import History
from joyvl_server.core.prefix import Sections, build_prefix, clock_line
from joyvl_server.core.protocol import system_prompt, user_parts
from joyvl_server.core.tokens import MESSAGE, answer_tokens, text_tokens, user_turn_tokens
from joyvl_server.core.turns import Chunk, SettledTurn, UserTurn

ANSWER_RESERVE = 256
"""tokens kept free for the answer to the last turn"""
_FRAME_RESERVE = 320  # the largest frame that ingest gives, its time tag and the message around it
_LEAST_WORDS = 600


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds when a chunk starts, as lines: the active watches, the queries still open."""

    watches: Sequence[str] = ()
    queries: Sequence[str] = ()


class Context:
    """One session's chunks. `fits` → perhaps `begin` → `append` → `settle` or `rollback`, and again."""

    def __init__(self, config: ObserverConfig) -> None:
        self._config = config
        self._system = config.system or system_prompt(delegation=config.delegation)
        self._system_tokens = MESSAGE + text_tokens(self._system)
        words = config.context_tokens - self._system_tokens - ANSWER_RESERVE - _FRAME_RESERVE
        if words < _LEAST_WORDS:
            least = config.context_tokens + _LEAST_WORDS - words
            raise ConfigError(
                f"The context budget of {config.context_tokens} tokens is too small for a system prompt of about "
                f"{self._system_tokens}: raise it to {least} or shorten the prompt."
            )
        self.prefix_room = words // 3
        self.query_room = words // 6
        self.news_room = words // 6
        self._chunk: Chunk | None = None
        self._turns: list[SettledTurn] = []
        self._lead = 0
        self._pending: UserTurn | None = None
        self._tokens = 0
        self._number = 0
        self._origin = 0.0
        self._began = 0.0

    @property
    def chunk(self) -> Chunk | None:
        return self._chunk

    @property
    def turns(self) -> tuple[SettledTurn, ...]:
        """The settled turns of this chunk, the lead included, oldest first."""
        return tuple(self._turns)

    @property
    def tokens(self) -> int:
        """Estimated tokens of the chunk as it stands, the pending turn included."""
        pending = self._turn_tokens(self._pending, first=not self._turns) if self._pending else 0
        return self._tokens + pending

    def model_time(self, frame: Frame) -> float:
        return frame.t - self._origin

    def fits(self, turn: UserTurn) -> bool:
        """May this turn join the current chunk, or must a new one begin?"""
        if self._chunk is None or (len(self._turns) == self._lead):
            return False  # nothing has settled since the chunk began, so the engine may never have got its start
        t = turn.frame.t
        if t < self._turns[-1].user.frame.t or t - self._began > self._config.chunk_s:
            return False
        return self._tokens + self._turn_tokens(turn, first=False) <= self._config.context_tokens - ANSWER_RESERVE

    def begin(self, turn: UserTurn, standing: Standing, history: History) -> Chunk:
        """Start the chunk whose first new turn looks at the frame of `turn`; everything before the lead is dropped."""
        self._require_no_pending("begin a chunk")
        t = turn.frame.t
        keep = self._config.lead_turns
        turns = self._turns[-keep:] if keep and self._turns and self._turns[-1].user.frame.t <= t else []
        restart = not turns or t - self._origin > self._config.model_time_s
        room = self._config.context_tokens - ANSWER_RESERVE - self._system_tokens - self.prefix_room
        room -= self._turn_tokens(turn, first=False)
        lead = self._newest(turns, min(room, self._config.context_tokens // 4))
        start = lead[0].user.frame.t if lead else t
        if restart or not lead:
            self._origin = start
        lead = [self._retimed(settled) for settled in lead]
        shown = {settled.user.query for settled in lead}
        sections = Sections(
            clock=clock_line(0.0, turn.frame.wall - (t - self._origin), self._config.utc_offset_s),
            qa_history=history.render(before=start, origin=self._origin),
            watches=standing.watches,
            queries=[query for query in standing.queries if query not in shown],
        )
        self._number += 1
        prefix = build_prefix(sections, self.prefix_room)
        self._chunk = Chunk(self._number, self._system, prefix, tuple(lead))
        self._turns = lead
        self._lead = len(lead)
        self._began = t
        self._tokens = self._system_tokens
        for index, settled in enumerate(lead):
            self._tokens += self._settled_tokens(settled, first=index == 0)
        return self._chunk

    def append(self, turn: UserTurn) -> None:
        self._require_no_pending("append a turn")
        if self._chunk is None:
            raise RuntimeError("Cannot append a turn before the first chunk has begun.")
        self._pending = turn

    def settle(self, answer: str) -> None:
        """The pending turn stays, answered with `answer` in the wire format."""
        settled = SettledTurn(self._take_pending("settle"), answer)
        self._tokens += self._settled_tokens(settled, first=not self._turns)
        self._turns.append(settled)

    def rollback(self) -> None:
        """The pending turn is forgotten."""
        self._take_pending("roll back")

    def _newest(self, turns: Sequence[SettledTurn], room: int) -> list[SettledTurn]:
        kept: list[SettledTurn] = []
        for settled in reversed(turns):
            room -= self._settled_tokens(settled, first=False)
            if room < 0:
                break
            kept.append(settled)
        return kept[::-1]

    def _retimed(self, settled: SettledTurn) -> SettledTurn:
        """The turn with its model time counted from the present origin; untouched where that did not move."""
        t = self.model_time(settled.user.frame)
        return settled if t == settled.user.t else replace(settled, user=replace(settled.user, t=t))

    def _settled_tokens(self, settled: SettledTurn, *, first: bool) -> int:
        return self._turn_tokens(settled.user, first=first) + answer_tokens(settled.answer)

    def _turn_tokens(self, turn: UserTurn, *, first: bool) -> int:
        prefix = self._chunk.prefix if first and self._chunk else ""
        return user_turn_tokens(user_parts(turn, prefix=prefix, separator=self._config.separator))

    def _take_pending(self, what: str) -> UserTurn:
        if self._pending is None:
            raise RuntimeError(f"There is no turn to {what}.")
        turn, self._pending = self._pending, None
        return turn

    def _require_no_pending(self, what: str) -> None:
        if self._pending is not None:
            raise RuntimeError(f"Cannot {what}: the turn before is neither settled nor rolled back.")
