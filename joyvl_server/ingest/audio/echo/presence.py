"""Does the microphone of a call hear what we play? Most do not: there are headphones, and browsers that
cancel the echo themselves.

An echo is the playout again, later by some fixed time: so the microphone is compared with the playout at each delay.
Both are made equally loud at all frequencies before (the generalised cross-correlation with phase transform), else any
two voices look alike. A person gives no delay, or another one each time.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from joyvl_server.ingest.audio.base import LISTEN_RATE
from joyvl_server.kit.audio.pcm import Samples

LONGEST_DELAY_S = 0.6
WINDOW_S = 0.25
HOP_S = 0.1
"""so often it is judged"""
CLEAR = 12.0
"""peak of the correlation, in standard deviations of it, from which it is an echo. Measured with a quarter of a second:
echoes over Opus 18 to 35, in a living room 10 to 19; other voices 4 to 9; the same voice with other words 5 to 12"""
ALONE = 15.0
"""… of one window, from which there is nothing but the echo in it"""
FADES = 0.85
"""the correlation of earlier windows counts so much: what stays in its place is added up, chance is not"""
NONE_AFTER_S = 0.4
"""of loud playout in which the microphone stays quiet: there is no echo"""
GONE_AFTER_S = 3.0
"""… there is none any more"""
FOLLOWS_S = 1.5
"""Microphone and playout loud together for so much longer than the playout alone: an echo, however unlike it is. A
person would have interrupted."""
PERSON_AFTER_S = 0.2
"""sound that is like no echo for so long is a person, as long as nothing is known of this call yet"""
LOUD, AUDIBLE = 100.0, 30.0
"""root of the mean square from which playout may come back, and from which the microphone has anything to say"""
ABOVE_NOISE, FAINT = 6.0, 2.0
"""in power, from which it sounds, and from which there may be something"""
NOISE_RISES = 1.03
LOW_HZ, HIGH_HZ = 200, 3800

_WINDOW, _LAGS = round(WINDOW_S * LISTEN_RATE), round(LONGEST_DELAY_S * LISTEN_RATE)
_HOP = round(HOP_S * LISTEN_RATE)
_SIZE = 1 << (_WINDOW + _LAGS - 1).bit_length()
_FREQUENCIES = np.fft.rfftfreq(_SIZE, 1 / LISTEN_RATE)
_BAND = (_FREQUENCIES > LOW_HZ) & (_FREQUENCIES < HIGH_HZ)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


class PlayedBefore(Protocol):
    def __call__(self, count: int, /) -> Samples:
        """The last `count` samples of the playout, up to the newest of the microphone."""


class EchoPresence:
    """`feed` it the microphone while something plays, and what plays. In one thread.

    `found`: None as long as nothing is known.
    """

    def __init__(self) -> None:
        self.found: bool | None = None
        self._near = np.zeros(_WINDOW, np.float32)
        self._since_hop = 0
        self._noise = AUDIBLE**2
        self._correlation: Floats = np.zeros(_LAGS + 1)
        self._alone = False
        self._quiet_s = self._together_s = self._person_s = 0.0

    @property
    def alone(self) -> bool:
        """Does the microphone hear the echo and nobody over it? A canceller lets some of it through where its delay
        jumps, as it does when a client's jitter buffer grows."""
        return self.found is True and self._alone

    @property
    def person(self) -> bool:
        """Is what the microphone hears to be listened to, though it may still turn out to be an echo?"""
        return self.found is False or (self.found is None and self._person_s >= PERSON_AFTER_S)

    def feed(self, near: Samples, played: PlayedBefore) -> None:
        """The next samples of the microphone, at `LISTEN_RATE`."""
        self._near = np.concatenate((self._near, near.astype(np.float32)))[-_WINDOW:]
        self._since_hop += len(near)
        if self._since_hop >= _HOP:
            self._since_hop = 0
            self._judge(played(_WINDOW + _LAGS).astype(np.float32))

    def audible(self, near: Samples) -> bool:
        """Is there more than the noise of the place?"""
        power = float(np.mean(near.astype(np.float32) ** 2))
        return power > max(AUDIBLE**2, ABOVE_NOISE * self._noise)

    def _judge(self, far: Floats) -> None:
        power = float(np.mean(self._near[-_HOP:] ** 2))
        sounds = power > max(AUDIBLE**2, ABOVE_NOISE * self._noise)
        self._noise = min(self._noise * NOISE_RISES, 0.7 * self._noise + 0.3 * power)
        loud = np.sqrt(np.mean(far[: len(far) // _HOP * _HOP].reshape(-1, _HOP) ** 2, axis=1)) > LOUD
        if not loud.any():
            self._person_s, self._alone = 0.0, False
            return
        # Quiet, as nearly always where there is no echo: nothing to compare, which would take 3 % of a core.
        compared = self.found is not False or power > FAINT * self._noise
        if compared:
            correlation = _correlation(self._near, far)
            self._alone = _peak(correlation) > ALONE
            self._correlation = FADES * self._correlation + correlation
        if compared and _peak(self._correlation) > CLEAR:
            self.found, self._quiet_s, self._person_s = True, 0.0, 0.0
        elif sounds:
            self._quiet_s = 0.0
            self._together_s += HOP_S
            self._person_s += HOP_S
            if self._together_s >= FOLLOWS_S:
                self.found = True
        elif loud.mean() > 0.5:
            self._person_s = 0.0
            self._quiet_s += HOP_S
            self._together_s = max(0.0, self._together_s - HOP_S / 2)
            if self._quiet_s >= (GONE_AFTER_S if self.found else NONE_AFTER_S):
                self.found = False


def _peak(correlation: Floats) -> float:
    """In standard deviations."""
    return float(np.abs(correlation).max()) / (float(np.std(correlation)) + 1e-12)


def _correlation(near: Floats, far: Floats) -> Floats:
    """Of the window of the microphone with the playout, for each delay; the last value is that for none."""
    near_white, far_white = _whitened(near), _whitened(far)
    products = np.fft.irfft(np.fft.rfft(far_white, _SIZE) * np.conj(np.fft.rfft(near_white, _SIZE)), _SIZE)
    energies = np.concatenate(([0.0], np.cumsum(far_white**2)))
    there = energies[_WINDOW : _WINDOW + _LAGS + 1] - energies[: _LAGS + 1]
    there = np.maximum(there, 0.02 * there.max() + 1e-9)
    scale = np.sqrt(there * float(np.sum(near_white**2)) + 1e-12)
    return np.asarray(products[: _LAGS + 1] / scale)


def _whitened(samples: Floats) -> Floats:
    spectrum = np.fft.rfft(samples, _SIZE) * _BAND
    strength = np.abs(spectrum)
    spectrum /= np.maximum(strength, 1e-3 * strength.max() + 1e-9)
    return np.fft.irfft(spectrum, _SIZE)[: len(samples)]
