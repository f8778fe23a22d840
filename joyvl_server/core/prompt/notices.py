"""What the model has still to be told: queries, watches that changed inside a chunk, results of tasks.

A query is shown once, and once more where that turn failed. News stays until the turn that carried it has settled; the
oldest is dropped where there is too much. The present chunk and the one prepared always tell the same watches: the
prefix of the prepared one starts with those told by then, and each turn settled since joins both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.inputs import TaskChanged
from joyvl_server.core.prompt.prefix import MAX_LINE, shorten, watch_line
from joyvl_server.core.prompt.wire_format import clean, query_block, text_tokens
from joyvl_server.core.watches.watches import Watch, WatchSet

MAX_OPEN = 32

ANSWERED, WITHDRAWN, EXPIRED, STANDING, CANCEL = "answered", "withdrawn", "expired", "standing", "cancel"
"""how a query ends: `QueryClosed.reason`; the last two were no questions (`choices.RequestKind`)"""
MAX_NOTES = 16
MAX_HEARD = 8
_LEAST = 24
MAX_TASKS = 64
MAX_RESULT = 2000


@dataclass(frozen=True, slots=True)
class Query:
    """`asked_at` in stream seconds; `shown` once it stands in a settled turn."""

    id: str
    text: str
    asked_at: float
    shown: bool = False
    memories: tuple[str, ...] = ()
    """told in the turn that asks"""


class OpenQueries:
    """The open queries of one session, oldest first."""

    def __init__(self) -> None:
        self.open: dict[str, Query] = {}
        """by id, oldest first; read only"""

    def ask(self, query: Query) -> Query | None:
        """Open a query; returns the oldest one where there are too many: it is open no more."""
        self.open[query.id] = query
        return self.close(next(iter(self.open))) if len(self.open) > MAX_OPEN else None

    def close(self, query_id: str) -> Query | None:
        """The query, open no more; None where it was not open."""
        return self.open.pop(query_id, None)

    def forget_memories(self) -> None:
        """What was to be told with the queries that the model has not seen yet."""
        self.open.update({query_id: replace(query, memories=()) for query_id, query in self.open.items()})

    def expire(self, at: float, ttl_s: float) -> list[Query]:
        """Close the queries asked `ttl_s` or longer before `at`."""
        late = [query for query in self.open.values() if at - query.asked_at >= ttl_s]
        for query in late:
            del self.open[query.id]
        return late

    def waiting(self) -> Query | None:
        """The oldest query that the model has not seen."""
        return next((query for query in self.open.values() if not query.shown), None)

    def shown(self) -> list[Query]:
        return [query for query in self.open.values() if query.shown]

    def is_open(self, query_id: str | None) -> bool:
        return query_id in self.open

    def show(self, query_id: str | None) -> None:
        if query_id is not None and query_id in self.open:
            self.open[query_id] = replace(self.open[query_id], shown=True)

    def query_for(self, asked_now: str | None) -> Query | None:
        """The query that an answer belongs to: the one asked in its turn if still open, else the oldest one shown.

        `asked_now` is the id of the query in the turn that is being answered.
        """
        if asked_now is not None:
            return self.open.get(asked_now)
        return next(iter(self.shown()), None)


@dataclass(frozen=True, slots=True)
class Notice:
    number: int
    text: str
    task: str = ""
    """the delegated task whose outcome it is; empty: it is none"""
    urgent: bool = True
    """it should not wait for the next second"""


class Notices:
    def __init__(self) -> None:
        self.known = WatchSet()
        """the watches that the model knows of in this chunk"""
        self.notes_waiting: deque[Notice] = deque(maxlen=MAX_NOTES)
        """oldest first"""
        self._heard: deque[tuple[float, str]] = deque(maxlen=MAX_HEARD)
        self.met: list[Watch] = []
        """watches known only since the turn under way was made; read only"""
        self._count = 0

    def waiting(self, watch_set: WatchSet) -> bool:
        """Do the watches differ from what the model was told?"""
        return watch_set is not self.known and any(watch_set.changes_since(self.known))

    @property
    def urgent(self) -> bool:
        return any(note.urgent for note in self.notes_waiting)

    def add(self, text: str, *, task: str = "", urgent: bool = True) -> None:
        self._count += 1
        self.notes_waiting.append(Notice(self._count, text, task, urgent))

    def notes(self, available: int) -> tuple[Notice, ...]:
        """The oldest notes, as many as fit `available` tokens; the first one is shortened where it alone does not."""
        kept: list[Notice] = []
        for note in self.notes_waiting:
            note = note if kept else replace(note, text=shorten(note.text, available - 1))
            available -= text_tokens(note.text) + 1
            if available < 0:
                break
            kept.append(note)
        return tuple(kept)

    def watch_changes(self, watch_set: WatchSet, available: int, request: str | None = None) -> tuple[str, ...]:
        """What changed since the model was last told, each line shortened to its share of `available` tokens.

        A watch that is the `request` of the same turn is not told twice.
        """
        begun, ended = watch_set.changes_since(self.known)
        begun = tuple(watch for watch in begun if watch_line(watch, ()) != request)
        if not begun and not ended:
            return ()
        each = max(_LEAST, available // (len(begun) + len(ended)))
        lines = [f"[Instruction ended] {shorten(watch_line(watch, ()), each)}" for watch in ended]
        lines += [query_block(shorten(watch_line(watch, watch_set.zones), each)) for watch in begun]
        return tuple(lines)

    def told(self, watch_set: WatchSet, notes: Sequence[Notice] = ()) -> None:
        """The model knows these watches now, and these notes: their turn has settled, or a prefix tells them."""
        told = {watch.id for watch in watch_set.watches}
        met = tuple(watch for watch in self.met if watch.id not in told)
        self.met.clear()
        self.known = replace(watch_set, watches=(*watch_set.watches, *met)) if met else watch_set
        numbers = {note.number for note in notes}
        kept = [note for note in self.notes_waiting if note.number not in numbers]
        self.notes_waiting.clear()
        self.notes_waiting.extend(kept)

    def composing(self) -> None:
        """A turn is made; what becomes known from now on until it has settled is not among its watches."""
        self.met.clear()

    def heard(self, t: float, text: str, watch_set: WatchSet) -> None:
        """The model has read, in the turn at stream time `t`, a request that becomes a watch, or is one already."""
        self._heard.append((t, text))
        self.note_watches(watch_set)

    def note_watches(self, watch_set: WatchSet) -> None:
        """The watches changed: those that are requests the model has read are known to it."""
        for watch in watch_set.changes_since(self.known)[0]:
            line = watch_line(watch, ())
            request = next((entry for entry in self._heard if entry[1] == line), None)
            if request is not None:
                self._heard.remove(request)
                others = tuple(w for w in self.known.watches if w.id != watch.id)
                self.known = WatchSet((*others, watch), watch_set.zones)
                self.met.append(watch)

    def forget_heard(self, before: float) -> None:
        """Requests of turns before this stream time do not stand in the chunk that comes next."""
        kept = [entry for entry in self._heard if entry[0] >= before]
        self._heard.clear()
        self._heard.extend(kept)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What the model is told of it, and what stays in the history."""

    notice: str
    text: str
    known: bool
    """it was handed over in this session, not so long ago that it is forgotten"""


class DelegatedTasks:
    """The questions that were handed over, until their results are there. Bounded."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._questions: dict[str, str] = {}
        self._count = 0

    def hand_over(self, question: str) -> str:
        """The id of a new task; of too many, the oldest is forgotten."""
        self._count += 1
        task_id = f"{self._prefix}{self._count}"
        self._questions[task_id] = clean(question, MAX_LINE)
        if len(self._questions) > MAX_TASKS:
            del self._questions[next(iter(self._questions))]
        return task_id

    def changed(self, change: TaskChanged) -> TaskOutcome | None:
        """The outcome worth telling; None where there is none yet, or nobody wants it any more."""
        if change.status not in ("completed", "failed", "cancelled"):
            return None
        own = self._questions.pop(change.task_id, "")
        if change.status == "cancelled":
            return None
        question = own or clean(change.question, MAX_LINE)
        found = "Result of" if change.status == "completed" else "No result of"
        result = clean(change.result, MAX_RESULT)
        text = f"{question}: {result}" if question else result
        return TaskOutcome(f"[{found} the question handed over] {text}", text, own != "")
