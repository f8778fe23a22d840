"""Sound for clients without a call: to everybody who listens now, never again later."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from joyvl_server.kit.audio.pcm import Pcm

MAX_WAITING_S = 5.0
"""sound that may wait for one listener; of a slower one the oldest is dropped"""


@dataclass(frozen=True, slots=True)
class AudioPiece:
    """`pcm` None: what was sent of this epoch and has not been played is not to be played any more."""

    epoch: int
    pcm: Pcm | None

    def to_update(self) -> dict[str, Any]:
        """As it is sent, without id and number: nobody can ask for it again."""
        if self.pcm is None:
            return {"type": "output_audio_buffer.cleared", "epoch": self.epoch}
        return {
            "type": "response.output_audio.delta",
            "epoch": self.epoch,
            "rate": self.pcm.rate,
            "delta": self.pcm.to_base64(),
        }


class AudioBroadcast:
    """`send` never waits."""

    def __init__(self) -> None:
        self._listeners: set[AudioListening] = set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def listen(self) -> AudioListening:
        """From now on, until it is closed."""
        listening = AudioListening(self)
        self._listeners.add(listening)
        return listening

    def send(self, piece: AudioPiece) -> None:
        for listening in self._listeners:
            listening.put(piece)

    def leave(self, listening: AudioListening) -> None:
        self._listeners.discard(listening)


class AudioListening:
    """What one listener has still to get. An async iterator without an end; `close` it."""

    def __init__(self, broadcast: AudioBroadcast) -> None:
        self._broadcast = broadcast
        self._waiting: deque[AudioPiece] = deque()
        self._seconds = 0.0
        self._came = asyncio.Event()

    def put(self, piece: AudioPiece) -> None:
        """Take one more in; a clearing throws away what waits of its epoch."""
        if piece.pcm is None:
            self._waiting = deque(kept for kept in self._waiting if kept.epoch != piece.epoch)
            self._seconds = sum(_seconds(kept) for kept in self._waiting)
        self._waiting.append(piece)
        self._seconds += _seconds(piece)
        while self._seconds > MAX_WAITING_S and len(self._waiting) > 1:
            self._seconds -= _seconds(self._waiting.popleft())
        self._came.set()

    def waiting(self) -> list[AudioPiece]:
        """All that it has still to get, at once."""
        found = list(self._waiting)
        self._waiting.clear()
        self._seconds = 0.0
        return found

    def close(self) -> None:
        """Idempotent."""
        self._broadcast.leave(self)

    def __aiter__(self) -> AudioListening:
        return self

    async def __anext__(self) -> AudioPiece:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        piece = self._waiting.popleft()
        self._seconds -= _seconds(piece)
        return piece


def _seconds(piece: AudioPiece) -> float:
    return 0.0 if piece.pcm is None else piece.pcm.seconds
