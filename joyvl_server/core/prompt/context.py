"""The model's context: the chunk that is sent, and the one prepared to follow it. Inside a chunk it only grows.

A chunk is the system prompt, a frozen prefix, the last turns of the chunk before (the lead), and the turns since. It
ends by token budget or by age, or early, when the chunk prepared to follow it is warm. Every turn that settles joins
both; a turn that failed leaves no trace in either.

The budget is the smaller of the setting and the engine's limit; prompt and answer reserve never exceed it, unless the
limit is less than a system prompt, 600 tokens of words and one frame need. Where that limit is a share of
what sessions have together, a tenth more may be taken while the next chunk is being warmed, but never more than the
setting or the engine's own limit. What does not fit is dropped in this order:

1. all turns before the lead (they become video history),
2. turns of the lead, the oldest first,
3. seconds of the turn's backlog, the oldest first, then earlier pictures of its own second,
4. video history, the oldest first, then questions and answers, the oldest first, then the clock,
5. words of the open queries and of the watches, which are shortened; a watch goes on standing there with its first
   words as long as the prefix has about 18 tokens for each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt.budget import ANSWER_RESERVE, Budget
from joyvl_server.core.prompt.chunk_state import ChunkState
from joyvl_server.core.prompt.picture_limit import PictureLimit
from joyvl_server.core.prompt.turns import Chunk, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import answer_tokens, system_prompt, user_parts, user_turn_tokens

__all__ = ["ANSWER_RESERVE", "ChunkMove", "Context"]

SHORT_LEAD = 2
"""lead of the chunk after the engine lost its cache"""
TURNS_TO_WARM, MOST_TURNS_TO_WARM = 6.0, 24.0
"""turns that pass while the next chunk is warmed, at first and at most; learnt at each switch"""
WARM_MARGIN, LEAST_TO_WARM = 1.5, 4.0


class ChunkMove(StrEnum):
    """What a turn needs before it can be appended."""

    STAY = "stay"
    REPEAT = "repeat"
    """no turn of this chunk ever settled, so the engine may never have got its start: begin it once more"""
    SWITCH = "switch"
    """go over to the prepared chunk"""
    NEW = "new"
    """begin a chunk that was not prepared"""
    SLIDE = "slide"
    """the same with as many of the newest pictures as there is time for: the engine reads all of them again"""
    SHORT = "short"
    """the same with a short lead: the engine lost its cache"""
    TIME_BACK = "time_back"
    """the same without a lead: time jumped back"""


class Context:
    """One session's chunks. For each turn: `move`, perhaps a chunk begins, `append`, then `settle` or `rollback`."""

    def __init__(self, config: ObserverConfig) -> None:
        self._config = config
        self.system = _system(config)
        self.budget = Budget(config, self.system)
        self.present: ChunkState | None = None
        self.prepared: ChunkState | None = None
        self.cut: int | None = None
        """turns of the present chunk before this one are summed up, those from it on lead the next chunk"""
        self.restarted = False
        self._short_lead = SHORT_LEAD
        self._single = False
        self.limit = PictureLimit()
        self._cold = True
        self._warm = 0
        self._warming = TURNS_TO_WARM
        self._pending: UserTurn | None = None
        self._number = 0
        self._bare = False
        """turns of the present chunk settled without their pictures: nobody can send them again"""

    @property
    def tokens(self) -> int:
        """Estimated tokens of the chunk as it stands, the pending turn included."""
        if self.present is None:
            return 0
        return self.present.tokens + (self.present.cost(self._pending) if self._pending else 0)

    def set_limit(self, tokens: int, most: int | None = None) -> None:
        """The engine takes at most `tokens`."""
        self.budget.set_limit(tokens, most)
        self._single = self._single and self.budget.least
        self._keep_prepared_within_budget()

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on. Raises `ConfigError`, and changes nothing, where its budget is too small."""
        system = _system(config)
        self.budget.configure(config, system)
        if (system, config.separator) != (self.system, self._config.separator):
            self.restart()
        self.system, self._config = system, config
        self._single = self._single and self.budget.least
        self._keep_prepared_within_budget()

    @property
    def pictures(self) -> tuple[int, int]:
        """Of the prompt with the pending turn: pictures that are new to the engine in this chunk, and the others."""
        assert self.present is not None, "no chunk has begun"
        assert self._pending is not None, "no turn is under way"
        new = self._pending.pictures
        return (self.present.pictures + new, 0) if self._cold else (new, self.present.pictures)

    def limit_pictures(self, limit: PictureLimit) -> None:
        """A prompt may have this many pictures; the others are told in words."""
        self.limit = limit
        if self.slides:
            self.prepared = None  # there is no cache that it could be warm in

    @property
    def slides(self) -> bool:
        """The engine reads every picture again: a chunk begins with as many as there is time for."""
        return self.limit.most is not None

    def restart(self) -> None:
        """The engine lost its cache: what was warmed is cold, and the next chunk is a short one."""
        self.restarted, self.prepared = True, None

    def forget(self) -> None:
        """Nothing of the present chunk stays: the next turn begins one without a lead."""
        self.restart()
        self._short_lead = 0

    def too_long(self) -> None:
        """The engine found the prompt too long, whatever we counted: the next turn begins a shorter chunk, without any
        earlier turn where no turn of this one ever settled. Where the budget cannot shrink any more, so does each."""
        settled = self.present is not None and self.present.settled_since > 0
        self.restart()
        self._short_lead = self._short_lead if settled else 0
        self._single = self.budget.least

    # ------------------------------------------------------------------------------------------------------ the chunks

    @property
    def chunk(self) -> Chunk | None:
        return self.present.chunk if self.present else None

    @property
    def turns(self) -> tuple[SettledTurn, ...]:
        """The settled turns of this chunk, the lead included, oldest first."""
        return tuple(self.present.turns) if self.present else ()

    @property
    def just_begun(self) -> bool:
        """Is this the first chunk, with no more turns than a lead has?"""
        return self._number == 1 and len(self.turns) <= self._config.lead_turns

    @property
    def last(self) -> float:
        """Stream time of the last settled turn; of the chunk's beginning where there is none."""
        assert self.present is not None, "no chunk has begun"
        return self.present.turns[-1].user.frame.t if self.present.turns else self.present.began

    @property
    def begins(self) -> float:
        """Stream time of the first turn of the lead; infinite where there is none."""
        lead = self.chunk.lead if self.chunk else ()
        return lead[0].user.frame.t if lead else math.inf

    @property
    def pending(self) -> bool:
        return self._pending is not None

    @property
    def origin(self) -> float:
        return self.present.chunk.origin if self.present else 0.0

    def model_time(self, frame: Frame) -> float:
        return frame.t - self.origin

    @property
    def lead(self) -> Sequence[SettledTurn]:
        """The turns that lead a chunk that was not prepared: all since the cut, at least `lead_turns`.

        Where an engine keeps prefixes in a cache, that chunk is a cold one: `lead_turns` have to do.
        """
        turns = self.turns
        start = max(0, len(turns) - self._config.lead_turns)
        return turns[start if self.cut is None or self._config.engine.prepares else min(self.cut, start) :]

    def turns_to_keep(self, writing: int = 0) -> float:
        """Turns to keep room for between the cut and the switch, at the size they had lately; `writing` of them for a
        summary that the next chunk waits for."""
        assert self.present is not None, "no chunk has begun"
        turns = max(self._config.lead_turns, writing + self.turns_to_warm)
        return min(float(turns), self._lead_tokens(self.present.prefix_tokens) / self.present.size)

    @property
    def turns_to_warm(self) -> float:
        """Turns to keep for warming the next chunk, by how many it took lately."""
        return max(LEAST_TO_WARM, WARM_MARGIN * self._warming)

    @property
    def left(self) -> float:
        """Turns that the present chunk can still take, by tokens and by age, as they came lately."""
        assert self.present is not None, "no chunk has begun"
        present = self.present
        by_tokens = (self.budget.prompt - present.tokens) / present.size
        age = present.turns[-1].user.frame.t - present.began
        by_age = (self._config.chunk_s - age) / present.gap if present.gap else by_tokens
        return min(by_tokens, by_age)

    def move(self, turn: UserTurn) -> ChunkMove:
        """What has to happen before `turn` can be appended."""
        present, prepared, t = self.present, self.prepared, turn.frame.t
        if present is None:
            return ChunkMove.NEW
        if t < self.last:
            return ChunkMove.TIME_BACK
        if self.restarted:
            return ChunkMove.SHORT
        if self._single and present.turns:
            self._short_lead = 0
            return ChunkMove.SHORT
        if self.limit.most is not None and present.pictures + turn.pictures > self.limit.most:
            return ChunkMove.SLIDE
        tokens = present.tokens + present.cost(turn)
        fits = tokens <= self.budget.prompt and t - present.began <= self._config.chunk_s
        stays = fits or (prepared is not None and tokens <= self.budget.overdrawn)  # while the next one is warmed
        if not present.settled_since:
            return ChunkMove.REPEAT if fits else ChunkMove.NEW
        if (
            prepared is not None
            and prepared.tokens + prepared.cost(turn) <= self.budget.prompt
            and (self._ready or not stays)
        ):
            return ChunkMove.SWITCH
        return ChunkMove.STAY if stays else ChunkMove.NEW

    def trimmed(self, turn: UserTurn) -> UserTurn:
        """The turn as a new chunk can take it: seconds of its backlog go first, then its burst."""
        available = self.budget.prompt - self.budget.system - self.budget.prefix
        while (self._cost(turn) > available or turn.pictures > self._fresh) and (turn.backlog or turn.burst):
            turn = replace(turn, backlog=turn.backlog[1:]) if turn.backlog else replace(turn, burst=turn.burst[1:])
        return turn

    def lead_before(self, turn: UserTurn, move: ChunkMove) -> list[SettledTurn]:
        """The turns that lead a new chunk before `turn`, oldest first."""
        if self._bare and self._config.engine.follows_instructions:
            return []
        turns: Sequence[SettledTurn] = self.turns if move is ChunkMove.SLIDE else self.lead
        if move is ChunkMove.SHORT:
            turns = turns[len(turns) - min(self._short_lead, len(turns)) :]
        pictures = self._fresh - turn.pictures
        available = self.budget.prompt - self.budget.system - self.budget.prefix - self._cost(turn)
        available = min(available, self._lead_tokens(self.budget.prefix))
        kept: list[SettledTurn] = []
        for settled in reversed(turns):
            available -= self._cost(settled.user) + answer_tokens(settled.answer)
            pictures -= settled.user.pictures
            if available < 0 or pictures < 0:
                break
            kept.append(settled)
        return kept[::-1]

    def make(self, prefix: str, lead: Sequence[SettledTurn], origin: float) -> Chunk:
        """A chunk with the next number, its lead in its own model time."""
        self._number += 1
        chunk = Chunk(self._number, self.system, prefix, (), origin)
        return replace(chunk, lead=tuple(chunk.leading(settled) for settled in lead))

    def begin(self, chunk: Chunk, t: float) -> None:
        """The chunk is the present one from the turn at stream time `t` on; what was prepared is forgotten."""
        self._require_no_pending("begin a chunk")
        self._go_over(ChunkState(chunk, self._config.separator, t), t)
        self._cold = True

    def begin_again(self, t: float) -> Chunk:
        """The present chunk once more, with a number of its own."""
        assert self.present is not None, "no chunk has begun"
        chunk = self.present.chunk
        again = self.make(chunk.prefix, chunk.lead, chunk.origin)
        self.begin(again, t)
        return again

    def prepare(self, chunk: Chunk) -> bool:
        """The chunk gets every turn from now on, as the present one does; False where one more would not fit it."""
        prepared = ChunkState(chunk, self._config.separator, 0.0)
        if prepared.tokens + prepared.size > self.budget.prompt:
            return False
        self.prepared, self._warm = prepared, 0
        return True

    def warmed(self, number: int, turns: int) -> None:
        if self.prepared is not None and self.prepared.chunk.number == number:
            self._warm = turns

    def switch(self, t: float) -> Chunk:
        """Go over to the prepared chunk: the same prefix, and all that has settled since as its lead."""
        assert self.prepared is not None, "no chunk is prepared"
        prepared = self.prepared
        took = prepared.settled_since
        if self._warm < len(prepared.turns):
            took = max(took, int(2 * self._warming))  # it was not enough
        self._warming = min(MOST_TURNS_TO_WARM, (self._warming + took) / 2)
        self._go_over(prepared, t)
        self._cold = False
        return prepared.chunk

    # ------------------------------------------------------------------------------------------------------- the turns

    def append(self, turn: UserTurn) -> None:
        self._require_no_pending("append a turn")
        if self.present is None:
            raise RuntimeError("Cannot append a turn before the first chunk has begun.")
        self._pending = turn

    def settle(self, answer: str) -> None:
        """The pending turn stays, answered with `answer` in the wire format."""
        turn = self._take_pending("settle")
        assert self.present is not None, "no chunk has begun"
        pictures = self._config.engine.follows_instructions
        settled = self.present.settle(turn, answer, pictures=pictures)
        self._bare = self._bare or not pictures
        self._cold = False
        if self.prepared is not None:
            self.prepared.add(self.prepared.chunk.leading(settled))
        self._keep_prepared_within_budget()

    def rollback(self) -> None:
        """The pending turn is forgotten."""
        self._take_pending("roll back")

    # --------------------------------------------------------------------------------------------------------- helpers

    @property
    def _ready(self) -> bool:
        """Is the prepared chunk warm to its last turn, and its lead long enough?"""
        assert self.prepared is not None, "no chunk is prepared"
        lead = len(self.prepared.turns)
        return self._warm >= lead >= min(self._config.lead_turns, int(self.turns_to_keep()))

    @property
    def _fresh(self) -> float:
        """Pictures that a chunk may begin with."""
        limits = (self.limit.most, self.limit.fresh)
        return min((limit for limit in limits if limit is not None), default=math.inf)

    def _keep_prepared_within_budget(self) -> None:
        if self.prepared is not None and self.prepared.tokens > self.budget.prompt:
            self.prepared = None

    def _lead_tokens(self, prefix: int) -> int:
        """A third of what a chunk has for turns."""
        return (self.budget.prompt - self.budget.system - prefix) // 3

    def _cost(self, turn: UserTurn) -> int:
        return user_turn_tokens(user_parts(turn, separator=self._config.separator)) + 2  # two for longer time tags

    def _go_over(self, chunk: ChunkState, t: float) -> None:
        chunk.begin(t)
        self._bare = self._bare and bool(chunk.turns)
        self.present, self.prepared, self.cut, self.restarted, self._warm = chunk, None, None, False, 0
        self._short_lead = SHORT_LEAD

    def _take_pending(self, what: str) -> UserTurn:
        if self._pending is None:
            raise RuntimeError(f"There is no turn to {what}.")
        turn, self._pending = self._pending, None
        return turn

    def _require_no_pending(self, what: str) -> None:
        if self._pending is not None:
            raise RuntimeError(f"Cannot {what}: the turn before is neither settled nor rolled back.")


def _system(config: ObserverConfig) -> str:
    return config.system or system_prompt(delegation=config.delegation)
