"""The sound that a client sends over its WebSocket: into its source, or kept until it commits."""

from __future__ import annotations

import binascii
from typing import Protocol

import numpy as np

from joyvl_server.api.realtime.client_error import ClientError
from joyvl_server.api.schemas.realtime import RATE
from joyvl_server.ingest.audio.base import LISTEN_RATE, SpeechAudio, SpeechBegan, SpeechEnded, SpeechLasts
from joyvl_server.ingest.base import SourceClient
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import resample
from joyvl_server.kit.ids import new_id

MAX_KEPT_S = 30.0
"""what is understood at once"""
MIN_KEPT_S = 0.1
Heard = SpeechBegan | SpeechAudio | SpeechLasts | SpeechEnded


class SpeechTaker(Protocol):
    """The session's ears."""

    def take(self, event: Heard, /) -> None: ...


def pcm_of(text: str, param: str) -> Pcm:
    """Raises `ClientError` where it is no sound."""
    try:
        audio = Pcm.from_base64(text, RATE)
    except (binascii.Error, ValueError):
        raise ClientError(f"{param}: This is no base64 of 16 bit samples.", param=param) from None
    if not len(audio.samples):
        raise ClientError(f"{param}: There is no sound in it.", param=param)
    return audio


class InputAudio:
    """`manual`: nothing finds out when somebody speaks; the client says so."""

    def __init__(self, client: SourceClient, ears: SpeechTaker) -> None:
        self.manual = False
        self._client = client
        self._ears = ears
        self._kept: list[Pcm] = []

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self._kept)

    async def append(self, audio: Pcm) -> None:
        """Raises `SourceError`, and `ClientError` where too much is kept. Waits while the worker is behind.

        Cancelled, the sound may have gone to the worker.
        """
        if not self.manual:
            await self._client.say(audio)
            return
        if self.seconds + audio.seconds > MAX_KEPT_S:
            sentence = f"The buffer holds {MAX_KEPT_S:g} s at most: commit or clear it."
            raise ClientError(sentence, "input_audio_buffer_full")
        self._kept.append(audio)

    def clear(self) -> None:
        self._kept.clear()

    def commit(self, now: float) -> str:
        """What was kept is one sentence that ends now (stream seconds). Returns its id. Raises `ClientError`."""
        if not self.manual:
            sentence = "With turn detection, speech is committed by itself; set turn_detection to null to commit."
            raise ClientError(sentence, "input_audio_buffer_commit_refused")
        if self.seconds < MIN_KEPT_S:
            sentence = f"The buffer holds {self.seconds * 1000:.0f} ms of sound; {MIN_KEPT_S * 1000:.0f} are needed."
            raise ClientError(sentence, "input_audio_buffer_commit_empty")
        kept, self._kept = self._kept, []
        return self.speak(Pcm(np.concatenate([piece.samples for piece in kept]), RATE), now)

    def speak(self, audio: Pcm, now: float) -> str:
        """A whole sentence that somebody said just now. Returns its id."""
        item_id, began = new_id("item"), max(0.0, now - audio.seconds)
        heard = (
            SpeechBegan(item_id, began),
            SpeechLasts(item_id, now),
            SpeechAudio(item_id, resample(audio, LISTEN_RATE)),
            SpeechEnded(item_id, now, audio.seconds),
        )
        for event in heard:
            self._ears.take(event)
        return item_id
