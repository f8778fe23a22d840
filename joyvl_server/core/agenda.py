"""What the model has to be told beside the pictures: watches, queries, results of tasks. And what it was told."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.context import Context, Standing
from joyvl_server.core.events import QueryClosed, TaskChanged
from joyvl_server.core.frame import Frame
from joyvl_server.core.history import Entry, History
from joyvl_server.core.news import News, Note
from joyvl_server.core.prefix import MAX_LINE, shorten, watch_line
from joyvl_server.core.protocol import clean
from joyvl_server.core.queries import ANSWERED, EXPIRED, WITHDRAWN, Queries, Query
from joyvl_server.core.turns import Chunk, Look, UserTurn
from joyvl_server.core.watches import WatchBook

MAX_TASKS = 64
MAX_RESULT = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """A turn under way and what it tells, to be ticked off once it has settled."""

    turn: UserTurn
    book: WatchBook
    query: str | None
    notes: tuple[Note, ...]


class Agenda:
    """Everything waits here until a turn that carried it has settled; a turn that failed changes nothing."""

    def __init__(self, config: ObserverConfig, context: Context) -> None:
        self.book = WatchBook()
        self._config = config
        self._context = context
        self._queries = Queries()
        self._news = News()
        self._history = History()
        self._tasks: dict[str, str] = {}
        self._task_count = 0
        self._sent: str | None = None

    @property
    def urgent(self) -> bool:
        """Is there something that should not wait for the next second?"""
        return self._queries.waiting() is not None or self._news.notes_waiting

    @property
    def waiting(self) -> bool:
        """Is there anything the model has not been told?"""
        return self._queries.waiting() is not None or self._news.waiting(self.book)

    def compose(self, step: int, frame: Frame, look: Look) -> tuple[Chunk | None, Message]:
        """The next message, and the chunk that has to begin before it, if one has to. Nothing is sent yet."""
        message = self._message(step, frame, look, self._changes())
        self._sent = message.query
        if self._context.fits(message.turn):
            return None, message
        standing = Standing(
            watches=[watch_line(watch, self.book.zones) for watch in self.book.active],
            queries=[query.text for query in self._queries.shown()],
        )
        chunk = self._context.begin(message.turn, standing, self._history)
        return chunk, self._message(step, frame, look, ())

    def settled(self, message: Message) -> None:
        self._news.told(message.book, message.notes)
        self._queries.show(message.query)

    def said(self, t: float, text: str) -> None:
        self._history.add(Entry.RESPONSE, t, text)

    # ------------------------------------------------------------------------------------------------------- queries

    def ask(self, query_id: str, text: str, at: float) -> list[QueryClosed]:
        """Open a query; the oldest one is closed where there are too many."""
        text = shorten(clean(text, MAX_LINE), self._context.query_room)
        oldest = self._queries.ask(Query(query_id, text, at))
        return [] if oldest is None else [self._dropped(oldest, EXPIRED)]

    def withdraw(self, query_id: str) -> list[QueryClosed]:
        query = self._queries.close(query_id)
        return [] if query is None else [self._dropped(query, WITHDRAWN)]

    def expire(self, at: float) -> list[QueryClosed]:
        return [self._dropped(query, EXPIRED) for query in self._queries.expire(at, self._config.query_ttl_s)]

    def concerned(self, message: Message) -> Query | None:
        """The open query that an answer to this message belongs to."""
        return self._queries.concerned(message.query)

    def is_open(self, query_id: str | None) -> bool:
        return self._queries.is_open(query_id)

    def answered(self, query_id: str | None, epoch: int | None) -> list[QueryClosed]:
        query = None if query_id is None else self._queries.close(query_id)
        if query is None:
            return []
        self._history.add(Entry.QUERY, query.asked_at, query.text)
        return [QueryClosed(query.id, ANSWERED, epoch)]

    # --------------------------------------------------------------------------------------------------------- tasks

    def hand_over(self, question: str) -> str:
        """The id of a new task."""
        self._task_count += 1
        task_id = f"{self._config.task_prefix}{self._task_count}"
        self._tasks[task_id] = clean(question, MAX_LINE)
        if len(self._tasks) > MAX_TASKS:
            del self._tasks[next(iter(self._tasks))]
        return task_id

    def task_changed(self, change: TaskChanged) -> None:
        """A result, or word that there will be none, joins the next turn."""
        if change.status not in ("completed", "failed", "cancelled"):
            return
        question = self._tasks.pop(change.task_id, "")
        if change.status == "cancelled" or not self._config.follows_instructions:
            return
        outcome = "Result of" if change.status == "completed" else "No result of"
        result = clean(change.result, MAX_RESULT)
        text = f"{question}: {result}" if question else result
        self._news.add(f"[{outcome} the question handed over] {text}")
        self._history.add(Entry.RESULT, change.at, text)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _message(self, step: int, frame: Frame, look: Look, changes: tuple[str, ...]) -> Message:
        query = self._queries.waiting()
        notes = self._news.notes(self._context.news_room)
        turn = UserTurn(
            step=step,
            t=self._context.model_time(frame),
            frame=frame,
            look=look,
            query=None if query is None else query.text,
            news=changes + tuple(note.text for note in notes),
            zones=self.book.zones,
        )
        return Message(turn, self.book, None if query is None else query.id, notes)

    def _changes(self) -> tuple[str, ...]:
        if not self._config.follows_instructions:
            return ()
        return self._news.watch_changes(self.book, self._context.news_room)

    def _dropped(self, query: Query, reason: str) -> QueryClosed:
        if query.shown or query.id == self._sent:
            self._news.add(f"[No longer asked] {query.text}")
        return QueryClosed(query.id, reason)
