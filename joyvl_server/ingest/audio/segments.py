"""From the probabilities of a VAD to speech: when it began and ended, and the sound of it."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np

from joyvl_server.ingest.audio.base import (
    LISTEN_RATE,
    AudioEvent,
    ListenSpec,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.kit.audio.pcm import Pcm, Samples

BEGINS_AT, GOES_ON_AT = 0.5, 0.35
"""Probability from which speech begins, and down to which it goes on."""
BEGINS_AFTER_S = 0.06
"""So long it must be likely: one frame of noise is none."""
BEGINS_AT_ONCE_AT = 0.85
BEGINS_IN_DOUBT_AFTER_S = 0.16
"""… and so long where it may be what is left of our own voice."""
ONSET_LAG_S, END_LAG_S = 0.02, 0.04
"""What Silero is late by at either end: means over forty sentences of two voices, none of which was off by 0.15 s."""
PRE_ROLL_S = 0.4
"""Sound from before the onset: the first consonant is often too soft for a VAD."""
PIECE_S = 0.1
LONGEST_S = 30.0
"""What a recogniser takes at most, with all that is sent of it."""
SOFT_AFTER_S = 24.0
"""From here on it is cut at the first pause, rather than in the middle of a word at `LONGEST_S`."""


class EventSink(Protocol):
    def __call__(self, event: AudioEvent, /) -> None: ...


class SpeechSegmenter:
    """`first_id`: its ids are this and a number. Times are stream seconds."""

    def __init__(self, spec: ListenSpec, first_id: str, tell: EventSink) -> None:
        self._spec = spec
        self._prefix = first_id
        self._tell = tell
        self._count = 0
        self._before: deque[Samples] = deque()
        """sound that was not told, for the pre-roll"""
        self._before_n = 0
        self._likely_s = 0.0
        self._candidate: float | None = None
        """since when speech is possible"""
        self._id: str | None = None
        self._onset = self._voiced_until = 0.0
        self._stretch = 0.0
        """since when it was not interrupted by a pause that was told"""
        self._lasts = self._pauses = False
        self._pending: list[Samples] = []
        self._pending_n = self._sent_n = 0

    @property
    def speaking(self) -> bool:
        return self._id is not None

    @property
    def attentive(self) -> bool:
        """Somebody speaks, or perhaps begins to."""
        return self._id is not None or self._candidate is not None

    def feed(self, samples: Samples, t: float, probability: float, *, doubtful: bool = False) -> None:
        """The next frame. `t`: of its first sample. `doubtful`: it may be what is left of our own voice."""
        end = t + len(samples) / LISTEN_RATE
        if self._id is None:
            if self._may_begin(samples, t, end, probability):
                begins = self._likely_s >= (BEGINS_IN_DOUBT_AFTER_S if doubtful else BEGINS_AFTER_S)
                if begins or (probability >= BEGINS_AT_ONCE_AT and not doubtful):
                    self._begin_with_what_was_before(end)
            return
        self._append(samples)
        if probability >= GOES_ON_AT:
            self._voiced_until = end
        self._tell_pauses(self._id, t, end, probability)
        sent_s = self._sent_n / LISTEN_RATE
        if end - self._voiced_until >= self._spec.wait_s:
            self._end(self._voiced_until - END_LAG_S)
        elif sent_s >= SOFT_AFTER_S and probability < GOES_ON_AT:
            self._end(self._voiced_until)
        elif sent_s >= LONGEST_S - 2 * PIECE_S:
            self._end(end)
            self._begin(end)
            self._voiced_until = end

    def _tell_pauses(self, id: str, t: float, end: float, probability: float) -> None:
        """Is it a word, or was it a click? Each of several clicks is judged alone."""
        if self._pauses and probability >= BEGINS_AT:
            self._pauses, self._stretch = False, t - ONSET_LAG_S
            self._tell(SpeechContinues(id, self._stretch))
        if self._pauses:
            return
        voiced_until = self._voiced_until - END_LAG_S
        if not self._lasts and voiced_until - self._stretch >= self._spec.lasting_s:
            self._lasts = True
            self._tell(SpeechLasts(id, end))
        elif end - voiced_until >= self._spec.pause_s:
            self._pauses = True
            self._tell(SpeechPauses(id, max(voiced_until, self._stretch)))

    def break_off(self, *, lost: bool) -> None:
        """The sound ends here. What comes next is another stream."""
        if self._id is not None:
            self._end(self._voiced_until, lost=lost)
        self._before.clear()
        self._before_n = 0
        self._candidate, self._likely_s = None, 0.0

    def _may_begin(self, samples: Samples, t: float, end: float, probability: float) -> bool:
        """It is kept as the sound before; is speech possible?"""
        self._before.append(samples)
        self._before_n += len(samples)
        if probability < GOES_ON_AT:
            self._candidate, self._likely_s = None, 0.0
            self._trim_before(PRE_ROLL_S)
            return False
        if self._candidate is None:
            self._candidate = t
        if probability >= BEGINS_AT:
            self._likely_s += end - t
        self._trim_before(PRE_ROLL_S + end - self._candidate)
        return True

    def _begin_with_what_was_before(self, end: float) -> None:
        assert self._candidate is not None, "nothing came before"
        self._begin(self._candidate - ONSET_LAG_S)
        self._voiced_until = end
        for kept in self._before:
            self._append(kept)
        self._before.clear()
        self._before_n = 0
        self._flush()

    def _trim_before(self, seconds: float) -> None:
        most = seconds * LISTEN_RATE
        while self._before and self._before_n - len(self._before[0]) >= most:
            self._before_n -= len(self._before.popleft())

    def _begin(self, onset: float) -> None:
        self._count += 1
        self._id = f"{self._prefix}{self._count}"
        self._onset = self._stretch = onset
        self._lasts = self._pauses = False
        self._sent_n = 0
        self._candidate, self._likely_s = None, 0.0
        self._tell(SpeechBegan(self._id, onset))

    def _end(self, t: float, *, lost: bool = False) -> None:
        assert self._id is not None
        self._flush()
        speech_id, self._id = self._id, None
        t = max(t, self._onset)
        self._tell(SpeechEnded(speech_id, t, t - self._onset, lost))

    def _append(self, samples: Samples) -> None:
        self._pending.append(samples)
        self._pending_n += len(samples)
        self._sent_n += len(samples)
        if self._pending_n >= PIECE_S * LISTEN_RATE:
            self._flush()

    def _flush(self) -> None:
        if self._pending and self._id is not None:
            self._tell(SpeechAudio(self._id, Pcm(np.concatenate(self._pending), LISTEN_RATE)))
        self._pending = []
        self._pending_n = 0
