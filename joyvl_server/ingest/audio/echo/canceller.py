"""So that it is not interrupted by its own voice: what a call's microphone hears of the playout is taken out again.

With the package `pywebrtc-audio` (WebRTC's echo canceller) a person is heard while it speaks. Without it, the
microphone counts as silent meanwhile.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from joyvl_server.ingest.audio.base import LISTEN_RATE
from joyvl_server.ingest.audio.echo.presence import EchoPresence
from joyvl_server.ingest.audio.playout import PLAYOUT_RATE
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import Resampler

STEP = LISTEN_RATE // 100
"""samples that the canceller takes at a time, 10 ms"""
TAIL_S = 1.0
"""An echo comes no later than this after the sound: network, jitter buffers, loudspeaker, microphone, and back."""
IDLE_S = 10.0
"""The canceller goes on for so long after the last sound: it works best where it is not interrupted at each pause."""
LEAD_S = 0.02
"""An echo can't come back sooner. It is so much less for the canceller to search, which finds up to half a second."""
LEARN_S = 1.0
"""So much sound it must have played before it knows the way of an echo. Until then the microphone is silent while it
plays: where there is an echo, the first seconds of a call can't be interrupted."""
LEARNS_FROM = 100
"""loudness of a step (root of the mean square) from which the canceller learns something"""
SLACK_S = 0.03
"""Times of the microphone that differ by less are jitter, or two clocks that drift apart; more is a gap."""
REFERENCE = LISTEN_RATE * 4
HALF_DUPLEX = (
    "This server has no echo cancellation (the package pywebrtc-audio is missing), so it hears nobody while it speaks."
)


class EchoCanceller(Protocol):
    """Of one call. `played` is called on the worker's loop, `process` in one other thread."""

    flag: str | None
    """a sentence for people where it hears nobody while it plays"""
    remains: bool
    """may something be left of the playout in what came out last?"""

    def played(self, samples: Samples, moment: float, /) -> None:
        """`samples` at 48 kHz leave for the other side at this monotonic moment."""

    def process(self, samples: Samples, moment: float) -> Samples:
        """Sound of the microphone at `LISTEN_RATE` without the playout in it, as many samples.

        `moment`: monotonic, of the first sample. Where it jumps, sound was lost.
        """


def echo_canceller() -> EchoCanceller:
    """The best one that this machine has."""
    return ReferenceCanceller() if find_spec("pywebrtc_audio") else HalfDuplex()


class HalfDuplex:
    """The microphone is silent as long as an echo may come back."""

    flag: str | None = HALF_DUPLEX
    remains = False

    def __init__(self) -> None:
        self._until = float("-inf")

    def played(self, samples: Samples, moment: float, /) -> None:
        self._until = moment + len(samples) / PLAYOUT_RATE + TAIL_S

    def process(self, samples: Samples, moment: float) -> Samples:
        return np.zeros_like(samples) if moment < self._until else samples


class ReferenceCanceller:
    """WebRTC's echo canceller, which gets each piece of the microphone with what was played at that time.

    It finds the delay by itself if the two streams keep in step: so the microphone's samples are counted, and its times
    only tell where some were lost. What comes out is 10 ms late. While nothing was played for a while it costs nothing,
    else some 20 ms of a core for each second.

    Where there is no echo the canceller takes people for one and swallows their words, so then it only learns, and the
    microphone passes as it is.
    """

    flag: str | None = None
    remains = False
    """what came out last was the canceller's, of a microphone in which an echo was found"""

    def __init__(self) -> None:
        from pywebrtc_audio import EchoCanceller as WebRtcCanceller  # the package is not always there

        self._canceller: Any = WebRtcCanceller(LISTEN_RATE)
        self._reference = _Reference()
        self._presence = EchoPresence()
        self._waiting: Samples = np.zeros(0, np.int16)
        self._done: Samples = np.zeros(STEP, np.int16)
        """cleaned, and not given back yet; with those that wait always `STEP` samples"""
        self._position: int | None = None
        """of the next sample to be cleaned, in samples of the monotonic clock"""
        self._learned_s = 0.0

    def played(self, samples: Samples, moment: float, /) -> None:
        self._reference.write(Pcm(samples, PLAYOUT_RATE), round(moment * LISTEN_RATE))

    def process(self, samples: Samples, moment: float) -> Samples:
        told = round((moment - LEAD_S) * LISTEN_RATE) - len(self._waiting)
        if self._position is None or abs(told - self._position) > SLACK_S * LISTEN_RATE:
            self._position = told
        joined = np.concatenate((self._waiting, samples))
        count = len(joined) // STEP * STEP
        self._waiting = joined[count:]
        begin, self._position = self._position, self._position + count
        done = np.concatenate((self._done, self._cleaned(joined[:count], begin)))
        self._done = done[len(samples) :]
        return done[: len(samples)]

    def _cleaned(self, near: Samples, begin: int) -> Samples:
        self.remains = False
        if not len(near) or begin - IDLE_S * LISTEN_RATE > self._reference.sounded:
            return near
        far = self._reference.read(begin, len(near))
        cleaned: Samples = self._canceller.process(near, far)
        end = begin + len(near)
        self._presence.feed(near, lambda count: self._reference.read(end - count, count))
        if begin - TAIL_S * LISTEN_RATE > self._reference.sounded:
            return cleaned if self._presence.found else near
        steps = far.reshape(-1, STEP).astype(np.float32)
        self._learned_s += float(np.sum((steps**2).mean(axis=1) > LEARNS_FROM**2)) * STEP / LISTEN_RATE
        if self._presence.person or not (self._presence.found or self._presence.audible(near)):
            return near
        self.remains = True
        heard = self._learned_s >= LEARN_S and not self._presence.alone
        return cleaned if heard else np.zeros_like(cleaned)


class _Reference:
    """The last seconds of playout at `LISTEN_RATE`, by position on the clock; silence where nothing was played.

    One thread writes, another reads.
    """

    def __init__(self) -> None:
        self.sounded = float("-inf")
        """position after the last sound"""
        self._lock = threading.Lock()
        self._resampler = Resampler(LISTEN_RATE)
        self._ring: Samples = np.zeros(REFERENCE, np.int16)
        self._end = 0

    def write(self, audio: Pcm, position: int) -> None:
        samples = self._resampler.feed_pcm(audio)  # a few of them are those of the piece before
        with self._lock:
            if abs(position - self._end) > STEP:  # moments of the playout are exact; the resampler lags a little
                self._put(np.zeros(min(abs(position - self._end), REFERENCE), np.int16), position)
            self._put(samples, self._end + len(samples))
            if audio.samples.any():
                self.sounded = self._end

    def _put(self, samples: Samples, end: int) -> None:
        self._ring[np.arange(end - len(samples), end) % REFERENCE] = samples
        self._end = end

    def read(self, position: int, count: int) -> Samples:
        wanted = np.arange(position, position + count)
        with self._lock:
            known = (wanted < self._end) & (wanted >= self._end - REFERENCE)
            return np.where(known, self._ring[wanted % REFERENCE], 0).astype(np.int16)
