"""A caller's microphone: silence, and what tests say into it, of any rate and layout."""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from av.audio.frame import AudioFrame

from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample

RATE = 48_000
STEP = RATE // 50


class FedMicrophone(MediaStreamTrack):
    """20 ms at a time, at the pace of the clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Samples] = deque()
        self._start: float | None = None
        self._sent = 0

    def say(self, samples: Samples, rate: int = 16_000) -> None:
        """As soon as what was said before is over. Returns at once."""
        sound = resample(Pcm(samples, rate), RATE).samples
        for start in range(0, len(sound), STEP):
            piece = sound[start : start + STEP]
            self._waiting.append(np.pad(piece, (0, STEP - len(piece))))

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._start = self._start or loop.time()
        self._sent += 1
        await asyncio.sleep(max(0.0, self._start + self._sent * 0.02 - loop.time()))
        piece = self._waiting.popleft() if self._waiting else np.zeros(STEP, np.int16)
        frame = AudioFrame.from_ndarray(piece.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent * STEP, Fraction(1, RATE)
        return frame
