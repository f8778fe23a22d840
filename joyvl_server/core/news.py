"""What the model has not been told yet: watches that changed inside a chunk, results of tasks, queries that ended.

News stays until the turn that carried it has settled; the oldest is dropped where there is too much.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.prefix import shorten, watch_line
from joyvl_server.core.protocol import query_block
from joyvl_server.core.tokens import text_tokens
from joyvl_server.core.watches import WatchBook

MAX_NOTES = 16
_LEAST = 24


@dataclass(frozen=True, slots=True)
class Note:
    number: int
    text: str


class News:
    def __init__(self) -> None:
        self._told = WatchBook()
        self._notes: deque[Note] = deque(maxlen=MAX_NOTES)
        self._count = 0

    @property
    def notes_waiting(self) -> bool:
        return bool(self._notes)

    def waiting(self, book: WatchBook) -> bool:
        return bool(self._notes) or any(book.changes_since(self._told))

    def add(self, text: str) -> None:
        self._count += 1
        self._notes.append(Note(self._count, text))

    def notes(self, room: int) -> tuple[Note, ...]:
        """The oldest notes, as many as fit `room` tokens; the first one is shortened where it alone does not."""
        kept: list[Note] = []
        for note in self._notes:
            note = note if kept else replace(note, text=shorten(note.text, room - 1))
            room -= text_tokens(note.text) + 1
            if room < 0:
                break
            kept.append(note)
        return tuple(kept)

    def watch_changes(self, book: WatchBook, room: int) -> tuple[str, ...]:
        """What changed since the model was last told, each line shortened to its share of `room` tokens."""
        begun, ended = book.changes_since(self._told)
        if not begun and not ended:
            return ()
        each = max(_LEAST, room // (len(begun) + len(ended)))
        lines = [f"[Instruction ended] {shorten(watch_line(watch, ()), each)}" for watch in ended]
        lines += [query_block(shorten(watch_line(watch, book.zones), each)) for watch in begun]
        return tuple(lines)

    def told(self, book: WatchBook, notes: Sequence[Note]) -> None:
        """The turn that carried these notes, in a chunk that now stands on this book, has settled."""
        self._told = book
        numbers = {note.number for note in notes}
        kept = [note for note in self._notes if note.number not in numbers]
        self._notes.clear()
        self._notes.extend(kept)
