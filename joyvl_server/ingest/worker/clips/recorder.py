"""Cuts clips out of one source: keeps its packets, waits until the span is over, has the file written elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder, CutClip
from joyvl_server.ingest.stream_clock import LiveSoundClock
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.clips.material import ClipMaterial, collect, first_moment
from joyvl_server.ingest.worker.clips.packets import TrackTemplate
from joyvl_server.ingest.worker.clips.ring import RARE, PacketRing
from joyvl_server.ingest.worker.opening import OpenedStream

log = logging.getLogger(__name__)

WAITING = 16
"""clips of one source that may wait for the end of their span"""
FULL = "the memory for clips (media.clip_mb) was full"
TAIL_S = 0.3
"""pictures that are shown before the last one may come this long after it"""
CLOSED = "the session ended"


class MaterialWriter(Protocol):
    def submit(self, material: ClipMaterial, order: ClipOrder, outcome: Future[CutClip]) -> None:
        """Write it some time soon, and say in `outcome` what came of it. Does not block."""


@dataclass(slots=True, eq=False)
class WaitingClip:
    order: ClipOrder
    start: float
    """stream time from which packets are needed"""
    outcome: Future[CutClip] = field(default_factory=Future)


class ClipRecorder:
    """The source's thread gives it packets and pictures; any thread may ask for a clip. Never blocks for long."""

    def __init__(self, limits: ClipLimits, writer: MaterialWriter) -> None:
        self._ring = PacketRing(limits)
        self._most_bytes = limits.bytes
        self._writer = writer
        self._lock = threading.Lock()
        self._waiting: list[WaitingClip] = []
        self._picture = -1
        """index of the stream of the picture"""
        self._sound_clock: LiveSoundClock | None = None
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return self._ring.size

    # ---------------------------------------------------------------------------------------- from the source's thread

    def begin(self, opened: OpenedStream, sound_clock: LiveSoundClock | None, why: str = "") -> None:
        """Another connection, or a file from its start. `sound_clock`: for live sources, whose tracks have nothing to
        do with one another."""
        with self._edge():
            video = TrackTemplate(opened.stream)
            sound = None if opened.sound is None else TrackTemplate(opened.sound)
            self._picture = opened.stream.index
            self._sound_clock = sound_clock
            self._ring.end(why)
            self._finish(lambda _: True)
            self._ring.begin(video, sound, live=sound_clock is not None, why=why if self._ring.segments else "")

    def take(self, packet: Packet[Any]) -> None:
        """See `PacketSink`."""
        now = time.monotonic()
        with self._edge():
            if packet.stream.index == self._picture:
                self._ring.take_picture(packet, now)
                needed = min((clip.start for clip in self._waiting), default=float("inf"))
                if not self._ring.trim(needed):
                    why = FULL if self._ring.size > self._most_bytes else RARE
                    self._finish(lambda clip: clip.start <= needed, why)
                    self._ring.trim(min((clip.start for clip in self._waiting), default=float("inf")))
            else:
                self._ring.take_sound(packet, self._heard(packet, now))

    def placed(self, frame: VideoFrame, t: float) -> None:
        """This picture was decoded, and published at stream time `t`."""
        with self._edge():
            self._ring.placed(frame.pts, t, frame.width, frame.height)
            if self._waiting:
                self._finish(lambda clip: clip.order.t + clip.order.after_s + TAIL_S <= t)

    def lost(self, why: str) -> None:
        """The connection is over, or the file. `why`: a part of a sentence."""
        with self._lock:
            self._ring.end(why)
            self._finish(lambda _: True)

    # --------------------------------------------------------------------------------------------------- from anywhere

    def cut(self, order: ClipOrder) -> Future[CutClip]:
        """What comes of it, when its span is over; `SourceError` where there is no clip."""
        with self._lock:
            start = first_moment(self._ring, order.t, order.before_s)
            clip = WaitingClip(order, order.t - order.before_s if start is None else start)
            if len(self._waiting) >= WAITING:
                clip.outcome.set_exception(SourceError("There is no clip: too many were wanted at once.", code="busy"))
                return clip.outcome
            self._waiting.append(clip)
            if self._closed or self._ring.present is None or self._ring.newest >= order.t + order.after_s + TAIL_S:
                self._finish(lambda other: other is clip)
            return clip.outcome

    def hurry(self, outcome: Future[CutClip], why: str) -> None:
        """Its span does not end: make it of what there is."""
        with self._lock:
            self._finish(lambda clip: clip.outcome is outcome, why)

    def close(self) -> None:
        """Nothing more comes: clips that wait are made of what there is. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._ring.end(CLOSED)
                self._finish(lambda _: True)

    @contextmanager
    def _edge(self) -> Iterator[None]:
        """A stream nobody thought of costs its clips, not its source: nothing is kept until it is opened once more."""
        with self._lock:
            try:
                yield
            except Exception:  # the edge towards the source's thread
                log.exception("packets of a source cannot be kept for clips")
                self._ring.clear()
                self._finish(lambda _: True)

    def _finish(self, which: Callable[[WaitingClip], bool], why: str = "") -> None:
        """Hand clips to the writer. `why`: they end earlier than they should."""
        ready = [clip for clip in self._waiting if which(clip)]
        if not ready:
            return
        self._waiting = [clip for clip in self._waiting if clip not in ready]
        for clip in ready:
            order = clip.order
            try:
                material = collect(self._ring, order.t, order.before_s, order.after_s, why)
            except SourceError as error:
                clip.outcome.set_exception(error)
            except Exception as error:  # a stream nobody thought of costs its clip, not its source
                clip.outcome.set_exception(error)
            else:
                self._writer.submit(material, order, clip.outcome)

    def _heard(self, packet: Packet[Any], now: float) -> float | None:
        """Stream time of a packet of sound; None where it runs with the picture."""
        base, pts = packet.time_base, packet.pts
        if self._sound_clock is None or base is None:
            return None
        seconds = float((packet.duration or 0) * base)
        return self._sound_clock.place(None if pts is None else float(pts * base), seconds, now)
