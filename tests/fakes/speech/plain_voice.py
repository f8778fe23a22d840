"""A voice that needs no voice: so much silence for each character."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm

CHARACTER_S = 0.05


class PlainVoice:
    """A `VoiceOut`. `spoken`: what it was given."""

    def __init__(self, rate: int = 24_000) -> None:
        self.spoken: list[str] = []
        self._rate = rate

    def fault(self, wanted: str | None) -> str:
        return ""

    def remote(self, wanted: str | None) -> bool:
        return False

    async def speak(self, sentence: str, *, wanted: str | None) -> AsyncGenerator[Pcm, None]:
        self.spoken.append(sentence)
        samples = np.full(round(len(sentence) * CHARACTER_S * self._rate), 1000, np.int16)
        yield Pcm(samples, self._rate)

    async def start(self) -> None:
        """It is ready."""

    async def aclose(self) -> None:
        """There is nothing to give back."""
