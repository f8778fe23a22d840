"""What was recorded in a page: the microphone as it sends it, and the sound of the server, with the wall clock."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from joyvl_server.core.errors import JoyvlError

RATE = 48_000
SCRIPT = Path(__file__).with_name("recorder.js").read_text()
"""runs in the page before all else; the context needs `bypass_csp`"""
SETTLED_S = 1.0

Samples = NDArray[np.int16]


class Recording:
    """`sent`, `received`: int16, shape (n,), 48 kHz, sample for sample of the same moments.

    A moment is when the page's audio thread had the sample. Both tracks wait there alike for 10 to 20 ms, so a
    difference between them is free of that; the microphone's samples went to the encoder that much earlier.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[Samples, Samples]] = []
        self._starts: list[int] = []
        self._began: list[float] = []
        """Unix seconds of frame 0, as each piece tells"""
        self._next: int | None = None
        self._first = 0
        self.lost_s = 0.0

    def add(self, pieces: list[list[Any]]) -> None:
        """What `takeRecorded` returned. What the page had no time for is silence, and counts as `lost_s`."""
        for frame, began_ms, sent, received in pieces:
            if self._next is None:
                self._first = frame
            elif (missing := frame - self._next) > 0:
                self.lost_s += missing / RATE
                silence = np.zeros(missing, np.int16)
                self._pieces.append((silence, silence))
            samples = (_pcm(sent), _pcm(received))
            self._next = frame + len(samples[0])
            self._pieces.append(samples)
            self._starts.append(frame)
            self._began.append(began_ms / 1000)

    @property
    def seconds(self) -> float:
        return sum(len(sent) for sent, _ in self._pieces) / RATE

    @property
    def sent(self) -> Samples:
        return self._joined(0)

    @property
    def received(self) -> Samples:
        return self._joined(1)

    def wall(self, sample: float) -> float:
        """Unix seconds of the sample with this index."""
        frame = self._first + sample
        return self._offset(frame) + frame / RATE

    def index(self, wall: float) -> int:
        """The sample at that moment; before the first one it is negative."""
        walls = [self._offset(start) + start / RATE for start in self._starts]
        piece = max(0, int(np.searchsorted(walls, wall, "right")) - 1)
        return round(self._starts[piece] - self._first + (wall - walls[piece]) * RATE)

    def _offset(self, frame: float) -> float:
        """The quickest piece within a second tells; a clock that stood still moves it for good."""
        if not self._starts:
            raise JoyvlError("Nothing was recorded in the page.")
        near = np.searchsorted(self._starts, [frame - SETTLED_S * RATE, frame + SETTLED_S * RATE])
        begin = min(int(near[0]), len(self._began) - 1)
        return min(self._began[begin : max(int(near[1]), begin + 1)])

    def _joined(self, which: int) -> Samples:
        return np.concatenate([piece[which] for piece in self._pieces] or [np.zeros(0, np.int16)])


def spans(samples: Samples, *, gap_s: float = 0.6, threshold: float = 0.02) -> list[tuple[float, float]]:
    """Where there is sound, in samples (begin, end): louder than `threshold` of the loudest, smoothed over 5 ms, with
    pauses of less than `gap_s` in it."""
    width = RATE // 200
    level = np.convolve(np.abs(samples.astype(np.float32)), np.ones(width, np.float32) / width, "same")
    loud = np.flatnonzero(level > max(threshold * float(level.max(initial=0.0)), 20.0))
    if not len(loud):
        return []
    cuts = np.flatnonzero(np.diff(loud) > gap_s * RATE)
    begins = [loud[0], *loud[cuts + 1]]
    ends = [*loud[cuts], loud[-1]]
    return [(float(begin), float(end)) for begin, end in zip(begins, ends, strict=True)]


def _pcm(text: str) -> Samples:
    return np.frombuffer(base64.b64decode(text), np.int16)
