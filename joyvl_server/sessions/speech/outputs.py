"""Where the sound of a session goes: to the call, to listeners of its updates, or nowhere: the client speaks itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

import numpy as np

from joyvl_server.ingest.audio.base import PlayoutReport, PlayoutStatus, SourceAudio
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.speech.broadcast import AudioBroadcast, AudioPiece

FULL_S = 0.05
"""how often a full buffer is looked at again"""
PIECE_S = 0.1
AHEAD_S = 0.3
"""listeners of updates get sound so long before it is due"""


class PlayedListener(Protocol):
    def report(self, report: PlayoutReport) -> None: ...


class Output(Protocol):
    """Plays one utterance after the other. What was played comes as `PlayoutReport`s, the last one of each says how it
    ended."""

    def begin(self, epoch: int) -> None:
        """This one follows."""

    async def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        """Append it; waits where the buffer is full. Cancelled, what was appended before still plays."""

    def hold(self, epoch: int) -> None: ...

    def resume(self, epoch: int) -> None: ...

    def cut(self, epoch: int) -> None: ...


class CallOutput:
    """The track of a call. Listeners of the updates get the same.

    A more urgent utterance may have been played before an older one, and a track takes only sound that is newer than
    all before: it gets a number for each.
    """

    def __init__(self, audio: SourceAudio, broadcast: AudioBroadcast, clock: Clock) -> None:
        self._audio = audio
        self._broadcast = broadcast
        self._clock = clock
        self._number = 0
        self._epoch = 0

    def begin(self, epoch: int) -> None:
        self._number += 1
        self._epoch = epoch

    def named(self, report: PlayoutReport) -> PlayoutReport:
        """What the track reports, with the epoch; -1 for one that is over."""
        return replace(report, epoch=self._epoch if report.epoch == self._number else -1)

    async def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        """See `Output.play`."""
        number = self._number
        while self._audio.plays and self._audio.free_s < audio.seconds:
            await self._clock.sleep(FULL_S)
        self._audio.play(number, audio, last=last)
        if self._broadcast.listeners and len(audio.samples):
            self._broadcast.send(AudioPiece(epoch, audio))

    def hold(self, epoch: int) -> None:
        self._audio.hold(self._number)

    def resume(self, epoch: int) -> None:
        self._audio.resume(self._number)

    def cut(self, epoch: int) -> None:
        self._audio.cut(self._number)
        self._broadcast.send(AudioPiece(epoch, None))


class StreamOutput:
    """Listeners of the updates alone. Nobody tells how far they are: it counts as played when it was due."""

    def __init__(self, broadcast: AudioBroadcast, clock: Clock, listener: PlayedListener) -> None:
        self._broadcast = broadcast
        self._clock = clock
        self._listener = listener
        self._epoch = 0
        self._played_s = 0.0
        self._due = 0.0
        self._free = asyncio.Event()
        self._free.set()

    def begin(self, epoch: int) -> None:
        self._epoch, self._played_s, self._due = epoch, 0.0, self._clock.monotonic()
        self._free.set()

    async def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        """See `Output.play`."""
        step = max(1, round(PIECE_S * audio.rate))
        for start in range(0, len(audio.samples), step):
            await self._free.wait()
            self._due = max(self._due, self._clock.monotonic())
            await self._clock.sleep(self._due - self._clock.monotonic() - AHEAD_S)
            piece = Pcm(audio.samples[start : start + step], audio.rate)
            self._broadcast.send(AudioPiece(epoch, piece))
            self._due += piece.seconds
            self._played_s += piece.seconds
            self._tell("playing")
        if last:
            await self._clock.sleep(self._due - self._clock.monotonic())
            self._tell("ended")

    def hold(self, epoch: int) -> None:
        self._free.clear()
        self._tell("held")

    def resume(self, epoch: int) -> None:
        self._due = self._clock.monotonic()
        self._free.set()

    def cut(self, epoch: int) -> None:
        self._broadcast.send(AudioPiece(epoch, None))
        self._tell("cut")
        self._free.set()

    def _tell(self, status: PlayoutStatus) -> None:
        self._listener.report(PlayoutReport(self._epoch, self._played_s, status))


NOTHING = Pcm(np.zeros(0, np.int16), 24_000)
"""ends an utterance whose sound has all been sent"""
