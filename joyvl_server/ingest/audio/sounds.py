"""Alarms, loud noises and long silence in the sound of one source, by signal processing alone."""

from __future__ import annotations

import numpy as np

from joyvl_server.ingest.audio.alarms import T3, T4, AlarmFinder, AlarmState
from joyvl_server.ingest.audio.base import LISTEN_RATE, ListenSpec, SoundDetected
from joyvl_server.ingest.audio.beeps import HOP, LOW_TONE, PIEZO, WINDOW, BeepFinder, power_of
from joyvl_server.ingest.audio.loudness import LongSilence, LoudNoise
from joyvl_server.ingest.audio.segments import EventSink
from joyvl_server.kit.audio.pcm import Samples

BLOCK = 4096
"""Samples that are looked at together, a quarter of a second: it costs a tenth of what single hops would."""
LEVEL = 2048
LEVEL_S = LEVEL / LISTEN_RATE


class SoundDetector:
    """Everything in stream time. Not for two threads at once."""

    def __init__(self, spec: ListenSpec, tell: EventSink) -> None:
        self._tell = tell
        self._spec = spec
        self._alarms = (AlarmState(T3), AlarmState(T4))
        self._silence = LongSilence(spec.silence_s)
        self._noise = LoudNoise(spec.loud_db)
        self._rest: Samples = np.zeros(0, np.int16)
        self._start_tones()

    def feed(self, samples: Samples, t: float) -> None:
        """The next samples at `LISTEN_RATE`; `t` of the first one."""
        begin = t - len(self._rest) / LISTEN_RATE
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % BLOCK
        self._rest = waiting[whole:]
        for start in range(0, whole, BLOCK):
            block = waiting[start : start + BLOCK].astype(np.float32) / 32768
            self._look(block, begin + start / LISTEN_RATE)

    def break_off(self) -> None:
        """What comes next is another stream."""
        self._rest = self._rest[:0]
        self._silence.break_off()
        self._start_tones()

    def _start_tones(self) -> None:
        self._overlap = np.zeros(WINDOW - HOP, np.float32)
        self._bands = tuple((BeepFinder(band), AlarmFinder()) for band in (PIEZO, LOW_TONE))

    def _look(self, block: np.ndarray, t: float) -> None:
        self._look_at_tones(block, t)
        for start in range(0, BLOCK, LEVEL):
            part = block[start : start + LEVEL]
            level = 10 * float(np.log10(np.dot(part, part) / LEVEL + 1e-12))
            at = t + start / LISTEN_RATE
            if (loud := self._noise.feed(level, at, LEVEL_S)) is not None:
                self._tell(SoundDetected("loud", loud.t, round(loud.level_db, 1)))
            if (quiet := self._silence.feed(level, at, LEVEL_S)) is not None:
                self._tell(SoundDetected("quiet", quiet.t, round(quiet.level_db, 1)))

    def _look_at_tones(self, block: np.ndarray, t: float) -> None:
        joined = np.concatenate([self._overlap, block])
        self._overlap = joined[-(WINDOW - HOP) :]
        power = power_of(joined)
        now = t + BLOCK / LISTEN_RATE
        for finder, alarms in self._bands:
            for beep in finder.feed(power, t):
                alarms.add(beep)
            for alarm in self._alarms:
                beeps = alarms.match(alarm.pattern, now)
                if beeps is not None and alarm.seen(beeps):
                    level = max(beep.level_db for beep in beeps)
                    self._tell(SoundDetected(alarm.pattern.kind, beeps[0].t, round(level, 1)))
