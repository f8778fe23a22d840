"""What was said lately: cooldown per kind, and the same words not twice. Silences in between change nothing."""

from __future__ import annotations

import re
from collections import deque

MAX_REMARKS = 256
MAX_KINDS = 64
SHORTEST, LONGEST = 16, 160
"""characters of a first sentence; a shorter one ("Attention!") says too little to know it again"""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+|(?=\n)")
_NOT_WORDS = re.compile(r"[\W_]+")

_Identity = tuple[str | None, str]


class Repetition:
    """Remembers the latest remarks, the oldest forgotten first. Times in stream seconds."""

    def __init__(self, cooldown_s: float, duplicate_window_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._window_s = duplicate_window_s
        self._said: deque[tuple[float, _Identity]] = deque(maxlen=MAX_REMARKS)
        self._last: dict[str | None, float] = {}

    def configure(self, cooldown_s: float, duplicate_window_s: float) -> None:
        """Other times from now on."""
        self._cooldown_s = cooldown_s
        self._window_s = duplicate_window_s

    def cooling(self, kind: str | None, t: float) -> bool:
        """Was a remark of this kind made less than the cooldown ago?"""
        last = self._last.get(kind)
        return last is not None and 0 <= t - last < self._cooldown_s

    def repeated(self, key: str | None, text: str, t: float) -> bool:
        """Were the same words said about the same happening within the window?"""
        same = (key, normal(text))
        return any(identity == same and 0 <= t - said < self._window_s for said, identity in self._said)

    def spoke(self, kind: str | None, t: float) -> None:
        """A remark of this kind began: its cooldown runs from here."""
        self._last.pop(kind, None)
        self._last[kind] = t
        if len(self._last) > MAX_KINDS:
            del self._last[next(iter(self._last))]

    def remember(self, key: str | None, text: str, t: float) -> None:
        self._said.append((t, (key, normal(text))))

    def forget(self, key: str | None, text: str) -> None:
        """These words did not reach anybody whole: they may be said again."""
        same = (key, normal(text))
        kept = [entry for entry in self._said if entry[1] != same]
        self._said.clear()
        self._said.extend(kept)


def normal(text: str) -> str:
    """Words in lower case with one space between; `text` itself where it has no words."""
    return _NOT_WORDS.sub(" ", text.casefold()).strip() or text


def first_sentence(text: str, *, whole: bool) -> str:
    """The beginning by which a remark is known again; empty while it is not complete.

    `whole` when no more text comes. An end counts only where more text follows it ("3." may become "3.5").
    """
    for end in _SENTENCE_END.finditer(text[: LONGEST + 1]):
        if SHORTEST <= end.end() <= LONGEST:
            return text[: end.end()]
    if len(text) > LONGEST:
        return text[:LONGEST]
    return text if whole else ""
