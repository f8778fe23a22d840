"""How one chunk follows another: the cut, the prepared chunk, the switch.

```
  present   lead ─ turns ─────────────── cut ─ turns ────────────────── switch
                                          │ Write: all before the cut      ▲
  next                                    └ lead … PrepareChunk, warmed ───┘
```

The cut comes when the turns that are still to come before the switch just fit. The next chunk is prepared as soon as
the summary is there, or has failed once, or when only the turns are left that warming took lately; the switch
comes as soon as it is warm, or without that when the present chunk is full. Summaries that came too late for several
chunks in a row are not waited for, until one comes in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import BeginChunk, Effect, PrepareChunk
from joyvl_server.core.inputs import PastInput, PastKnown, WriteFailed, Written
from joyvl_server.core.prompt.context import ChunkMove, Context
from joyvl_server.core.prompt.history import History
from joyvl_server.core.prompt.prefix import Sections, build_prefix, clock_line, newest, newest_known
from joyvl_server.core.prompt.summaries import Summaries
from joyvl_server.core.prompt.turns import SettledTurn, UserTurn

TURNS_TO_WRITE = 8
"""turns that pass, at most, while a summary is written and the next chunk waits for it"""
QA_TOKENS = 800
"""tokens of questions and answers in a prefix, at most"""

COLD = 4
"""a chunk that an engine with a prefix cache has to read at once gets so small a part of the histories: it must not
stall, and the chunk after it has them whole"""


@dataclass(frozen=True, slots=True)
class PrefixLines:
    """What holds when a chunk starts, as lines: the active watches, the queries still open."""

    watches: Sequence[str] = ()
    queries: Sequence[str] = ()


class Rollover:
    """`before` a turn is appended, `settled` after it while something is `due`; `written` in between."""

    def __init__(self, config: ObserverConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self.history = History()
        self.summaries = Summaries(config)
        self.known: tuple[str, ...] = ()
        """from before the session, a line each, the most needed last"""
        self._see_what_is_due()

    def configure(self, config: ObserverConfig) -> list[Effect]:
        """`config` counts from now on."""
        self._config = config
        effects = self.summaries.configure(config)
        self._see_what_is_due()
        return effects

    def before(self, move: ChunkMove, turn: UserTurn, lines: PrefixLines) -> list[Effect]:
        """The chunk that begins before `turn`. Its model time may differ afterwards."""
        context, t = self._context, turn.frame.t
        match move:
            case ChunkMove.REPEAT:
                return [BeginChunk(context.begin_again(t))]
            case ChunkMove.SWITCH:
                return [*self.summaries.left(), BeginChunk(context.switch(t))]
            case _:
                effects = [*self.summaries.left(), self._new_chunk(move, turn, lines)]
                self._see_what_is_due()
                return effects

    def settled(self, lines: PrefixLines) -> list[Effect]:
        """A turn has settled: see to summaries, the cut, the chunk that comes next. Called for each while `due`."""
        context = self._context
        effects = self.summaries.settled(lines.watches, context.budget.tokens, self._memory)
        available = context.turns_to_keep(TURNS_TO_WRITE if self.summaries.hopeful else 0)
        cuts = (self._config.engine.prepares or self.summaries.enabled) and not context.slides
        if cuts and context.cut is None and not context.restarted and context.left <= available:
            turns, present = context.turns, context.present
            assert present is not None, "no chunk has begun"
            context.cut = len(turns)
            effects += self.summaries.cut(
                present.chunk, turns, present.tokens, lines.watches, context.budget.tokens, context.budget.memory
            )
        self._see_what_is_due()
        return effects + self._prepare(lines)

    def take(self, input: PastInput) -> None:
        """What is known of before begins the next chunk, and the first one again where it has just begun. What is
        forgotten is in none that begins from now on, and the next turn begins one, without the turns before it."""
        if isinstance(input, PastKnown):
            if input.lines and not self.known and self._context.just_begun:
                self._context.restart()
            self.known = input.lines
            return
        self.known = ()
        self.history.forget(input.since, input.until)
        self.summaries.forget(input.since, input.until)
        self._context.forget()

    def written(self, outcome: Written | WriteFailed, lines: PrefixLines) -> list[Effect]:
        self.summaries.written(outcome)
        self._see_what_is_due()
        return self._prepare(lines)

    # --------------------------------------------------------------------------------------------------------- helpers

    def _see_what_is_due(self) -> None:
        self.due = self._config.engine.prepares or self.summaries.enabled or self.summaries.unread
        """may a turn that settles lead to anything?"""

    def _prepare(self, lines: PrefixLines) -> list[Effect]:
        """The next chunk, if it is time: with what is known now, and the turns since the cut."""
        context, cut = self._context, self._context.cut
        if not self._config.engine.prepares or cut is None or context.prepared is not None or context.slides:
            return []
        if context.restarted or context.pending or cut == len(context.turns):
            return []  # without a turn there is nothing that carries the prefix
        if self.summaries.awaited and context.left > context.turns_to_warm:
            return []
        lead = context.turns[cut:]
        origin = self._origin(lead[0].user)
        chunk = context.make(self._prefix(lead, lead[0].user, origin, lines), lead, origin)
        return [PrepareChunk(chunk)] if context.prepare(chunk) else []

    def _new_chunk(self, move: ChunkMove, turn: UserTurn, lines: PrefixLines) -> Effect:
        context, turns = self._context, self._context.turns
        if move is ChunkMove.TIME_BACK:
            self._leave(turns)
            jump = turn.frame.t - context.last - 1.0
            self.history.shift(jump)
            self.summaries.shift(jump)
            lead: list[SettledTurn] = []
        else:
            lead = context.lead_before(turn, move)
            self._leave(turns[: len(turns) - len(lead)])
        first = lead[0].user if lead else turn
        goes_on = move is not ChunkMove.TIME_BACK and (lead or move is ChunkMove.SLIDE)
        origin = self._origin(first) if goes_on else _start(first)
        chunk = context.make(self._prefix(lead, first, origin, lines, self._parts), lead, origin)
        context.begin(chunk, turn.frame.t)
        return BeginChunk(chunk)

    def _leave(self, turns: Sequence[SettledTurn]) -> None:
        if turns and self._context.slides:
            for turn in turns:
                changed = turn.user.change is not None and turn.user.change >= self._config.full_look_change
                self.summaries.tell(_start(turn.user), turn.user.frame.t, changed=changed)
        elif turns:
            self.summaries.cover(turns[0].user.frame.t, turns[-1].user.frame.t)

    @property
    def _parts(self) -> int:
        """What the usual share of the histories is divided by in a chunk that is read at once."""
        return COLD if self._config.engine.prepares or self._context.slides else 1

    @property
    def _memory(self) -> int:
        """Tokens of the video history."""
        return self._context.budget.memory // (COLD if self._context.slides else 1)

    def _origin(self, first: UserTurn) -> float:
        """Where the model's time begins in a chunk that starts with this turn."""
        origin = self._context.origin
        return _start(first) if _start(first) - origin > self._config.model_time_s else origin

    def _prefix(
        self, lead: Sequence[SettledTurn], first: UserTurn, origin: float, lines: PrefixLines, parts: int = 1
    ) -> str:
        """The prefix of a chunk; `parts` is what the usual share of its histories is divided by."""
        shown = {settled.user.query for settled in lead}
        context, start = self._context, _start(first)
        answers = self.history.render(before=start, origin=origin)
        sections = Sections(
            clock=clock_line(0.0, first.frame.wall - (first.frame.t - origin), self._config.utc_offset_s),
            known=newest_known(self.known, context.budget.known // parts),
            video_history=self.summaries.lines(origin, context.budget.memory // parts),
            qa_history=newest(answers, min(QA_TOKENS, context.budget.prefix // 3) // parts),
            watches=lines.watches,
            queries=[query for query in lines.queries if query not in shown],
        )
        return build_prefix(sections, context.budget.prefix)


def _start(turn: UserTurn) -> float:
    """Stream time of its first picture."""
    return turn.seconds[0].frames[0].t
