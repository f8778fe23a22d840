"""The temporal patterns of alarms: T3 of smoke alarms (ISO 8201) and T4 of carbon monoxide alarms."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from joyvl_server.ingest.audio.base import SoundKind
from joyvl_server.ingest.audio.beeps import HOP_S, Beep

TOLERANCE = 0.22
"""Of each time: alarms may be off by a fifth, and somewhat more by their echo."""
STEPS_S = 2 * HOP_S
"""What we measure is off by so much at most."""
GROUPS = 2
"""Three beeps are a microwave oven; again after the right pause they are an alarm."""
LEVELS_DB = 12.0
"""The beeps of one alarm are about as loud as one another."""


@dataclass(frozen=True, slots=True)
class AlarmPattern:
    """`beeps` in a group; `period_s` from one's start to the next one's, `rest_s` from the last one's to the next
    group's; `shortest_s`, `longest_s`: of a beep (its echo makes it longer)."""

    kind: SoundKind
    beeps: int
    period_s: float
    rest_s: float
    shortest_s: float
    longest_s: float

    @property
    def over_s(self) -> float:
        """Seconds after the start of a beep in which no other one started: it was the last one of its group."""
        return self.period_s * (1 + TOLERANCE) + 0.1

    @property
    def cycle_s(self) -> float:
        return (self.beeps - 1) * self.period_s + self.rest_s


T3 = AlarmPattern("smoke_alarm", 3, 1.0, 2.0, 0.35, 0.75)
T4 = AlarmPattern("co_alarm", 4, 0.2, 5.1, 0.05, 0.19)
KEPT = GROUPS * max(T3.beeps, T4.beeps) + 1


class AlarmFinder:
    """Looks for patterns among the beeps of one band."""

    def __init__(self) -> None:
        self._beeps: deque[Beep] = deque(maxlen=KEPT)

    def add(self, beep: Beep) -> None:
        self._beeps.append(beep)

    def match(self, pattern: AlarmPattern, now: float) -> Sequence[Beep] | None:
        """The beeps of the last `GROUPS` groups, when they have just been completed: at `now` no beep follows."""
        count = GROUPS * pattern.beeps
        if len(self._beeps) < count or now - self._beeps[-1].t < pattern.over_s:
            return None
        beeps = list(self._beeps)[-count:]
        if not _alike(beeps, pattern):
            return None
        starts = np.array([beep.t for beep in beeps])
        wanted = np.full(count - 1, pattern.period_s)
        wanted[pattern.beeps - 1 :: pattern.beeps] = pattern.rest_s
        if (np.abs(np.diff(starts) - wanted) > TOLERANCE * wanted + STEPS_S).any():
            return None
        if len(self._beeps) > count and starts[0] - self._beeps[-count - 1].t < pattern.over_s:
            return None  # a group of more beeps than it should have
        return beeps


def _alike(beeps: Sequence[Beep], pattern: AlarmPattern) -> bool:
    levels = [beep.level_db for beep in beeps]
    bins = [beep.bin for beep in beeps]
    return (
        all(pattern.shortest_s <= beep.seconds <= pattern.longest_s for beep in beeps)
        and max(levels) - min(levels) <= LEVELS_DB
        and max(bins) - min(bins) <= 2
    )


class AlarmState:
    """Tells an alarm once, and again only after it had stopped."""

    def __init__(self, pattern: AlarmPattern) -> None:
        self.pattern = pattern
        self._until = float("-inf")

    def seen(self, beeps: Sequence[Beep]) -> bool:
        """Is this a new alarm?"""
        is_new = beeps[0].t > self._until
        self._until = beeps[-1].t + 2.5 * self.pattern.cycle_s
        return is_new
