"""So that it is not interrupted by its own voice: what a call's microphone hears of the playout is taken out again.

With the package `pywebrtc-audio` (WebRTC's echo canceller) a person is heard while it speaks. Without it, the
microphone counts as silent meanwhile.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from joyvl_server.ingest.audio.base import LISTEN_RATE
from joyvl_server.ingest.audio.playout import PLAYOUT_RATE
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import Resampler

STEP = LISTEN_RATE // 100
"""samples that the canceller takes at a time, 10 ms"""
TAIL_S = 1.0
"""An echo comes no later than this after the sound: network, jitter buffers, loudspeaker, microphone, and back."""
LEAD_S = 0.06
"""The sound can't come back sooner: so much less is left for the canceller to search."""
SLACK_S = 0.03
"""Times of the microphone that differ by less are jitter, or two clocks that drift apart; more is a gap."""
REFERENCE = LISTEN_RATE * 4
HALF_DUPLEX = (
    "This server has no echo cancellation (the package pywebrtc-audio is missing), so it hears nobody while it speaks."
)


class EchoCanceller(Protocol):
    """Of one call, on one thread."""

    flag: str | None
    """a sentence for people where it hears nobody while it plays"""

    def played(self, samples: Samples, moment: float, /) -> None:
        """`samples` at 48 kHz leave for the other side at this monotonic moment."""

    def process(self, mic: Samples, moment: float) -> Samples:
        """Sound of the microphone at `LISTEN_RATE` without the playout in it; `moment`: of its first sample.

        What comes out is the same stream, but up to 10 ms of it wait for the next call. Takes some 0.3 ms of a core
        for 20 ms while something is played, nothing otherwise. Whole losses show in `moment`.
        """


def echo_canceller() -> EchoCanceller:
    """The best one that this machine has."""
    return ReferenceCanceller() if find_spec("pywebrtc_audio") else HalfDuplex()


class HalfDuplex:
    """The microphone is silent as long as an echo may come back."""

    flag: str | None = HALF_DUPLEX

    def __init__(self) -> None:
        self._until = float("-inf")

    def played(self, samples: Samples, moment: float, /) -> None:
        self._until = moment + len(samples) / PLAYOUT_RATE + TAIL_S

    def process(self, mic: Samples, moment: float) -> Samples:
        return np.zeros_like(mic) if moment < self._until else mic


class ReferenceCanceller:
    """WebRTC's echo canceller, which gets each piece of the microphone with what was played at that time.

    It finds the delay by itself, up to half a second, if the two streams keep in step: so the microphone's samples are
    counted, and its times only tell where some were lost.
    """

    flag: str | None = None

    def __init__(self) -> None:
        from pywebrtc_audio import EchoCanceller as WebRtcCanceller  # the package is not always there

        self._canceller: Any = WebRtcCanceller(LISTEN_RATE)
        self._reference = _Reference()
        self._waiting: Samples = np.zeros(0, np.int16)
        self._position: int | None = None
        """of the next sample to be processed, in samples of the monotonic clock"""

    def played(self, samples: Samples, moment: float, /) -> None:
        self._reference.write(Pcm(samples, PLAYOUT_RATE), round(moment * LISTEN_RATE))

    def process(self, mic: Samples, moment: float) -> Samples:
        told = round((moment - LEAD_S) * LISTEN_RATE) - len(self._waiting)
        if self._position is None or abs(told - self._position) > SLACK_S * LISTEN_RATE:
            self._position = told
        joined = np.concatenate((self._waiting, mic))
        count = len(joined) // STEP * STEP
        near, self._waiting = joined[:count], joined[count:]
        begin, self._position = self._position, self._position + count
        if not count or begin - TAIL_S * LISTEN_RATE > self._reference.sounded:
            return near
        cleaned: Samples = self._canceller.process(near, self._reference.read(begin, count))
        return cleaned


class _Reference:
    """The last seconds of playout at `LISTEN_RATE`, by position on the clock; silence where nothing was played."""

    def __init__(self) -> None:
        self.sounded = float("-inf")
        """position after the last sound"""
        self._resampler = Resampler(LISTEN_RATE)
        self._ring: Samples = np.zeros(REFERENCE, np.int16)
        self._end = 0

    def write(self, audio: Pcm, position: int) -> None:
        samples = self._resampler.feed_pcm(audio)  # a few of them are those of the piece before
        if abs(position - self._end) > SLACK_S * LISTEN_RATE:
            self._put(np.zeros(min(abs(position - self._end), REFERENCE), np.int16), position)
        self._put(samples, self._end + len(samples))
        if audio.samples.any():
            self.sounded = self._end

    def _put(self, samples: Samples, end: int) -> None:
        self._ring[np.arange(end - len(samples), end) % REFERENCE] = samples
        self._end = end

    def read(self, position: int, count: int) -> Samples:
        wanted = np.arange(position, position + count)
        known = (wanted < self._end) & (wanted >= self._end - REFERENCE)
        return np.where(known, self._ring[wanted % REFERENCE], 0).astype(np.int16)
