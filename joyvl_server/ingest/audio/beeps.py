"""Finds beeps: pure tones in the bands of alarm sounders, when each began and how long it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from joyvl_server.ingest.audio.base import LISTEN_RATE

WINDOW, HOP = 512, 256
"""Samples: 32 ms and 16 ms at 16 kHz, so that a gap of 0.1 s is seen."""
HOP_S = HOP / LISTEN_RATE
BIN_HZ = LISTEN_RATE / WINDOW
PROMINENCE = 50.0
"""Power of a tone over what is usual around it: noise reaches a tenth of that."""
FAINTEST_DB = -65.0
FADED_DB = 8.0
"""So much below its loudest a beep has ended: the rest is its echo."""
ECHO_S = 8.0
"""So long after a beep a much softer tone like it is no beep of its own."""
SHORTEST_S = 0.05
BRIDGED_HOPS = 1
"""A beep goes on over such a hole."""


@dataclass(frozen=True, slots=True)
class Band:
    """Hz: where the tone may be, and what it is compared with."""

    low: float
    high: float
    around_low: float
    around_high: float


PIEZO = Band(2650.0, 3900.0, 1800.0, 5200.0)
"""Most smoke and CO alarms: 3 kHz or somewhat more."""
LOW_TONE = Band(440.0, 620.0, 150.0, 1400.0)
"""520 Hz, for sleepers and for who hears high tones badly."""


@dataclass(frozen=True, slots=True)
class Beep:
    """`t` in stream seconds, `bin` its frequency in steps of `BIN_HZ`, `level_db` at its loudest in dBFS."""

    t: float
    seconds: float
    bin: int
    level_db: float


def power_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape (hops, WINDOW // 2 + 1), of full-scale 1.0 samples; a sine of full scale has 0.25 in its three bins."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * _HANN
    return (np.abs(np.fft.rfft(windows, axis=1)) ** 2).astype(np.float32)


_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_HANN = (_HANN / np.sqrt((_HANN**2).sum() * WINDOW / 2)).astype(np.float32)


class BeepFinder:
    """Follows the strongest tone of one band, hop by hop."""

    def __init__(self, band: Band) -> None:
        self._first = round(band.low / BIN_HZ)
        self._top = round(band.high / BIN_HZ)
        self._around = slice(round(band.around_low / BIN_HZ), round(band.around_high / BIN_HZ) + 1)
        self._began: float | None = None
        self._until = 0.0
        self._bin = 0
        self._loudest = FAINTEST_DB
        self._missed = 0
        self._last: Beep | None = None

    def feed(self, power: NDArray[np.float32], t: float) -> Iterator[Beep]:
        """The next hops; `t` of the first one's middle. Yields each beep when it has ended."""
        bins = self._first + power[:, self._first : self._top + 1].argmax(axis=1)
        rows = np.arange(len(power))
        tone = power[rows, bins - 1] + power[rows, bins] + power[rows, bins + 1]
        usual = np.median(power[:, self._around], axis=1)
        levels = 10 * np.log10(tone + 1e-12) + 3.0
        clear = (tone > PROMINENCE * usual) & (levels > FAINTEST_DB)
        if self._began is None and not clear.any():
            return
        for row in range(len(power)):
            beep = self._step(t + row * HOP_S, bool(clear[row]), int(bins[row]), float(levels[row]))
            if beep is not None:
                yield beep

    def _step(self, t: float, clear: bool, bin_: int, level: float) -> Beep | None:
        if self._began is None:
            if clear and not self._is_echo(t, bin_, level):
                self._begin(t, bin_, level)
            return None
        if clear and abs(bin_ - self._bin) <= 1 and level > self._loudest - FADED_DB:
            if level > self._loudest:
                self._loudest, self._bin = level, bin_
            self._until = t
            self._missed = 0
            return None
        self._missed += 1
        if self._missed <= BRIDGED_HOPS and not (clear and abs(bin_ - self._bin) > 1):
            return None
        beep = self.end()
        if clear and beep is not None and abs(bin_ - beep.bin) > 1 and not self._is_echo(t, bin_, level):
            self._begin(t, bin_, level)
        return beep

    def _begin(self, t: float, bin_: int, level: float) -> None:
        self._began = self._until = t
        self._bin, self._loudest, self._missed = bin_, level, 0

    def end(self) -> Beep | None:
        """It has ended, with the sound perhaps. None: it was too short to be one."""
        began, self._began = self._began, None
        if began is None or self._until - began + HOP_S < SHORTEST_S:
            return None
        self._last = Beep(began, self._until - began + HOP_S, self._bin, self._loudest)
        return self._last

    def _is_echo(self, t: float, bin_: int, level: float) -> bool:
        last = self._last
        return (
            last is not None
            and abs(bin_ - last.bin) <= 2
            and level < last.level_db - FADED_DB
            and t - last.t - last.seconds < ECHO_S
        )
