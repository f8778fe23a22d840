"""A score that hovers about its threshold must not make the session speak again and again."""

from __future__ import annotations


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

    def see(self, score: float, t: float) -> None:
        """Every score is seen, also those that ask for nothing."""
        if self._level is None:
            return
        fallen = score < self._level - min(self._margin, self._level / 2)
        if fallen or not 0 <= t - self._since < self._window_s:
            self._level = None

    def holds(self, score: float, level: float) -> bool:
        """Is `score`, which reached the threshold `level`, held back?

        Where watches have thresholds of their own, the lower one counts: a score that rose well above what was spoken
        about before is no hovering.
        """
        return self._level is not None and score < min(1.0, min(level, self._level) + self._margin)
