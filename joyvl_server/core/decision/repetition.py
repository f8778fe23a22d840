"""When the session holds back: right after a remark, what it said lately, and a score that hovers about its threshold.

Silences in between change nothing. Times in stream seconds.
"""

from __future__ import annotations

import re
from collections import deque

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Score, Suppressed

MAX_REMARKS = 256
MAX_KINDS = 64
SHORTEST, LONGEST = 16, 160
"""characters of a first sentence; a shorter one ("Attention!") says too little to know it again"""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+|(?=\n)")
_NOT_WORDS = re.compile(r"[\W_]+")

_Identity = tuple[str | None, str]


class RecentRemarks:
    """Remembers the latest remarks: cooldown per kind, and the same words not twice. The oldest is forgotten first."""

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


class Hysteresis:
    """After a remark the session is hot: a score must rise a `margin` above the threshold to speak again, until one
    has fallen a margin below it, or `window_s` stream seconds have passed, or the thresholds changed.

    Where a threshold is so low that scores cannot fall a margin below it, half of it is low enough.
    """

    def __init__(self, margin: float, window_s: float) -> None:
        self._margin = margin
        self._window_s = window_s
        self._level: float | None = None
        self._since = 0.0

    def configure(self, margin: float, window_s: float) -> None:
        """Another margin and window from now on."""
        self._margin = margin
        self._window_s = window_s

    def spoke(self, level: float, t: float) -> None:
        """A remark was made at stream time `t`; `level` is the threshold that it reached."""
        self._level = level
        self._since = t

    def reset(self) -> None:
        self._level = None

    def see(self, score: float, t: float) -> bool:
        """Every score is seen, also those that ask for nothing. Is the session still hot?"""
        if self._level is None:
            return False
        fallen = score < self._level - min(self._margin, self._level / 2)
        if fallen or not 0 <= t - self._since < self._window_s:
            self._level = None
        return self._level is not None

    def holds(self, score: float, level: float) -> bool:
        """Is `score`, which reached the threshold `level`, held back?

        Where watches have thresholds of their own, the lower one counts: a score that rose well above what was spoken
        about before is no hovering.
        """
        return self._level is not None and score < min(1.0, min(level, self._level) + self._margin)


class RepetitionPolicy:
    """What was said lately, and whether the same may be said again.

    Scores that name what they see (`kind`) have keys of their own and are exempt from hysteresis.
    """

    def __init__(self, config: ObserverConfig) -> None:
        self.recent = RecentRemarks(config.cooldown_s, config.duplicate_window_s)
        self.hot = False
        """a remark was made, and no score has fallen since: scores have to be seen"""
        self._threshold = config.threshold
        self._hysteresis = Hysteresis(config.hysteresis, config.duplicate_window_s)

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on."""
        if config.threshold != self._threshold:
            self.thresholds_changed()
        self._threshold = config.threshold
        self.recent.configure(config.cooldown_s, config.duplicate_window_s)
        self._hysteresis.configure(config.hysteresis, config.duplicate_window_s)

    def thresholds_changed(self) -> None:
        self._hysteresis.reset()
        self.hot = False

    def see(self, score: Score, t: float) -> None:
        """While `hot`, every score of the session is seen before it is weighed."""
        if score.kind is None and score.garbage is None:
            self.hot = self._hysteresis.see(score.value, t)

    def spoke(self, score: Score, level: float, t: float) -> None:
        """A remark that nobody asked for was made whole; `level` is the threshold that its score reached."""
        if score.kind is None:
            self._hysteresis.spoke(level, t)
            self.hot = True

    def heard(self, kind: str | None, key: str | None, first: str, heard: str, t: float) -> None:
        """The playback of a remark ended at stream time `t`: `heard` is what was heard of it, `first` its beginning.

        The cooldown runs from here. What reached nobody whole may be said again, at once where nothing did.
        """
        if heard:
            self.recent.spoke(kind, t)
        elif kind is None:
            self.thresholds_changed()
        if first.strip() not in heard:
            self.recent.forget(key, first)

    def held_back(self, score: Score, level: float, t: float) -> Suppressed | None:
        """Why a remark nobody asked for, whose score reached the threshold `level`, is not to be made now."""
        if self.recent.cooling(score.kind, t):
            return Suppressed.COOLDOWN
        if score.kind is None and self._hysteresis.holds(score.value, level):
            return Suppressed.HOVERING
        return None


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
