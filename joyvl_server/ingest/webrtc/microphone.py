"""The microphone of a call: whichever audio track brings sound, from now on or from later on."""

from __future__ import annotations

import time

from aiortc import MediaStreamTrack
from av.audio.frame import AudioFrame

from joyvl_server.ingest.audio.echo.canceller import EchoCanceller
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.stream_clock import LiveSoundClock, LiveStreamClock
from joyvl_server.ingest.webrtc.jitter_buffer import AUDIO_DELAY_S
from joyvl_server.ingest.worker.opening import seconds
from joyvl_server.kit.audio.pcm import Samples

SILENT_TRACK_S = 0.5
"""A track that brings nothing for so long is no longer the microphone when another one brings sound."""


class EchoCleaner:
    """A `SoundCleaner`: takes what we play into the call out of its microphone. `picture`: the call's stream clock."""

    def __init__(self, echo: EchoCanceller, picture: LiveStreamClock) -> None:
        self._echo = echo
        self._picture = picture

    @property
    def remains(self) -> bool:
        return self._echo.remains

    def clean(self, samples: Samples, t: float) -> Samples:
        return self._echo.process(samples, t + (self._picture.zero or 0.0))


class Microphone:
    """On the worker's loop. `picture`: the stream clock of the call."""

    def __init__(self, hearing: Hearing, picture: LiveStreamClock) -> None:
        self._hearing = hearing
        self._clock = LiveSoundClock(picture, AUDIO_DELAY_S)
        self._track: MediaStreamTrack | None = None
        self._frame_at = 0.0

    def heard(self, track: MediaStreamTrack, frame: AudioFrame) -> None:
        """A frame of one of the call's audio tracks. Only one of them is listened to at a time."""
        now = time.monotonic()
        if track is not self._track:
            if self._track is not None and now - self._frame_at < SILENT_TRACK_S:
                return
            self._begin(track)
        self._frame_at = now
        if not self._hearing.wanted or not frame.sample_rate:
            return
        t = self._clock.place(seconds(frame), frame.samples / frame.sample_rate, now)
        if t is not None:
            self._hearing.feed(frame, t)

    def ended(self, track: MediaStreamTrack) -> None:
        """That track is over."""
        if track is self._track:
            self._track = None
            self._hearing.broke_off(lost=True)
            self._hearing.present(False)

    def _begin(self, track: MediaStreamTrack) -> None:
        if self._track is not None:
            self._hearing.broke_off(lost=True)
        self._track = track
        self._clock.begin()
        self._hearing.present(True)
