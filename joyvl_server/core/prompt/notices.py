"""What the model has not been told yet: watches that changed inside a chunk, results of tasks, queries that ended.

News stays until the turn that carried it has settled; the oldest is dropped where there is too much. The present chunk
and the one prepared beside it always tell the same watches: its prefix starts with those told by then, and each turn
settled since joins both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.prompt.prefix import shorten, watch_line
from joyvl_server.core.prompt.wire_format import query_block, text_tokens
from joyvl_server.core.watches.watches import Watch, WatchBook

MAX_NOTES = 16
MAX_HEARD = 8
_LEAST = 24


@dataclass(frozen=True, slots=True)
class Notice:
    number: int
    text: str


class Notices:
    def __init__(self) -> None:
        self.known = WatchBook()
        """the watches that the model knows of in this chunk"""
        self._notes: deque[Notice] = deque(maxlen=MAX_NOTES)
        self._heard: deque[tuple[float, str]] = deque(maxlen=MAX_HEARD)
        self._met: list[Watch] = []
        self._count = 0

    @property
    def notes_waiting(self) -> bool:
        return bool(self._notes)

    def waiting(self, book: WatchBook) -> bool:
        """Do the watches differ from what the model was told?"""
        return any(book.changes_since(self.known))

    def add(self, text: str) -> None:
        self._count += 1
        self._notes.append(Notice(self._count, text))

    def notes(self, room: int) -> tuple[Notice, ...]:
        """The oldest notes, as many as fit `room` tokens; the first one is shortened where it alone does not."""
        kept: list[Notice] = []
        for note in self._notes:
            note = note if kept else replace(note, text=shorten(note.text, room - 1))
            room -= text_tokens(note.text) + 1
            if room < 0:
                break
            kept.append(note)
        return tuple(kept)

    def watch_changes(self, book: WatchBook, room: int, sentence: str | None = None) -> tuple[str, ...]:
        """What changed since the model was last told, each line shortened to its share of `room` tokens.

        A watch that is the `sentence` of the same turn is not told twice.
        """
        begun, ended = book.changes_since(self.known)
        begun = tuple(watch for watch in begun if watch_line(watch, ()) != sentence)
        if not begun and not ended:
            return ()
        each = max(_LEAST, room // (len(begun) + len(ended)))
        lines = [f"[Instruction ended] {shorten(watch_line(watch, ()), each)}" for watch in ended]
        lines += [query_block(shorten(watch_line(watch, book.zones), each)) for watch in begun]
        return tuple(lines)

    def told(self, book: WatchBook, notes: Sequence[Notice] = ()) -> None:
        """The model knows this book now, and these notes: their turn has settled, or a prefix tells the book."""
        told = {watch.id for watch in book.watches}
        met = tuple(watch for watch in self._met if watch.id not in told)
        self._met.clear()
        self.known = replace(book, watches=(*book.watches, *met)) if met else book
        numbers = {note.number for note in notes}
        kept = [note for note in self._notes if note.number not in numbers]
        self._notes.clear()
        self._notes.extend(kept)

    def composing(self) -> None:
        """A turn is made; what is met from now on until it has settled is not in its book."""
        self._met.clear()

    def heard(self, t: float, text: str, book: WatchBook) -> None:
        """The model has read, in the turn at stream time `t`, a sentence that becomes a watch, or is one in `book`."""
        self._heard.append((t, text))
        self.meet(book)

    def meet(self, book: WatchBook) -> None:
        """The watches changed: those that are sentences the model has read are known to it."""
        for watch in book.changes_since(self.known)[0]:
            line = watch_line(watch, ())
            sentence = next((entry for entry in self._heard if entry[1] == line), None)
            if sentence is not None:
                self._heard.remove(sentence)
                others = tuple(w for w in self.known.watches if w.id != watch.id)
                self.known = WatchBook((*others, watch), book.zones)
                self._met.append(watch)

    def forget_heard(self, before: float) -> None:
        """Sentences of turns before this stream time do not stand in the chunk that comes next."""
        kept = [entry for entry in self._heard if entry[0] >= before]
        self._heard.clear()
        self._heard.extend(kept)
