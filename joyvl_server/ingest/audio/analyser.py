"""The sound of one source, from samples to events: speech by a VAD, alarms and noises by signal processing."""

from __future__ import annotations

import numpy as np

from joyvl_server.ingest.audio.base import LISTEN_RATE, ListenSpec
from joyvl_server.ingest.audio.segments import EventSink, SpeechSegmenter
from joyvl_server.ingest.audio.sounds import SoundDetector
from joyvl_server.ingest.audio.vad import Vad
from joyvl_server.kit.audio.pcm import Samples

SMALL_GAP_S = 0.06
"""Times that jitter are no gap."""
LONGEST_FILL_S = 1.0
"""Lost packets, and the pauses in which some senders send nothing, count as silence up to here; beyond, the sound broke
off."""
ABOVE_FLOOR = 2.0
"""Power of a frame over that of the noise there, up to which the VAD is not asked: it takes most of the time, and no
voice is heard in more noise than that."""
FLOOR_RISES = 1.02
"""With each frame that is louder, until somebody speaks: after some seconds another noise is the usual one."""
SOFTEST_FLOOR = 6.0
"""Mean square of 16 bit samples: -83 dBFS."""


class SoundAnalyser:
    """Everything in stream time, so it runs as fast as it is fed. Not for two threads at once.

    `first_id`: how ids of speech begin. `vad`: None where there is none, or speech is not wanted.
    """

    def __init__(self, spec: ListenSpec, vad: Vad | None, first_id: str, tell: EventSink) -> None:
        self.end: float | None = None
        """stream time up to which it has heard"""
        self.doubtful = False
        """what it is fed may hold remains of our own voice, which are as short as they are faint"""
        self._vad = vad
        self._segments = SpeechSegmenter(spec, first_id, tell)
        self._sounds = SoundDetector(spec, tell) if spec.sounds else None
        self._rest: Samples = np.zeros(0, np.int16)
        """less than a frame of the VAD"""
        self._floor = SOFTEST_FLOOR

    @property
    def speaking(self) -> bool:
        return self._segments.speaking

    def feed(self, samples: Samples, t: float) -> None:
        """The next samples at `LISTEN_RATE`; `t` of the first one."""
        if self.end is not None:
            gap = t - self.end
            if not -LONGEST_FILL_S < gap < LONGEST_FILL_S:
                self.break_off(lost=True)
            elif gap > SMALL_GAP_S:
                self._hear(np.zeros(round(gap * LISTEN_RATE), np.int16), self.end)
        self._hear(samples, t)

    def reached(self, t: float) -> None:
        """The picture is at `t`: sound that ended long before that has broken off."""
        if self.end is not None and t - self.end > LONGEST_FILL_S:
            self.break_off(lost=True)

    def break_off(self, *, lost: bool) -> None:
        """The sound ends here; what comes next is another stream."""
        self._segments.break_off(lost=lost)
        if self._vad is not None:
            self._vad.reset()
        if self._sounds is not None:
            self._sounds.break_off()
        self._rest = self._rest[:0]
        self.end = None

    def give_up_part(self) -> None:
        """Something in here failed: the rest goes on, without the VAD first, then without anything."""
        self._segments.break_off(lost=True)
        if self._vad is not None:
            self._vad = None
        else:
            self._sounds = None

    def _hear(self, samples: Samples, t: float) -> None:
        self.end = t + len(samples) / LISTEN_RATE
        if self._sounds is not None:
            self._sounds.feed(samples, t)
        if self._vad is None:
            return
        size = self._vad.frame
        begin = t - len(self._rest) / LISTEN_RATE
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % size
        self._rest = waiting[whole:]
        for start in range(0, whole, size):
            frame = waiting[start : start + size]
            probability = self._probability(self._vad, frame)
            self._segments.feed(frame, begin + start / LISTEN_RATE, probability, doubtful=self.doubtful)

    def _probability(self, vad: Vad, frame: Samples) -> float:
        values = frame.astype(np.float32)
        power = float(np.dot(values, values)) / len(values)
        if self._segments.attentive:
            return vad.probability(frame)
        nothing = power < ABOVE_FLOOR * self._floor
        self._floor = max(SOFTEST_FLOOR, min(self._floor * FLOOR_RISES, 0.7 * self._floor + 0.3 * power))
        return 0.0 if nothing else vad.probability(frame)
