"""The audio track of a call that says what its playout buffer holds."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.packet import Packet

from joyvl_server.ingest.audio.playout import FRAME, FRAME_S, PLAYOUT_RATE, PlayoutBuffer
from joyvl_server.kit.audio.pcm import Samples
from joyvl_server.kit.clock import Clock

LATE_S = 0.1
"""A frame that is later than this is not sent; its moment, and those after it up to now, are left out."""
SILENCE_S = 2.0
"""After so much silence nothing is sent at all, until there is something to play."""
OPUS_BITS = 40_000
"""a second; a voice needs no more"""
_TIME_BASE = Fraction(1, PLAYOUT_RATE)
_SILENCE = np.zeros(FRAME, np.int16)


class EchoReference(Protocol):
    """Wants to know what the other side hears."""

    def played(self, samples: Samples, moment: float, /) -> None:
        """`samples` at `PLAYOUT_RATE` leave for the other side at this monotonic moment."""


class VoiceTrack(MediaStreamTrack):
    """Gives a frame each 20 ms of the wall clock, as an Opus packet or, where the call has another format, as samples.

    A frame's pts is the number of 20 ms steps since the first one, times 960. While there is something to say each
    follows the one before; after a pause, or when the process stood still, steps are left out, as the sender of a
    telephone leaves out silence. So the other side's jitter buffer never grows by it, and nothing comes in a burst.
    """

    kind = "audio"

    def __init__(self, playout: PlayoutBuffer, echo: EchoReference, clock: Clock) -> None:
        super().__init__()
        self.opus = True
        """packets instead of samples; set before the first frame is taken"""
        self._playout = playout
        self._echo = echo
        self._clock = clock
        self._start: float | None = None
        self._step = -1
        """of the last frame, counted from the start"""
        self._silent = int(SILENCE_S / FRAME_S)
        self._encoder = _OpusEncoder()

    async def recv(self) -> AudioFrame | Packet[AudioStream]:
        """The next frame, when it is due. Raises `MediaStreamError` when the track was stopped.

        Cancelled, it takes no sound out of the buffer.
        """
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            await self._due()
            samples = self._playout.next_frame()
            if samples is not None or self._playout.awaits_sound:
                self._silent = 0
            elif self._silent * FRAME_S < SILENCE_S:
                self._silent += 1
            else:
                await self._playout.wanted.wait()
                self._leave_out_steps()
                continue
            return self._frame(samples)

    async def _due(self) -> None:
        if self._start is None:
            self._start = self._clock.monotonic()
        due = self._start + (self._step + 1) * FRAME_S
        if (pause := due - self._clock.monotonic()) > 0:
            await self._clock.sleep(pause)
        if self._clock.monotonic() - due > LATE_S:
            self._leave_out_steps()

    def _leave_out_steps(self) -> None:
        """The next frame is the one of this moment."""
        if self._start is not None:
            self._step = max(self._step, int((self._clock.monotonic() - self._start) / FRAME_S) - 1)

    def _frame(self, samples: Samples | None) -> AudioFrame | Packet[AudioStream]:
        assert self._start is not None
        self._step += 1
        if samples is not None:
            self._echo.played(samples, self._start + self._step * FRAME_S)
        frame = AudioFrame.from_ndarray((_SILENCE if samples is None else samples)[None], format="s16", layout="mono")
        frame.sample_rate = PLAYOUT_RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._step * FRAME
        return self._encoder.encode(frame) if self.opus else frame


class _OpusEncoder:
    """aiortc's own makes 96 kbit/s of stereo, and hands each frame to a thread and back; this is a third of a
    millisecond, and the frame leaves at once."""

    def __init__(self) -> None:
        self._context: AudioCodecContext | None = None

    def encode(self, frame: AudioFrame) -> Packet[AudioStream]:
        if self._context is None:
            self._context = _opus_context()
        (packet,) = self._context.encode(frame)
        packet.pts = frame.pts
        packet.time_base = _TIME_BASE
        return packet


def _opus_context() -> AudioCodecContext:
    context = CodecContext.create("libopus", "w")
    assert isinstance(context, AudioCodecContext)
    context.bit_rate = OPUS_BITS
    context.format = "s16"
    context.layout = "mono"
    context.sample_rate = PLAYOUT_RATE
    context.time_base = _TIME_BASE
    # A packet that is lost can be made again from the next one.
    context.options = {"application": "voip", "compression_level": "5", "fec": "1", "packet_loss": "5"}
    return context
