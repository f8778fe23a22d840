"""Encoded material for clips, and what is in a clip that was written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder, CutClip
from joyvl_server.ingest.stream_clock import LiveSoundClock, LiveStreamClock
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.clips.material import ClipMaterial
from joyvl_server.ingest.worker.clips.mp4 import write_clip
from joyvl_server.ingest.worker.clips.recorder import ClipRecorder
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts
from joyvl_server.ingest.worker.opening import OpenedStream, frames, open_source, seconds
from joyvl_server.kit.net.policy import NetPolicy

LIMITS = ClipLimits(20.0, 60.0, 32 << 20)


class AtOnce:
    """A `MaterialWriter` that writes before it returns. `written`: what it was given."""

    def __init__(self) -> None:
        self.written: list[ClipMaterial] = []

    def submit(self, material: ClipMaterial, order: ClipOrder, outcome: Future[CutClip]) -> None:
        self.written.append(material)
        try:
            outcome.set_result(write_clip(material, order.path))
        except SourceError as error:
            outcome.set_exception(error)


class Played:
    """A recorder over files that are played into it, one after another, without waiting for a clock.

    Stream time is the pts from the first one's start on. `live`: as a camera does it.
    """

    def __init__(self, limits: ClipLimits = LIMITS, *, live: bool = False) -> None:
        self._sound_clock = LiveSoundClock(LiveStreamClock()) if live else None
        self.writer = AtOnce()
        self.recorder = ClipRecorder(limits, self.writer)
        self.t = 0.0
        self._base = 0.0

    def begin(self, path: Path, why: str = "") -> OpenedStream:
        opened = open_source(NetPolicy(file_roots=(str(path.parent),)).check(path.as_uri()), Timeouts(5, 5), Deadline())
        self.recorder.begin(opened, self._sound_clock, why)
        if opened.sound is not None:
            opened.sound.discard = av.stream.Discard.default
        return opened

    def play(self, path: Path, *, until: float = 1e9, why: str = "") -> Played:
        """Connect and play up to stream time `until`."""
        opened = self.begin(path, why)
        try:
            for t in self.steps(opened):
                if t >= until:
                    return self
            self.recorder.lost("the file ended")
        finally:
            opened.close()
        return self

    def steps(self, opened: OpenedStream) -> Iterator[float]:
        """Stream time of each picture, once it was decoded."""
        for frame in frames(opened, sound=Nobody(), kept=self.recorder):
            pts = seconds(frame)
            self.t = self._base + ((pts or 0.0) - opened.start_s)
            self.recorder.placed(frame, self.t)
            yield self.t
        self._base = self.t + 0.04

    def cut(self, path: Path, t: float, before_s: float = 4.0, after_s: float = 2.0) -> Future[CutClip]:
        return self.recorder.cut(ClipOrder(path, t, before_s, after_s))


class Nobody:
    """A `PacketSink` that wants nothing."""

    def take(self, packet: Packet[Any]) -> None: ...


@dataclass(frozen=True)
class Seen:
    """What is in a clip: times of its pictures, its tracks, and the seconds of sound that decode."""

    times: list[float]
    codec: str
    tag: str
    size: tuple[int, int]
    first_is_key: bool
    sound: str | None
    sound_s: float
    sound_start: float

    @property
    def steps(self) -> list[float]:
        return list(np.diff(self.times))


def look_into(path: Path) -> Seen:
    """Decode all of it."""
    with av.open(str(path)) as clip:
        video = clip.streams.video[0]
        audio = clip.streams.audio[0] if clip.streams.audio else None
        tag, codec = video.codec_context.codec_tag, video.codec_context.name
        pictures = list(clip.decode(video))
        times = [float(p.pts * p.time_base) for p in pictures]
        heard, start = 0.0, 0.0
        if audio is not None:
            clip.seek(0)
            sounds = list(clip.decode(audio))
            heard = sum(s.samples / s.sample_rate for s in sounds)
            start = float(sounds[0].pts * sounds[0].time_base)
        size = (pictures[0].width, pictures[0].height)
        name = audio.codec_context.name if audio is not None else None
        return Seen(times, codec, tag, size, pictures[0].key_frame, name, heard, start)


def remux(source: Path, target: Path, *, drop: range = range(0), shift: tuple[int, float] = (0, 0.0)) -> Path:
    """Copy the pictures of a file without those with numbers in `drop`; from number `shift[0]` on, pts and dts are
    moved by `shift[1]` seconds."""
    with av.open(str(source)) as read, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        number = 0
        for packet in read.demux(read.streams.video[0]):
            if not packet.size:
                continue
            number += 1
            if number - 1 in drop:
                continue
            if number > shift[0]:
                moved = int(shift[1] / (packet.time_base or Fraction(1)))
                packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
            packet.stream = stream
            out.mux(packet)
    return target
