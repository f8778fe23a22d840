"""Was this said to us? A gate for text: the wake word, a window after it in which none is needed, push-to-talk.

Pure: the caller tells the time, in stream seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from joyvl_server.speech.asr.partials import WIDE, bare, split_words

LONGEST = 40
LEAD = 2
"""words that may stand before the wake word at the beginning: “um”, “okay”"""
LONG_WORD = 5
"""letters from which on a wake word also counts in the middle of a sentence"""
RELEASE_S = 0.4
"""Who lets the button go is often quicker than his last word."""

_OPTIONS = re.compile(r"[|/\n]|[,，、;]\s*")
_EDGES = " \t,.;:!?-–—，。；：！？、…"
_SOUNDS = (
    ("tch", "j"), ("ch", "j"), ("sh", "s"), ("ph", "f"), ("th", "t"), ("ck", "k"), ("qu", "k"), ("wh", "w"),
    ("x", "ks"), ("q", "k"), ("c", "k"), ("z", "s"), ("g", "j"), ("v", "f"), ("d", "t"),
)  # fmt: skip
_SILENT = re.compile(r"[aeiouyhw]")


class ListenMode(StrEnum):
    OFF = "off"
    OPEN = "open"
    PUSH_TO_TALK = "push_to_talk"


@dataclass(frozen=True, slots=True)
class Judged:
    """`text` without the wake word; empty where nothing else was said."""

    addressed: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Found:
    """Words from `begin` to `end` are the wake word."""

    begin: int
    end: int


class WakeWord:
    """Finds it in what was understood, also misspelt: engines do not know the names of machines.

    `spellings`: one or several, `hey joy|ok joy` or `小乔，小桥`.
    """

    def __init__(self, spellings: str) -> None:
        options = [bare_words(option) for option in _OPTIONS.split(spellings[: LONGEST * 8])]
        self._options = [option for option in options if option]

    def __bool__(self) -> bool:
        return bool(self._options)

    def judge(self, text: str) -> Judged:
        """Is it in there, and what was said besides?"""
        words = [word for word in split_words(text) if bare(word)]
        keys = [bare(word) for word in words]
        for option in self._options:
            found = _find(option, keys)
            if found is not None:
                return Judged(True, _without(words, found))
        return Judged(False, text.strip())


class AddressGate:
    """Decides for each final text of one session whether it is for us."""

    def __init__(self, mode: ListenMode, wake_word: WakeWord | None = None, follow_up_s: float = 8.0) -> None:
        self.mode = mode
        self._wake_word = wake_word
        self._follow_up_s = follow_up_s
        self._open_until = float("-inf")
        self._pushed_at: float | None = None
        self._released_at = float("-inf")

    def judge(self, text: str, began: float, ended: float) -> Judged:
        """`began`, `ended`: of the speech. What is for us opens the window in which no wake word is needed."""
        if self.mode is ListenMode.OFF:
            return Judged(False, text.strip())
        if self.mode is ListenMode.PUSH_TO_TALK:
            pushed = self._pushed_at is not None and ended >= self._pushed_at
            return Judged(pushed and began <= self._released_at + RELEASE_S, text.strip())
        if not self._wake_word:
            return Judged(True, text.strip())
        judged = self._wake_word.judge(text)
        if not judged.addressed and began <= self._open_until:
            judged = Judged(True, judged.text)
        if judged.addressed:
            self.follow_up(ended)
        return judged

    def follow_up(self, t: float) -> None:
        """Something for us was said, or our answer ended, at `t`: now no wake word is needed for a while."""
        self._open_until = max(self._open_until, t + self._follow_up_s)

    def push(self, t: float) -> None:
        """The button is held from `t` on."""
        self._pushed_at, self._released_at = t, float("inf")

    def release(self, t: float) -> None:
        self._released_at = t


def bare_words(text: str) -> list[str]:
    return [key for word in split_words(text) if (key := bare(word))]


def _find(option: list[str], keys: list[str]) -> _Found | None:
    """At the beginning or at the end, a long one anywhere. It may have been written as fewer or more words."""
    wanted = "".join(option)
    anywhere = len(wanted) >= LONG_WORD or (len(option) > 1 and _is_wide(wanted))
    for begin in range(len(keys)):
        for count in sorted(range(1, len(option) + 2), key=lambda count: abs(count - len(option))):
            end = begin + count
            if end > len(keys):
                continue
            at_edge = begin <= LEAD or end == len(keys)
            said = "".join(keys[begin:end])
            if said == wanted and (at_edge or anywhere):
                return _Found(begin, end)
            if at_edge and sounds_alike(said, wanted):
                return _Found(begin, end)
    return None


def sounds_alike(said: str, wanted: str) -> bool:
    """May an engine have written `said` for `wanted`? Words that sound the same may differ in a third of their letters,
    others in a seventh. Chinese: one character in three (others have sounds that we do not know)."""
    longest = max(len(said), len(wanted))
    if _is_wide(wanted):
        return distance(said, wanted) <= len(wanted) // 3
    if abs(len(said) - len(wanted)) > 3:
        return False
    allowed = max(1, longest // 3) if skeleton(said) == skeleton(wanted) else longest // 7
    return distance(said, wanted) <= allowed


def skeleton(word: str) -> str:
    """The consonants as they sound, the first letter kept where it is a vowel."""
    sounds = word
    for written, sound in _SOUNDS:
        sounds = sounds.replace(written, sound)
    first = "a" if sounds[:1] and sounds[0] in "aeiou" else ""
    rest = _SILENT.sub("", sounds)
    return first + re.sub(r"(.)\1+", r"\1", rest)


def distance(first: str, second: str) -> int:
    """How many letters must be changed, added or left out."""
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != other))
    return row[-1]


def _without(words: list[str], found: _Found) -> str:
    """The sentence without the wake word where it stands at an edge; in the middle it belongs to the sentence."""
    if found.begin <= LEAD:
        return _tidy("".join(words[found.end :]))
    if found.end == len(words):
        return _tidy("".join(words[: found.begin]), words[-1])
    return _tidy("".join(words))


def _tidy(text: str, last: str = "") -> str:
    text = text.lstrip(_EDGES).rstrip()
    if last:
        # “What do you see, Joy?” is a question without the name, too.
        end = last.rstrip()[-1:]
        text = text.rstrip(_EDGES) + (end if end in "?!.？！。" else "")
    return text


def _is_wide(text: str) -> bool:
    return re.fullmatch(f"[{WIDE}]+", text) is not None
