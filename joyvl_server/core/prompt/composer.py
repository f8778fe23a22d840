"""What the model has to be told beside the pictures: watches, queries, results of tasks. And what it was told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Effect, PrepareChunk, QueryClosed
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import ChunkWarmed, TaskChanged, WriteFailed, Written
from joyvl_server.core.prompt.context import ChunkMove, Context
from joyvl_server.core.prompt.history import Entry
from joyvl_server.core.prompt.notices import Notice, Notices
from joyvl_server.core.prompt.picture_limit import PictureLimit
from joyvl_server.core.prompt.prefix import MAX_LINE, shorten, watch_line
from joyvl_server.core.prompt.queries import ANSWERED, EXPIRED, STANDING, WITHDRAWN, OpenQueries, Query
from joyvl_server.core.prompt.rollover import PrefixLines, Rollover
from joyvl_server.core.prompt.tasks import DelegatedTasks
from joyvl_server.core.prompt.turns import Look, Second, UserTurn
from joyvl_server.core.prompt.wire_format import clean
from joyvl_server.core.watches.watches import WatchBook


@dataclass(frozen=True, slots=True)
class ComposedTurn:
    """A turn under way and what it tells, to be ticked off once it has settled."""

    turn: UserTurn
    book: WatchBook
    query: str | None
    notes: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Looks:
    """What a turn shows."""

    step: int
    frame: Frame
    look: Look
    burst: tuple[Frame, ...]
    backlog: tuple[Second, ...]
    change: float | None


class PromptComposer:
    """Everything waits here until a turn that carried it has settled; a turn that failed changes nothing."""

    def __init__(self, config: ObserverConfig, context: Context) -> None:
        self._book = WatchBook()
        self._config = config
        self._context = context
        self._queries = OpenQueries()
        self._news = Notices()
        self._rollover = Rollover(config, context)
        self._tasks = DelegatedTasks(config.task_prefix)
        self._sent: str | None = None

    @property
    def book(self) -> WatchBook:
        """The watches in force."""
        return self._book

    @book.setter
    def book(self, book: WatchBook) -> None:
        self._book = book
        self._news.meet(book)

    def configure(self, config: ObserverConfig) -> list[Effect]:
        """`config` counts from now on."""
        self._config = config
        return self._rollover.configure(config)

    @property
    def urgent(self) -> bool:
        """Is there something that should not wait for the next second?"""
        return self._reads and (self._queries.waiting() is not None or self._news.notes_waiting)

    @property
    def waiting(self) -> bool:
        """Is there anything the model has not been told?"""
        return self.urgent or self._news.waiting(self.book)

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
        """The next message, and what has to happen before its `Append`: a chunk that begins. Nothing is sent yet.

        `burst` are earlier pictures of the frame's second, `backlog` seconds that have passed, both oldest first;
        `change` is the frame's.
        """
        self._news.composing()
        looks = _Looks(step, frame, look, burst, self._unseen(frame, backlog), change)
        message = self._message(looks, self.book)
        self._sent = message.query
        move = self._context.move(message.turn)
        if move is ChunkMove.STAY:
            return [], message
        if move in (ChunkMove.AGAIN, ChunkMove.SWITCH):
            return self._rollover.before(move, message.turn, self._standing(self.book)), self._message(looks, self.book)
        self._news.told(self.book)
        turn = self._context.trimmed(self._message(looks, self.book).turn)
        effects = self._rollover.before(move, turn, self._standing(self.book))
        self._news.forget_heard(self._context.begins)
        looks = _Looks(step, frame, look, turn.burst, turn.backlog, change)
        return effects, self._message(looks, self.book)

    def settled(self, message: ComposedTurn) -> list[Effect]:
        """Call it right after `context.settle`. The effects come after `Settle`: they count that turn in."""
        self._news.told(message.book, message.notes)
        self._queries.show(message.query)
        return self._prepared(self._rollover.settled(self._standing(self._news.known)))

    def warmed(self, input: ChunkWarmed) -> list[Effect]:
        """More of the prepared chunk is warm."""
        self._rollover.warmed(input)
        return []

    def written(self, input: Written | WriteFailed) -> list[Effect]:
        """A draft is whole, or will never be."""
        return self._prepared(self._rollover.written(input, self._standing(self._news.known)))

    def room_changed(self, tokens: int, most: int | None = None) -> None:
        """The engine has room for a context of `tokens`."""
        self._context.set_room(tokens, most)

    def pictures_limited(self, limit: PictureLimit) -> None:
        """How many pictures a prompt may have."""
        self._context.limit_pictures(limit)

    def engine_restarted(self) -> None:
        """The engine lost its cache: the next turn begins a short chunk."""
        self._context.restart()

    def too_long(self) -> None:
        """The engine found the prompt too long: the next turn begins a shorter chunk."""
        self._context.too_long()

    def said(self, t: float, text: str) -> None:
        """An utterance of the turn at stream time `t`."""
        self._rollover.history.add(Entry.RESPONSE, t, text)
        self._rollover.summaries.event(t, text)

    def watch_event(self, t: float, text: str) -> None:
        """A remark that concerns watches was made: `text` names them and says it, for the history of the video."""
        self._rollover.summaries.event(t, text)

    # ------------------------------------------------------------------------------------------------------- queries

    def ask(self, query_id: str, text: str, at: float) -> list[QueryClosed]:
        """Open a query; the oldest one is closed where there are too many."""
        text = shorten(clean(text, MAX_LINE), self._context.budget.query)
        oldest = self._queries.ask(Query(query_id, text, at))
        return [] if oldest is None else [self._dropped(oldest, EXPIRED)]

    def withdraw(self, query_id: str) -> list[QueryClosed]:
        query = self._queries.close(query_id)
        return [] if query is None else [self._dropped(query, WITHDRAWN)]

    def close(self, query_id: str, reason: str) -> list[QueryClosed]:
        """It was no question: `standing` (it became a watch: nothing more is told of it) or `cancel`.

        Call it once the turn that carried it has settled, after `settled`.
        """
        query = self._queries.close(query_id)
        if query is None:
            return []
        if reason == STANDING and self._context.turns:
            self._news.heard(self._context.turns[-1].user.frame.t, self._query_text(query), self.book)
        return [QueryClosed(query.id, reason)]

    def expire(self, at: float) -> list[QueryClosed]:
        return [self._dropped(query, EXPIRED) for query in self._queries.expire(at, self._config.query_ttl_s)]

    def concerned(self, message: ComposedTurn) -> Query | None:
        """The open query that an answer to this message belongs to."""
        return self._queries.concerned(message.query) if self._reads or message.query is not None else None

    def shown(self) -> list[Query]:
        """The open queries that the model has read in settled turns, oldest first."""
        return self._queries.shown()

    def is_open(self, query_id: str | None) -> bool:
        return self._queries.is_open(query_id)

    def answered(self, query_id: str | None, epoch: int | None, text: str) -> list[QueryClosed]:
        query = None if query_id is None else self._queries.close(query_id)
        if query is None:
            return []
        self._rollover.history.add(Entry.QUERY, query.asked_at, query.text)
        return [QueryClosed(query.id, ANSWERED, epoch, text)]

    # --------------------------------------------------------------------------------------------------------- tasks

    def hand_over(self, question: str) -> str:
        """The id of a new task."""
        return self._tasks.hand_over(question)

    def task_changed(self, change: TaskChanged) -> None:
        """A result, or word that there will be none, joins the next turn; it waits for an engine that reads words."""
        outcome = self._tasks.changed(change)
        if outcome is not None and (self._reads or outcome.known):
            self._news.add(outcome.news)
            self._rollover.history.add(Entry.RESULT, change.at, outcome.text)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _message(self, looks: _Looks, book: WatchBook) -> ComposedTurn:
        query = self._queries.waiting() if self._reads else None
        room = self._context.budget.news
        text = None if query is None else self._query_text(query)
        changes = self._news.watch_changes(book, room, text) if self._reads else ()
        notes = self._news.notes(room) if self._reads else ()
        turn = UserTurn(
            step=looks.step,
            t=self._context.model_time(looks.burst[0] if looks.burst else looks.frame),
            frame=looks.frame,
            look=looks.look,
            query=text,
            news=changes + tuple(note.text for note in notes),
            zones=book.zones,
            kinds=book.kinds,
            burst=looks.burst,
            backlog=looks.backlog,
            change=looks.change,
        )
        return ComposedTurn(turn, book, None if query is None else query.id, notes)

    @property
    def _reads(self) -> bool:
        """Does the engine read words? What is to be told waits for one that does."""
        return self._config.engine.follows_instructions

    def _query_text(self, query: Query) -> str:
        """The room may have become smaller since it was asked."""
        return shorten(query.text, self._context.budget.query)

    def _standing(self, book: WatchBook) -> PrefixLines:
        return PrefixLines(
            watches=[watch_line(watch, book.zones) for watch in book.active],
            queries=[self._query_text(query) for query in self._queries.shown()],
        )

    def _unseen(self, frame: Frame, backlog: tuple[Second, ...]) -> tuple[Second, ...]:
        """The seconds between the last settled turn and `frame`; others would not stand in order of time."""
        turns = self._context.turns
        last = turns[-1].user.frame.t if turns else -math.inf
        return tuple(second for second in backlog if last < second.frames[0].t < frame.t)

    def _prepared(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, PrepareChunk):
                self._news.forget_heard(effect.chunk.lead[0].user.frame.t)
        return effects

    def _dropped(self, query: Query, reason: str) -> QueryClosed:
        if query.shown or query.id == self._sent:
            self._news.add(f"[No longer asked] {query.text}")
        return QueryClosed(query.id, reason)
