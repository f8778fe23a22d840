"""The one parser of answers in the interaction model's wire format (`wire_format.py`).

The older spellings of markers are read too. The parser fails closed: whatever is outside the format is silence, and the
caller is told what it was.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum

_SILENCES = ("</silence>", "<silence>")
_RESPONSES = ("</response>", "<response>")
_DELEGATIONS = ("</delegation>", "</delegate>", "<delegation>", "<delegate>")
_ENDS = ("<|im_end|>", "<|endoftext|>")  # some servers print the end token when special tokens are not skipped
_MARKERS = _SILENCES + _RESPONSES + _DELEGATIONS + _ENDS
_MARKER = re.compile("|".join(re.escape(marker) for marker in _MARKERS))

MAX_GARBAGE = 200
MAX_ANSWER = 2000


class Verdict(StrEnum):
    """What an answer is, as soon as that is certain."""

    PENDING = "pending"
    SILENT = "silent"
    RESPONSE = "response"
    GARBAGE = "garbage"


class _Stage(IntEnum):
    OPENING = 0
    NOTE = 1
    QUESTION = 2
    GARBAGE = 3
    ENDED = 4


class AnswerParser:
    """Reads one answer, delta by delta; how it was cut into deltas never matters.

    Engines feed it the whole stream: `verdict` tells silent, response or garbage, and `take_rest()` hands on what
    follows `</response>`, markers of delegation included. The observer feeds that rest to a parser made with
    `opened=True`: `feed` returns text that may be shown, `question` grows meanwhile. No part of a marker is ever
    shown. At most `limit` characters after `</response>` are read; the rest of an endless answer is dropped.
    """

    def __init__(self, *, opened: bool = False, limit: int = MAX_ANSWER) -> None:
        self.verdict = Verdict.RESPONSE if opened else Verdict.PENDING
        self.note = ""
        self.question = ""
        self.garbage = ""
        self.delegated = False
        """a delegation marker was read; the question may still be empty"""
        self._stage = _Stage.NOTE if opened else _Stage.OPENING
        self._held = ""  # the end of the input while it may be the start of a marker
        self._gap = ""  # white space that counts only if more text follows
        self._rest = ""
        self._blank = 0
        self._limit = limit

    @property
    def ended(self) -> bool:
        """Nothing that may still come changes the outcome."""
        return self._stage is _Stage.ENDED

    def feed(self, delta: str) -> str:
        """Read on; returns the text of the note that became certain."""
        shown = len(self.note)
        text = self._held + delta
        self._held = ""
        at = 0
        while not self.ended:
            match = _MARKER.search(text, at)
            if match is None:
                keep = _start_of_marker(text, at)
                self._read_text(text[at:keep])
                if not self.ended:
                    self._held = text[keep:]
                break
            self._read_text(text[at : match.start()])
            if not self.ended:
                self._read_marker(match.group())
            at = match.end()
        return self.note[shown:]

    def finish(self) -> None:
        """The stream ended. A marker that was cut off is dropped; an answer without any marker is garbage."""
        if self.verdict is Verdict.PENDING:
            self.verdict = Verdict.GARBAGE
            self.garbage = self._held
        self._held = ""
        self._stage = _Stage.ENDED

    def take_rest(self) -> str:
        """Raw text after `</response>` that was not taken yet; never cut inside a marker."""
        rest, self._rest = self._rest, ""
        return rest

    def _read_text(self, text: str) -> None:
        if self._stage is _Stage.OPENING:
            words = text.lstrip()
            self._blank += len(text) - len(words)
            if self._blank > MAX_GARBAGE:
                self.verdict = Verdict.GARBAGE
                self._stage = _Stage.ENDED
            elif words:
                self.verdict = Verdict.GARBAGE
                self._stage = _Stage.GARBAGE
                self._read_garbage(words)
        elif self._stage is _Stage.GARBAGE:
            self._read_garbage(text)
        else:
            text = text[: self._limit]
            self._limit -= len(text)
            if self._limit == 0:
                text = text[: _start_of_marker(text, 0)]
            self._rest += text
            self._grow(text)
            if self._limit == 0:
                self._stage = _Stage.ENDED

    def _read_marker(self, marker: str) -> None:
        if self._stage is _Stage.OPENING and marker in _SILENCES:
            self.verdict = Verdict.SILENT
            self._stage = _Stage.ENDED
        elif self._stage is _Stage.OPENING and marker in _RESPONSES:
            self.verdict = Verdict.RESPONSE
            self._stage = _Stage.NOTE
        elif self._stage in (_Stage.OPENING, _Stage.GARBAGE):
            self.verdict = Verdict.GARBAGE
            self._stage = _Stage.GARBAGE
            self._read_garbage(marker)
        elif self._stage is _Stage.NOTE and marker in _DELEGATIONS:
            self.delegated = True
            self._rest += marker
            self._gap = ""
            self._stage = _Stage.QUESTION
        else:
            self._stage = _Stage.ENDED

    def _read_garbage(self, text: str) -> None:
        self.garbage += text[: MAX_GARBAGE - len(self.garbage)]
        if len(self.garbage) == MAX_GARBAGE:
            self._stage = _Stage.ENDED

    def _grow(self, text: str) -> None:
        """Add to the note or the question, which neither begin nor end with white space."""
        before = self.note if self._stage is _Stage.NOTE else self.question
        text = self._gap + text if before else text.lstrip()
        words = text.rstrip()
        self._gap = text[len(words) :]
        if self._stage is _Stage.NOTE:
            self.note += words
        else:
            self.question += words


def _start_of_marker(text: str, at: int) -> int:
    """Where the end of `text` may be the start of a marker; its length where it is none."""
    start = text.rfind("<", at)
    if start >= 0 and any(marker.startswith(text[start:]) for marker in _MARKERS):
        return start
    return len(text)
