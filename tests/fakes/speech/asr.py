"""An `Asr` that understands what a test says, when the test says so, and sound that can be told apart."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.base import Heard, SpeechState

RATE = 16_000


def voice(seconds: float) -> Pcm:
    """As loud as speech."""
    count = int(seconds * RATE)
    return Pcm((np.sin(np.arange(count) * 0.2) * 9000).astype(np.int16), RATE)


def pause(seconds: float) -> Pcm:
    return Pcm(np.zeros(int(seconds * RATE), np.int16), RATE)


@dataclass(eq=False)
class HeardCall:
    audio: Pcm
    language: str | None
    partial: bool
    answer: asyncio.Future[Heard] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    cancelled: bool = False

    def say(self, text: str, language: str | None = "en") -> None:
        self.answer.set_result(Heard(text, language))


class ToldAsr:
    """Each call waits in `calls` until the test answers it; with `text` it is answered at once."""

    name = "told"

    def __init__(self, text: str | None = None, *, partials: bool = True) -> None:
        self.calls: list[HeardCall] = []
        self.text = text
        self.partials = partials
        self.state = SpeechState("ready")
        self.closed = False

    @property
    def open(self) -> list[HeardCall]:
        return [call for call in self.calls if not call.answer.done() and not call.cancelled]

    async def start(self) -> None: ...

    async def hear(self, audio: Pcm, *, language: str | None, partial: bool = False) -> Heard:
        call = HeardCall(audio, language, partial)
        self.calls.append(call)
        if self.text is not None:
            call.say(self.text)
        try:
            return await call.answer
        except asyncio.CancelledError:
            call.cancelled = True
            raise

    async def aclose(self) -> None:
        self.closed = True
