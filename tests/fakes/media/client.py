"""The client of a source that a test plays by hand: what it was shown and told, and what it says."""

from __future__ import annotations

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import TextListener
from joyvl_server.kit.audio.pcm import Pcm


class FakeClient:
    """`pictures` and `sounds`: what was pushed; `sent`: texts to its data channel; `error`: what each call raises."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.sounds: list[Pcm] = []
        self.sent: list[str] = []
        self.error: SourceError | None = None
        self.listener: TextListener | None = None

    def listen(self, listener: TextListener | None) -> None:
        self.listener = listener

    def says(self, text: str | None) -> None:
        """Over its data channel; None: that is there."""
        assert self.listener is not None
        self.listener(text)

    async def send(self, text: str) -> None:
        self._fail()
        self.sent.append(text)

    async def show(self, data: bytes) -> None:
        self._fail()
        self.pictures.append(data)

    async def say(self, audio: Pcm) -> None:
        self._fail()
        self.sounds.append(audio)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
