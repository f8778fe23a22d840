"""What is said into a call: a bounded buffer of utterances, taken out 20 ms at a time.

It has no clock of its own. Who takes the frames takes one each 20 ms, and that is its time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import numpy as np

from joyvl_server.ingest.audio.base import PlayoutReport, PlayoutStatus
from joyvl_server.kit.audio.pcm import Samples

PLAYOUT_RATE = 48_000
FRAME_S = 0.02
FRAME = 960
"""samples of a frame"""
BUFFER_S = 30.0
MAX_UTTERANCES = 16
"""that may wait at once, with and without sound"""
FADE = 240
"""samples, 5 ms: a voice that stops in the middle of a wave clicks"""
REPORT_FRAMES = 10
REFILL = PLAYOUT_RATE // 10
"""samples that must be there before an utterance that ran dry goes on"""
STARVED_FRAMES = 1500
"""30 s: an utterance of which nothing more comes is given up"""
_RISE = np.linspace(0.0, 1.0, FADE, dtype=np.float32)


class PlayoutListener(Protocol):
    """Told on the loop of whoever calls the buffer. It must not block."""

    def played(self, report: PlayoutReport, /) -> None: ...


class PlayoutBuffer:
    """Plays utterances in the order of their epochs, which only grow. On one thread; nothing here waits.

    Sound of an epoch that is over, or older than the newest one, is thrown away.
    """

    def __init__(self, listener: PlayoutListener) -> None:
        self.wanted = asyncio.Event()
        """set while there may be a frame to take"""
        self.underruns = 0
        """how often an utterance fell silent because its sound did not come in time"""
        self._listener = listener
        self._queue: deque[_WaitingUtterance] = deque()
        self._newest = -1
        self._tail: Samples | None = None
        """what is played while the sound fades out, in the next frame"""
        self._fading: _WaitingUtterance | None = None
        """whose sound that is"""
        self._sounding = False
        """did the last frame hold sound of the first utterance?"""

    @property
    def buffered_s(self) -> float:
        return sum(utterance.available for utterance in self._queue) / PLAYOUT_RATE

    @property
    def awaits_sound(self) -> bool:
        """Is an utterance silent only because its sound has not come yet?"""
        return bool(self._queue) and not self._queue[0].held

    def play(self, epoch: int, samples: Samples, *, last: bool = False) -> None:
        """Append sound at `PLAYOUT_RATE`; `last`: nothing more follows. What does not fit ends it as `failed`."""
        utterance = self._utterance(epoch)
        if utterance is None or utterance.closed:
            return
        if self.buffered_s + len(samples) / PLAYOUT_RATE > BUFFER_S:
            self._end(utterance, "failed")
            return
        utterance.append(samples)
        utterance.closed = last
        self.wanted.set()

    def hold(self, epoch: int) -> None:
        """Silent from the next frame on, after a fade. One whose sound has not come yet will wait."""
        utterance = self._utterance(epoch)
        if utterance is None or utterance.held:
            return
        utterance.held = True
        self._fade_out(utterance)
        self._report(utterance, "held")

    def resume(self, epoch: int) -> None:
        """Go on at the sample where it was held."""
        utterance = self._find(epoch)
        if utterance is None or not utterance.held:
            return
        utterance.held = False
        if self._tail is not None and self._fading is utterance:  # the fade has not been taken yet: nothing happened
            self._tail, self._sounding, utterance.rises = None, True, False
        self._report(utterance, "playing")
        self.wanted.set()

    def cut(self, epoch: int) -> None:
        """Silent from the next frame on, after a fade, for good."""
        utterance = self._utterance(epoch)
        if utterance is not None:
            self._fade_out(utterance)
            self._end(utterance, "cut")

    def close(self) -> None:
        """Nobody takes frames any more: what was not played has failed. Idempotent."""
        while self._queue:
            self._end(self._queue[0], "failed")
        self._tail = self._fading = None
        self._sounding = False

    def next_frame(self) -> Samples | None:
        """The sound of the next 20 ms, shape (`FRAME`,). None: silence."""
        if (tail := self._take_tail()) is not None:
            return tail
        while self._queue:
            utterance = self._queue[0]
            if utterance.held:
                break
            if utterance.closed and not utterance.available:
                self._end(utterance, "ended")
            elif utterance.ready:
                return self._take(utterance)
            elif (tail := self._starve(utterance)) is not None:
                return tail
            elif utterance in self._queue:
                return None
        self.wanted.clear()
        return None

    def _take_tail(self) -> Samples | None:
        tail, self._tail, self._fading = self._tail, None, None
        return None if tail is None else _padded(tail)

    def _take(self, utterance: _WaitingUtterance) -> Samples:
        samples = utterance.take(FRAME)
        utterance.dry = False
        utterance.starved = 0
        self._sounding = True
        if utterance.rises:
            samples = _faded(samples, _RISE)
            utterance.rises = False
        if utterance.closed and not utterance.available:
            self._end(utterance, "ended")
        elif utterance.frames % REPORT_FRAMES == 0:
            self._report(utterance, "playing")
        utterance.frames += 1
        return _padded(samples)

    def _starve(self, utterance: _WaitingUtterance) -> Samples | None:
        """Its sound has not come. Fades out what is left, without playing it; that comes again when there is more."""
        utterance.starved += 1
        if utterance.starved > STARVED_FRAMES:
            self._end(utterance, "failed")
        elif self._sounding:
            utterance.dry = True
            self.underruns += 1
            self._fade_out(utterance)
            return self._take_tail()
        return None

    def _fade_out(self, utterance: _WaitingUtterance) -> None:
        if not self._sounding or utterance is not self._queue[0]:
            return
        self._sounding = False
        utterance.rises = True
        tail = utterance.peek(FADE)
        if len(tail):
            self._tail, self._fading = _faded(tail, np.linspace(1.0, 0.0, len(tail), dtype=np.float32)), utterance
            self.wanted.set()

    def _utterance(self, epoch: int) -> _WaitingUtterance | None:
        """The one with this epoch; a new one where the epoch is. None: it is over, or old."""
        if epoch <= self._newest:
            return self._find(epoch)
        self._newest = epoch
        utterance = _WaitingUtterance(epoch)
        self._queue.append(utterance)
        if len(self._queue) > MAX_UTTERANCES:
            self._end(utterance, "failed")
            return None
        return utterance

    def _find(self, epoch: int) -> _WaitingUtterance | None:
        return next((utterance for utterance in self._queue if utterance.epoch == epoch), None)

    def _end(self, utterance: _WaitingUtterance, status: PlayoutStatus) -> None:
        if utterance is self._queue[0]:
            self._sounding = False
        self._queue.remove(utterance)
        self._report(utterance, status)

    def _report(self, utterance: _WaitingUtterance, status: PlayoutStatus) -> None:
        self._listener.played(PlayoutReport(utterance.epoch, utterance.played / PLAYOUT_RATE, status))


class _WaitingUtterance:
    """The sound of one epoch that has not been played yet."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.closed = False
        self.held = False
        self.dry = False
        """it ran dry in the middle"""
        self.rises = False
        """the next sound fades in"""
        self.available = 0
        self.played = 0
        self.frames = 0
        self.starved = 0
        self._chunks: deque[Samples] = deque()

    @property
    def ready(self) -> bool:
        return self.available >= (REFILL if self.dry else FRAME) or (self.closed and self.available > 0)

    def append(self, samples: Samples) -> None:
        if len(samples):
            self._chunks.append(samples)
            self.available += len(samples)

    def peek(self, count: int) -> Samples:
        """The next samples, at most `count`."""
        parts, missing = [], count
        for chunk in self._chunks:
            parts.append(chunk[:missing])
            missing -= len(parts[-1])
            if not missing:
                break
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def take(self, count: int) -> Samples:
        taken = self.peek(count)
        self.played += len(taken)
        self.available -= len(taken)
        missing = len(taken)
        while missing:
            chunk = self._chunks.popleft()
            if len(chunk) > missing:
                self._chunks.appendleft(chunk[missing:])
            missing -= min(len(chunk), missing)
        return taken


def _faded(samples: Samples, ramp: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Samples:
    """The first samples times the ramp."""
    count = min(len(samples), len(ramp))
    faded = samples.copy()
    faded[:count] = (samples[:count] * ramp[:count]).astype(np.int16)
    return faded


def _padded(samples: Samples) -> Samples:
    return samples if len(samples) == FRAME else np.pad(samples, (0, FRAME - len(samples)))
