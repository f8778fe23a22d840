"""The last seconds of a source as its packets came, bounded in seconds and in bytes."""

from __future__ import annotations

from collections import deque
from typing import Any

from av.packet import Packet

from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.clips.packets import (
    SEQUENCE_SET,
    KeptPacket,
    PacketGroup,
    Segment,
    TrackTemplate,
    parameter_sets,
)

BACK_S = 0.5
"""a pts this much before the last one: the camera's clock was set, or a file began again"""
AHEAD_S = 3.0
"""how far a pts may run ahead of the moments at which packets come"""
DECODING = 64
"""packets among which that of a decoded picture is looked for"""
JUMPED = "the camera's clock jumped"
CHANGED = "the camera changed its picture format"
RARE = "the camera sends keyframes too rarely for clips"


class PacketRing:
    """Not thread-safe: its owner locks. `take` packets, then say with `placed` when their pictures were seen."""

    def __init__(self, limits: ClipLimits) -> None:
        self.segments: deque[Segment] = deque()
        self.size = 0
        """bytes, with what Python needs for them"""
        self.newest = float("-inf")
        """stream time of the newest decoded picture"""
        self.starved = False
        """what there was had to go, since there was no keyframe to go on with"""
        self._limits = limits
        self._live = False
        self._sequence = b""
        self._last: float | None = None
        self._arrival = 0.0

    @property
    def present(self) -> Segment | None:
        """The segment that grows."""
        return self.segments[-1] if self.segments and not self.segments[-1].over else None

    def begin(self, video: TrackTemplate, sound: TrackTemplate | None, *, live: bool, why: str = "") -> None:
        """Another connection, or a file from its start. `live`: packets come when they are made."""
        self.end(why)
        self._live, self._sequence, self._last = live, b"", None
        self.segments.append(Segment(video, sound, began=why))

    def end(self, why: str) -> None:
        """The stream is over, or breaks off here."""
        if self.segments and not self.segments[-1].over:
            self.segments[-1].over = True
            self.segments[-1].ended = why

    def clear(self) -> None:
        """Forget everything, until `begin`."""
        self.segments.clear()
        self.size = 0

    def take_picture(self, packet: Packet[Any], now: float) -> None:
        """`now`: the moment at which it came."""
        segment = self.present
        if segment is None or not packet.size:
            return
        pts = packet.pts if packet.pts is not None else packet.dts
        seconds = None if pts is None else segment.video.seconds(pts)
        if seconds is not None and self._jumps(seconds, now):
            segment = self._split(segment, JUMPED)
        data, key = bytes(packet), packet.is_keyframe
        sets, sequence = parameter_sets(data, segment.video.codec) if key else (b"", b"")
        if sequence and self._sequence and sequence != self._sequence:
            segment = self._split(segment, CHANGED)
        self._sequence = sequence or self._sequence
        if seconds is not None:
            self._last = seconds if self._last is None else max(self._last, seconds)
            self._arrival = now
        self._add(segment, KeptPacket(data, pts, packet.duration or 0, key, False, self._guess(segment, seconds)), sets)

    def take_sound(self, packet: Packet[Any], t: float | None) -> None:
        """`t`: stream time where the owner knows it; else it runs with the picture's pts."""
        segment = self.present
        if segment is None or segment.sound is None or not segment.groups or not packet.size:
            return
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            return
        if t is None:
            t = self._guess(segment, segment.sound.seconds(pts))
        kept = KeptPacket(bytes(packet), pts, packet.duration or 0, True, True, t)
        self._append(segment.groups[-1], kept)

    def placed(self, pts: int | None, t: float, width: int, height: int) -> None:
        """A picture with this pts was decoded: the camera saw it at stream time `t`."""
        self.newest = t
        segment = self.present
        if segment is None:
            return
        segment.width, segment.height = segment.width or width, segment.height or height
        if pts is None:
            return
        first, segment.offset = segment.offset is None, t - segment.video.seconds(pts)
        seen = 0
        for group in reversed(segment.groups):
            for packet in reversed(group.packets):
                seen += 1
                if first and not packet.sound:
                    packet.t = t if packet.pts is None else segment.video.seconds(packet.pts) + segment.offset
                elif packet.pts == pts and not packet.sound:
                    packet.t = t
                    return
            if seen > DECODING and not first:
                return

    def trim(self, needed: float = float("inf")) -> bool:
        """Drop what is too old, nothing that is shown at stream time `needed` or later.

        Returns False where the limits would ask for that.
        """
        newest = self.newest
        while (second := self._second_start()) is not None and second <= min(newest - self._limits.seconds, needed):
            self._drop_first()
        while (first := self._first_start()) is not None:
            if self.size <= self._limits.bytes and newest - first <= self._limits.most_s:
                break
            second = self._second_start()
            if (float("inf") if second is None else second) > needed:
                return False
            self.starved = second is None
            self._drop_first()
        return True

    def _jumps(self, seconds: float, now: float) -> bool:
        if self._last is None:
            return False
        step = seconds - self._last
        return step < -BACK_S or (self._live and step > AHEAD_S + (now - self._arrival))

    def _split(self, segment: Segment, why: str) -> Segment:
        self.end(why)
        self._last = None
        self.segments.append(Segment(segment.video, segment.sound, began=why))
        return self.segments[-1]

    def _guess(self, segment: Segment, seconds: float | None) -> float:
        """Stream time of a packet whose picture is not decoded yet."""
        if seconds is None or segment.offset is None:
            return self.newest if self.newest > float("-inf") else 0.0
        return seconds + segment.offset

    def _add(self, segment: Segment, packet: KeptPacket, sets: bytes) -> None:
        groups = segment.groups
        last = next((p for p in reversed(groups[-1].packets) if not p.sound), None) if groups else None
        if packet.pts is None and last is not None and last.pts is not None:
            packet.pts = last.pts + (packet.duration or last.duration or 1)
        if last is not None and _same_picture(segment.video.codec, last, packet):
            last.data += packet.data
            last.pts = packet.pts
            groups[-1].size += len(packet.data)
            self.size += len(packet.data)
        elif packet.key:
            groups.append(PacketGroup([], sets))
            self.starved = False
            self._append(groups[-1], packet)
        elif groups:
            self._append(groups[-1], packet)

    def _append(self, group: PacketGroup, packet: KeptPacket) -> None:
        group.packets.append(packet)
        group.size += packet.size
        self.size += packet.size

    def _first_start(self) -> float | None:
        return next((segment.groups[0].t for segment in self.segments if segment.groups), None)

    def _second_start(self) -> float | None:
        starts = (group.t for segment in self.segments for group in segment.groups)
        next(starts, None)
        return next(starts, None)

    def _drop_first(self) -> None:
        while self.segments and not self.segments[0].groups and self.segments[0].over:
            self.segments.popleft()
        for segment in self.segments:
            if segment.groups:
                self.size -= segment.groups.popleft().size
                break
        while len(self.segments) > 1 and not self.segments[0].groups:
            self.segments.popleft()


def _same_picture(codec: str, last: KeptPacket, packet: KeptPacket) -> bool:
    """Some senders cut one picture into two packets; the first one of a stream may lack its pts."""
    if codec not in SEQUENCE_SET or packet.pts is None:
        return False
    return packet.pts == last.pts or (last.pts is None and packet.key)
