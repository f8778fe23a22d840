"""Composes each turn: the pictures, and what the model has still to be told of watches, queries and tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from joyvl_server.core import inputs as into
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Effect, PrepareChunk, QueryClosed
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt.context import ChunkMove, Context
from joyvl_server.core.prompt.history import Entry
from joyvl_server.core.prompt.notices import (
    ANSWERED,
    EXPIRED,
    STANDING,
    WITHDRAWN,
    DelegatedTasks,
    Notice,
    Notices,
    OpenQueries,
    Query,
)
from joyvl_server.core.prompt.prefix import MAX_LINE, memory_lines, shorten, watch_line
from joyvl_server.core.prompt.rollover import PrefixLines, Rollover
from joyvl_server.core.prompt.summary_log import Summary
from joyvl_server.core.prompt.turns import Look, Second, UserTurn
from joyvl_server.core.prompt.wire_format import clean
from joyvl_server.core.watches.watches import WatchSet

MOST_QUOTED = 200
"""estimated tokens of what was heard, in a notice"""


@dataclass(frozen=True, slots=True)
class ComposedTurn:
    """A turn under way, and what the model knows once it has settled."""

    turn: UserTurn
    watch_set: WatchSet
    query: str | None
    notes: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a turn shows."""

    step: int
    frame: Frame
    look: Look
    burst: tuple[Frame, ...]
    backlog: tuple[Second, ...]
    change: float | None


class PromptComposer:
    """What is to be told waits here until a turn that carried it has settled; a turn that failed changes nothing."""

    def __init__(self, config: ObserverConfig, context: Context) -> None:
        self.watch_set = WatchSet()
        """the watches in force"""
        self.queries = OpenQueries()
        self._config = config
        self._context = context
        self._notices = Notices()
        self._rollover = Rollover(config, context)
        self._tasks = DelegatedTasks(config.task_prefix)
        self._reads = config.engine.follows_instructions
        """the engine reads words; what is to be told waits for one that does"""
        self._sent: str | None = None
        self._watch_lines: tuple[WatchSet, list[str]] = (self.watch_set, [])

    def watches_changed(self, watch_set: WatchSet) -> None:
        """Other watches are in force."""
        self.watch_set = watch_set
        self._notices.note_watches(watch_set)

    def configure(self, config: ObserverConfig) -> list[Effect]:
        """`config` counts from now on."""
        self._config = config
        self._reads = config.engine.follows_instructions
        return self._rollover.configure(config)

    @property
    def urgent(self) -> bool:
        """Is there something that should not wait for the next second?"""
        if not self._reads or not (self.queries.open or self._notices.notes_waiting):
            return False
        return self._notices.urgent or self.queries.waiting() is not None

    @property
    def waiting(self) -> bool:
        """Is there anything the model has not been told?"""
        return self.urgent or (self.watch_set is not self._notices.known and self._notices.waiting(self.watch_set))

    def compose(
        self,
        step: int,
        frame: Frame,
        look: Look,
        *,
        burst: tuple[Frame, ...] = (),
        backlog: tuple[Second, ...] = (),
        change: float | None = None,
    ) -> tuple[list[Effect], ComposedTurn]:
        """The next turn, and what has to happen before its `Append`: a chunk that begins. Nothing is sent yet.

        `burst` are earlier pictures of the frame's second, `backlog` seconds that have passed, both oldest first;
        `change` is the frame's.
        """
        if self._notices.met:
            self._notices.composing()
        missed = self._unseen(frame, backlog) if backlog else ()
        shown = _Shown(step, frame, look, burst, missed, change)
        composed = self._compose(shown, self.watch_set)
        self._sent = composed.query
        move = self._context.move(composed.turn)
        if move is ChunkMove.STAY:
            return [], composed
        if move in (ChunkMove.REPEAT, ChunkMove.SWITCH):
            effects = self._rollover.before(move, composed.turn, self._prefix_lines(self.watch_set))
            return effects, self._compose(shown, self.watch_set)
        self._notices.told(self.watch_set)
        turn = self._context.trimmed(self._compose(shown, self.watch_set).turn)
        effects = self._rollover.before(move, turn, self._prefix_lines(self.watch_set))
        self._notices.forget_heard(self._context.begins)
        shown = _Shown(step, frame, look, turn.burst, turn.backlog, change)
        return effects, self._compose(shown, self.watch_set)

    def settled(self, composed: ComposedTurn) -> list[Effect]:
        """Call it right after `context.settle`. The effects come after `Settle`: they count that turn in."""
        if composed.notes or composed.watch_set is not self._notices.known:
            self._notices.told(composed.watch_set, composed.notes)
        if composed.query is not None:
            self.queries.show(composed.query)
        if not self._rollover.due:
            return []
        return self._prepared(self._rollover.settled(self._prefix_lines(self._notices.known)))

    def written(self, input: into.Written | into.WriteFailed) -> list[Effect]:
        """A draft is whole, or will never be."""
        return self._prepared(self._rollover.written(input, self._prefix_lines(self._notices.known)))

    def summed_up(self) -> list[Effect]:
        """Summaries that have been kept since this was asked last."""
        kept, self._rollover.summaries.kept = self._rollover.summaries.kept, []
        return kept

    def remembered(self) -> list[Summary]:
        """What is known of seconds that the model no longer sees, oldest first, with stream times."""
        return self._rollover.summaries.told()

    def said(self, t: float, text: str, watches: tuple[str, ...]) -> None:
        """An utterance of the turn at stream time `t`; ids of the `watches` it is about."""
        self._rollover.history.add(Entry.RESPONSE, t, text)
        self._rollover.summaries.event(t, text)
        if names := self.watch_set.names(watches):
            self._rollover.summaries.event(t, f"{', '.join(names)}: {text}")

    def interrupted(self, text: str, heard: str) -> None:
        """Of an utterance that stands in a settled turn as `text`, only `heard` was played."""
        if self._reads:
            words = shorten(clean(heard or text, MAX_LINE), MOST_QUOTED)
            found = "Only this was heard" if heard else "Nothing was heard of"
            self._notices.add(f'[Interrupted] {found}: "{words}"', urgent=False)

    def reported(self, text: str) -> None:
        """The server itself has told people this."""
        if self._reads:
            self._notices.add(f"[Sound] {text} People were told.", urgent=False)

    # ------------------------------------------------------------------------------------------------------- queries

    def ask(self, query_id: str, text: str, at: float, memories: tuple[str, ...] = ()) -> list[QueryClosed]:
        """Open a query; the oldest one is closed where there are too many."""
        text = shorten(clean(text, MAX_LINE), self._context.budget.query)
        oldest = self.queries.ask(Query(query_id, text, at, memories=memories))
        return [] if oldest is None else [self._dropped(oldest, EXPIRED)]

    def replied(self, asked: into.QueryAsked) -> None:
        """The server itself answers: later chunks tell it."""
        self._rollover.history.add(Entry.QUERY, asked.at, asked.text)
        self._rollover.history.add(Entry.RESPONSE, asked.at, asked.reply or "")

    def take(self, input: into.PastInput | into.QueryWithdrawn) -> list[QueryClosed]:
        """What changes of the past, and a query that is taken back."""
        if isinstance(input, into.QueryWithdrawn):
            return self.withdraw(input.id)
        if isinstance(input, into.PastForgotten):
            self.queries.forget_memories()
        self._rollover.take(input)
        return []

    def withdraw(self, query_id: str) -> list[QueryClosed]:
        query = self.queries.close(query_id)
        return [] if query is None else [self._dropped(query, WITHDRAWN)]

    def close(self, query_id: str, reason: str) -> list[QueryClosed]:
        """It was no question: `standing` (it became a watch: nothing more is told of it) or `cancel`.

        Call it once the turn that carried it has settled, after `settled`.
        """
        query = self.queries.close(query_id)
        if query is None:
            return []
        if reason == STANDING and self._context.turns:
            self._notices.heard(self._context.turns[-1].user.frame.t, self._query_text(query), self.watch_set)
        return [QueryClosed(query.id, reason)]

    def expire(self, at: float) -> list[QueryClosed]:
        return [self._dropped(query, EXPIRED) for query in self.queries.expire(at, self._config.query_ttl_s)]

    def query_for(self, composed: ComposedTurn) -> Query | None:
        """The open query that an answer to this turn belongs to."""
        return self.queries.query_for(composed.query) if self._reads or composed.query is not None else None

    def answered(self, query_id: str | None, epoch: int | None, text: str) -> list[QueryClosed]:
        query = None if query_id is None else self.queries.close(query_id)
        if query is None:
            return []
        self._rollover.history.add(Entry.QUERY, query.asked_at, query.text)
        return [QueryClosed(query.id, ANSWERED, epoch, text)]

    # --------------------------------------------------------------------------------------------------------- tasks

    def hand_over(self, question: str) -> str:
        """The id of a new task."""
        return self._tasks.hand_over(question)

    def task_changed(self, change: into.TaskChanged) -> None:
        """A result, or word that there will be none, joins the next turn; it waits for an engine that reads words."""
        outcome = self._tasks.changed(change)
        if outcome is not None and (self._reads or outcome.known):
            self._notices.add(outcome.notice, task=change.task_id)
            self._rollover.history.add(Entry.RESULT, change.at, outcome.text)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _compose(self, shown: _Shown, watch_set: WatchSet) -> ComposedTurn:
        query, text = None, None
        memories: tuple[str, ...] = ()
        changes: tuple[str, ...] = ()
        notes: tuple[Notice, ...] = ()
        if self._reads:
            available, notices = self._context.budget.news, self._notices
            if self.queries.open and (query := self.queries.waiting()) is not None:
                text = self._query_text(query)
                memories = memory_lines(query.memories, self._context.budget.memories)
            if watch_set is not notices.known:
                changes = notices.watch_changes(watch_set, available, text)
            if notices.notes_waiting:
                notes = notices.notes(available)
        turn = UserTurn(
            step=shown.step,
            t=self._context.model_time(shown.burst[0] if shown.burst else shown.frame),
            frame=shown.frame,
            look=shown.look,
            query=text,
            memories=memories,
            news=changes + tuple(note.text for note in notes),
            zones=watch_set.zones,
            kinds=watch_set.kinds,
            burst=shown.burst,
            backlog=shown.backlog,
            change=shown.change,
        )
        return ComposedTurn(turn, watch_set, None if query is None else query.id, notes)

    def _query_text(self, query: Query) -> str:
        """The limit may have become smaller since it was asked."""
        return shorten(query.text, self._context.budget.query)

    def _prefix_lines(self, watch_set: WatchSet) -> PrefixLines:
        """The watches, as long as they are the same, are put into words once."""
        known, watches = self._watch_lines
        if known is not watch_set:
            watches = [watch_line(watch, watch_set.zones) for watch in watch_set.active]
            self._watch_lines = (watch_set, watches)
        queries = [self._query_text(query) for query in self.queries.shown()] if self.queries.open else []
        return PrefixLines(watches, queries)

    def _unseen(self, frame: Frame, backlog: tuple[Second, ...]) -> tuple[Second, ...]:
        """The seconds between the last settled turn and `frame`; others would not stand in order of time."""
        turns = self._context.turns
        last = turns[-1].user.frame.t if turns else -math.inf
        return tuple(second for second in backlog if last < second.frames[0].t < frame.t)

    def _prepared(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, PrepareChunk):
                self._notices.forget_heard(effect.chunk.lead[0].user.frame.t)
        return effects

    def _dropped(self, query: Query, reason: str) -> QueryClosed:
        if query.shown or query.id == self._sent:
            self._notices.add(f"[No longer asked] {query.text}")
        return QueryClosed(query.id, reason)
