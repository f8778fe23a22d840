"""The one resampler: whatever comes becomes mono 16 bit at one rate."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from joyvl_server.kit.audio.pcm import Pcm, Samples

_NOTHING: Samples = np.zeros(0, np.int16)
# What libav raises for formats, layouts and rates that it does not know or cannot connect.
_ERRORS = (av.FFmpegError, ValueError, KeyError, IndexError, TypeError, NotImplementedError, OverflowError, MemoryError)


class Resampler:
    """Takes the frames of one stream, one after another; rate, layout and sample format may change at any of them.

    It raises nothing: what libav cannot convert is mixed down by hand, what is no sound at all becomes silence of the
    same length, and `failures` counts it. Not for two threads at once.
    """

    def __init__(self, rate: int) -> None:
        self.failures = 0
        self._rate = rate
        self._inner: AudioResampler | None = None
        self._input: tuple[object, ...] | None = None

    def feed(self, frame: AudioFrame) -> Samples:
        """Shape (n,) at our rate. A few samples of each frame come only with the next one, or with `flush`."""
        try:
            return self._convert(_without_nan(frame))
        except _ERRORS:
            self._forget()
        try:
            return self._convert(_mixed_down(frame))
        except _ERRORS:
            self._forget()
            self.failures += 1
            return np.zeros(_length(frame, self._rate), np.int16)

    def feed_pcm(self, audio: Pcm) -> Samples:
        """The same for sound that is mono 16 bit already."""
        if not len(audio.samples) or audio.rate <= 0:
            return _NOTHING
        return self.feed(_frame_of(audio.samples, audio.rate))

    def flush(self) -> Samples:
        """What is still inside. The next frame begins a new stream."""
        inner = self._inner
        self._forget()
        if inner is None:
            return _NOTHING
        try:
            return _joined(inner.resample(None))
        except _ERRORS:
            return _NOTHING

    def _convert(self, frame: AudioFrame) -> Samples:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest = _NOTHING
        if self._inner is None or shape != self._input:
            rest = self.flush()
            self._inner = AudioResampler(format="s16", layout="mono", rate=self._rate)
            self._input = shape
        frame.pts = None  # a jump of its time must neither drop nor invent samples
        return np.concatenate([rest, _joined(self._inner.resample(frame))])

    def _forget(self) -> None:
        self._inner = self._input = None


def resample(audio: Pcm, rate: int) -> Pcm:
    """A whole piece of sound at another rate."""
    if audio.rate == rate:
        return audio
    resampler = Resampler(rate)
    return Pcm(np.concatenate([resampler.feed_pcm(audio), resampler.flush()]), rate)


_SCALES = {
    "uint8": (128.0, 1.0), "int16": (32768.0, 0.0), "int32": (2.0**31, 0.0), "float32": (1.0, 0.0),
    "float64": (1.0, 0.0),
}  # fmt: skip
"""Full scale of each kind of sample, and where its zero is."""


def _frame_of(samples: Samples, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.int16).reshape(1, -1), "s16", "mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    return frame


def _joined(frames: list[AudioFrame]) -> Samples:
    if not frames:
        return _NOTHING
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _without_nan(frame: AudioFrame) -> AudioFrame:
    """A broken decoder's "not a number" would become full-scale noise."""
    if not frame.format.name.startswith(("flt", "dbl")):
        return frame
    values = frame.to_ndarray()
    if np.isfinite(values).all():
        return frame
    finite: Any = np.nan_to_num(values, copy=True, nan=0.0, posinf=1.0, neginf=-1.0)
    clean = AudioFrame.from_ndarray(finite, frame.format.name, frame.layout.name)
    clean.sample_rate = frame.sample_rate
    return clean


def _mixed_down(frame: AudioFrame) -> AudioFrame:
    """The mean of all channels, for layouts that libav cannot mix."""
    given = frame.to_ndarray()
    scale, zero = _SCALES[given.dtype.name]
    channels = max(1, frame.layout.nb_channels)
    values = given.astype(np.float64)
    values = values if frame.format.is_planar else values.reshape(-1, channels).T
    mixed = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=-1.0).mean(axis=0) / scale - zero
    samples = (np.clip(mixed, -1, 1) * 32767).astype(np.int16)
    return _frame_of(samples, frame.sample_rate)


def _length(frame: AudioFrame, rate: int) -> int:
    """How many samples its time is at our rate; nothing sensible is longer than some seconds."""
    if not frame.sample_rate > 0:
        return 0
    return min(10 * rate, round(frame.samples * rate / frame.sample_rate))
