"""The sound of an open container: decoded in the thread of the picture, and only while somebody listens."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any, Protocol

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Discard

from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.stream_clock import LiveSoundClock
from joyvl_server.ingest.worker.opening import OpenedStream, seconds

log = logging.getLogger(__name__)

BROKEN_AFTER = 50
"""Packets in a row that cannot be decoded: then it is told."""
MOST_AHEAD_S = 10.0
"""Files may hold sound so much before its picture; sound still further ahead is heard too early."""


class SoundPlacer(Protocol):
    """Gives decoded frames their stream time, and hands them on when they are due."""

    def place(self, frame: AudioFrame) -> None: ...


class SoundTrack:
    """A `PacketSink`. `adjust` once for each picture begins and ends the decoding, as it is wanted.

    `kept`: somebody else takes its packets, all the time.
    """

    def __init__(self, opened: OpenedStream, hearing: Hearing, placer: SoundPlacer, *, kept: bool = False) -> None:
        self.errors = 0
        """packets that could not be decoded"""
        self._stream = opened.sound
        self._hearing = hearing
        self._placer = placer
        self._decodes = False
        self._kept = kept
        if self._stream is not None and kept:
            self._stream.discard = Discard.default
        self._in_a_row = 0
        unknown = opened.has_audio and opened.sound is None
        error = "The sound of this source has a format that this server cannot decode." if unknown else None
        hearing.present(self._stream is not None, error)
        self.adjust()

    def adjust(self) -> None:
        """While nobody listens, libav throws the packets away by itself."""
        if self._stream is None or self._decodes is self._hearing.wanted:
            return
        self._decodes = self._hearing.wanted
        self._stream.discard = Discard.default if self._decodes or self._kept else Discard.all
        if self._decodes:
            self._stream.codec_context.flush_buffers()

    def take(self, packet: Packet[Any]) -> None:
        """See `PacketSink`."""
        if not self._decodes:
            return
        try:
            decoded = packet.decode()
        except av.EOFError:
            return
        except (av.FFmpegError, ValueError, NotImplementedError):
            self._count_error()
            return
        if decoded and self._in_a_row >= BROKEN_AFTER:
            self._hearing.present(True)
        self._in_a_row = 0 if decoded else self._in_a_row
        for frame in decoded:
            if isinstance(frame, AudioFrame) and frame.samples and frame.sample_rate:
                self._placer.place(frame)

    def _count_error(self) -> None:
        self.errors += 1
        self._in_a_row += 1
        if self._in_a_row == BROKEN_AFTER:
            log.warning("the sound of a source is damaged: %s packets in a row cannot be decoded", BROKEN_AFTER)
            self._hearing.present(True, "The sound of this source is damaged and cannot be decoded.")


class LiveSound:
    """Hands each frame on at once."""

    def __init__(self, hearing: Hearing, clock: LiveSoundClock) -> None:
        self._hearing = hearing
        self._clock = clock

    def place(self, frame: AudioFrame) -> None:
        t = self._clock.place(seconds(frame), frame.samples / frame.sample_rate, time.monotonic())
        if t is not None:
            self._hearing.feed(frame, t)


class PositionClock(Protocol):
    def stream_time(self, position: float) -> float | None:
        """Of this position in the file, in seconds; None where it is not played."""


class FileSound:
    """Keeps frames until the picture is there. `start_s`: the pts at which the file begins. `wait`: see `Hearing`."""

    def __init__(self, hearing: Hearing, clock: PositionClock, start_s: float, *, wait: bool = False) -> None:
        self._hearing = hearing
        self._clock = clock
        self._start_s = start_s
        self._wait = wait
        self._ahead: deque[tuple[AudioFrame, float]] = deque()
        self._next = 0.0
        """position of a frame that does not say its own"""

    def place(self, frame: AudioFrame) -> None:
        pts = seconds(frame)
        position = self._next if pts is None else pts - self._start_s
        self._next = position + frame.samples / frame.sample_rate
        t = self._clock.stream_time(position)
        if t is None:
            return
        self._ahead.append((frame, t))
        if t - self._ahead[0][1] > MOST_AHEAD_S:
            self._hearing.feed(*self._ahead.popleft(), wait=self._wait)

    def due(self, t: float) -> None:
        """The picture is at stream time `t`: what was to be heard by then is handed on."""
        while self._ahead and self._ahead[0][1] <= t:
            self._hearing.feed(*self._ahead.popleft(), wait=self._wait)
        if not self._ahead:
            self._hearing.reached(t)

    def finish(self) -> None:
        """The file is at its end: the rest of its sound too."""
        while self._ahead:
            self._hearing.feed(*self._ahead.popleft(), wait=self._wait)
