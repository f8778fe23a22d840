"""The sound of one speech as it comes in: where somebody last spoke in it, and where it can be cut."""

from __future__ import annotations

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm, Samples

BLOCK_S = 0.02
QUIET = 0.06
"""of the loudest of the speech so far: what is softer is a pause"""
SILENT = 0.003
"""of full scale: softer than any speech"""


class SoundBuffer:
    """Keeps what was not taken yet. Positions are samples from the beginning of what is kept."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._loudest = 0.0
        self._block = int(rate * BLOCK_S)
        self._clear()

    def _clear(self) -> None:
        self._pieces: list[Samples] = []
        self._length = 0
        self._levels: list[float] = []
        """of each whole block"""
        self._rest: Samples = np.zeros(0, np.int16)

    @property
    def seconds(self) -> float:
        return self._length / self.rate

    @property
    def length(self) -> int:
        return self._length

    def add(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._length += len(samples)
        self._measure(samples)

    def voiced_until(self) -> int:
        """Where the last sound ends that is no pause. 0: there was none."""
        limit = max(SILENT, QUIET * self._loudest)
        for index in range(len(self._levels) - 1, -1, -1):
            if self._levels[index] > limit:
                return (index + 1) * self._block
        return 0

    def pause_s(self) -> float:
        """For how long it has been quiet at the end."""
        return (self._length - self.voiced_until()) / self.rate

    def sound(self) -> Pcm:
        """All that is kept."""
        if len(self._pieces) != 1:
            self._pieces = [np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)]
        return Pcm(self._pieces[0], self.rate)

    def take_part(self, least_s: float) -> Pcm:
        """Cut it where it is quietest, `least_s` or more from the beginning, and take what stands before that."""
        first = int(least_s / BLOCK_S)
        smooth = np.convolve(self._levels, np.ones(5) / 5, "same")[first:]
        cut = (first + int(smooth.argmin())) * self._block if len(smooth) else self._length
        whole = self.sound().samples
        self._clear()
        self.add(whole[cut:])
        return Pcm(whole[:cut], self.rate)

    def _measure(self, samples: Samples) -> None:
        fresh = np.concatenate([self._rest, samples])
        whole = len(fresh) // self._block * self._block
        blocks = fresh[:whole].astype(np.float32).reshape(-1, self._block) / 32768
        self._rest = fresh[whole:]
        levels = [float(level) for level in np.sqrt((blocks**2).mean(axis=1))]
        self._levels += levels
        self._loudest = max([self._loudest, *levels])
