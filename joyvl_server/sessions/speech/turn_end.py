"""Where a detector can tell from the voice whether somebody has finished, that decides when a speech ends."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from joyvl_server.ingest.audio.base import (
    AudioEvent,
    AudioListener,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.sinks.base import Machine
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.end_of_turn import SEEN_S, TurnDetector, TurnWait

_OfSpeech = SpeechBegan | SpeechAudio | SpeechLasts | SpeechPauses | SpeechContinues | SpeechEnded


@dataclass(slots=True)
class _Turn:
    """One speech as the source tells it, which may be several to those who listen here."""

    source_id: str
    id: str
    onset: float
    parts: int = 1
    ended: bool = False
    """we have said so; to the source it may go on"""
    sound: deque[Pcm] = field(default_factory=deque)
    late: list[Pcm] = field(default_factory=list)
    """what came after we said so"""
    deciding: asyncio.Task[None] | None = None


class EndOfTurn:
    """Hands the events of one source on. The source has to wait for `wait.most_s`; here a speech ends after the time
    that the voice asks for, and what is said afterwards is another speech."""

    def __init__(self, detector: TurnDetector, listener: AudioListener, machine: Machine, clock: Clock) -> None:
        self.wait = TurnWait()
        self._detector = detector
        self._listener = listener
        self._machine = machine
        self._clock = clock
        self._turn: _Turn | None = None

    def take(self, event: AudioEvent) -> None:
        """Never waits."""
        if isinstance(event, SpeechBegan):
            self.close()
            self._turn = _Turn(event.id, event.id, event.t)
        turn = self._turn
        if turn is None or not isinstance(event, _OfSpeech) or event.id != turn.source_id:
            self._listener(event)
            return
        if isinstance(event, SpeechAudio):
            self._keep(turn, event.audio)
        elif isinstance(event, SpeechContinues):
            self._continue(turn, event.t)
        elif isinstance(event, SpeechEnded):
            self.close()
        if turn.ended:
            return
        if isinstance(event, SpeechPauses):
            turn.deciding = asyncio.create_task(self._decide(turn, event.t), name=f"end of {turn.id}")
        if isinstance(event, SpeechEnded):
            event = replace(event, seconds=max(0.0, event.t - turn.onset))
        self._listener(replace(event, id=turn.id))

    def close(self) -> None:
        """Decide no more."""
        if self._turn is not None and self._turn.deciding is not None:
            self._turn.deciding.cancel()
        self._turn = None

    def _keep(self, turn: _Turn, audio: Pcm) -> None:
        turn.sound.append(audio)
        while sum(piece.seconds for piece in turn.sound) - turn.sound[0].seconds >= SEEN_S:
            turn.sound.popleft()
        if turn.ended:
            turn.late.append(audio)

    def _continue(self, turn: _Turn, t: float) -> None:
        if turn.deciding is not None:
            turn.deciding.cancel()
        if not turn.ended:
            return
        turn.parts += 1
        turn.id, turn.onset = f"{turn.source_id}.{turn.parts}", t
        self._listener(SpeechBegan(turn.id, t))
        for audio in turn.late:
            self._listener(SpeechAudio(turn.id, audio))
        turn.ended, turn.late = False, []

    async def _decide(self, turn: _Turn, t: float) -> None:
        """It has been silent since `t`. Cancelled, nothing is decided."""
        wait_s = self.wait.seconds(await self._finished(turn, t + self.wait.usual_s))
        await self._clock.sleep(max(0.0, t + wait_s - self._machine.now))
        turn.ended = True
        self._listener(SpeechEnded(turn.id, t, max(0.0, t - turn.onset)))

    async def _finished(self, turn: _Turn, until: float) -> float | None:
        """None: it was not found out before the stream time `until`."""
        sound = Pcm(np.concatenate([piece.samples for piece in turn.sound]), turn.sound[0].rate)
        asking = asyncio.create_task(self._detector.finished(sound), name="turn")
        limit = self._clock.monotonic() + max(0.0, until - self._machine.now)
        try:
            return await asking if await wait_until(self._clock, asking, limit) else None
        except SpeechError:
            return None  # where the engine is gone, the sentence itself tells of it
        finally:
            asking.cancel()
