"""Loud noises, and silence where there is usually sound, by the level alone. Levels are in dBFS, times in seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import exp, log10

USUAL_S = 300.0
"""What is usual: the mean energy, remembered for some five minutes."""
LEARN_S = 8.0
QUIETEST_USUAL_DB = -45.0
"""In a place quieter than this a whisper would be loud."""
CEILING_DB = -6.0
"""Where it is usually loud, nothing can be `loud_db` above: then this is loud, if it is 10 dB above."""
CALM_DB, CALM_S = 6.0, 2.0
"""So much below for so long, a loud noise is over."""

PART_S = 10.0
"""Silence is counted in such parts."""
SOUND_DB = 12.0
"""A part has sound in it when something was so much above the quietest of the parts before."""
SOUND_PARTS = 0.25
"""So many of the parts before must have had sound: else silence is usual there."""
HISTORY = 4.0
"""So many times the silence is looked back."""
MOST_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class LevelEvent:
    """It began at `t`."""

    t: float
    level_db: float


class LoudNoise:
    """`loud_db`: how much above what is usual a noise is loud."""

    def __init__(self, loud_db: float) -> None:
        self._loud_db = loud_db
        self._energy = 0.0
        self._weight = 0.0
        self._heard_s = 0.0
        self._limit: float | None = None
        """what it must be below to be over"""
        self._calm_s = 0.0

    def feed(self, level_db: float, t: float, seconds: float) -> LevelEvent | None:
        """The level of the next `seconds` of sound, from `t` on."""
        found = None
        usual = self._usual()
        limit = min(usual + self._loud_db, max(usual + 10.0, CEILING_DB))
        if self._limit is not None:
            self._calm_s = self._calm_s + seconds if level_db < self._limit else 0.0
            if self._calm_s >= CALM_S:
                self._limit = None
        elif self._heard_s >= LEARN_S and level_db >= limit:
            self._limit, self._calm_s = limit - CALM_DB, 0.0
            found = LevelEvent(t, level_db)
        self._learn(min(level_db, limit), seconds)
        return found

    def _usual(self) -> float:
        mean = self._energy / self._weight if self._weight else 0.0
        return max(QUIETEST_USUAL_DB, 10 * log10(mean + 1e-12))

    def _learn(self, level_db: float, seconds: float) -> None:
        keep = exp(-seconds / USUAL_S)
        self._energy = self._energy * keep + 10 ** (level_db / 10) * (1 - keep)
        self._weight = self._weight * keep + (1 - keep)
        self._heard_s += seconds


class LongSilence:
    """`silence_s`: how long nothing must be heard where there is usually sound."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = max(PART_S, silence_s)
        most = round((1 + HISTORY) * self._silence_s / PART_S) + 1
        self._parts: deque[tuple[float, float, float]] = deque(maxlen=min(MOST_PARTS, max(12, most)))
        """t, quietest and loudest level of each part"""
        self._t = 0.0
        self._seconds = 0.0
        self._low, self._high = 0.0, -120.0
        self._told = False

    def feed(self, level_db: float, t: float, seconds: float) -> LevelEvent | None:
        if not self._seconds:
            self._t, self._low, self._high = t, level_db, level_db
        self._low, self._high = min(self._low, level_db), max(self._high, level_db)
        self._seconds += seconds
        if self._seconds < PART_S:
            return None
        self._seconds = 0.0
        self._parts.append((self._t, self._low, self._high))
        return self._look()

    def break_off(self) -> None:
        """What was not heard was not silent."""
        self._parts.clear()
        self._seconds = 0.0
        self._told = False

    def _look(self) -> LevelEvent | None:
        floor = sorted(low for _, low, _ in self._parts)[len(self._parts) // 10]
        sounds = [high > floor + SOUND_DB for _, _, high in self._parts]
        silent = next((n for n, sound in enumerate(reversed(sounds)) if sound), len(sounds))
        if silent == 0:
            self._told = False
        before = sounds[: len(sounds) - silent]
        if self._told or silent * PART_S < self._silence_s or not before:
            return None
        if sum(before) < max(3, SOUND_PARTS * len(before)):
            return None
        self._told = True
        began = self._parts[len(sounds) - silent]
        return LevelEvent(began[0], self._parts[-1][1])
