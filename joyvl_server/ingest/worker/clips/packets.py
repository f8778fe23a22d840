"""What is kept of a stream before it is decoded: its packets in groups that begin with a keyframe."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

PACKET_BYTES = 250
"""of a packet in memory besides its data"""
NAL_START = b"\0\0\1"
PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}
SEQUENCE_SET = {"h264": 7, "hevc": 33}


@dataclass(slots=True, eq=False)
class KeptPacket:
    """`pts` and `duration` in ticks of its track; `pts` None where the stream gives none. `t`: stream seconds."""

    data: bytes
    pts: int | None
    duration: int
    key: bool
    sound: bool
    t: float

    @property
    def size(self) -> int:
        return len(self.data) + PACKET_BYTES


@dataclass(slots=True, eq=False)
class PacketGroup:
    """From one keyframe to the next, in the order in which it came. `sets`: the parameter sets inside the keyframe."""

    packets: list[KeptPacket]
    sets: bytes = b""
    size: int = 0

    @property
    def t(self) -> float:
        """Of its keyframe."""
        return self.packets[0].t

    @property
    def end(self) -> float:
        """Of its last picture, as it is shown."""
        return max(packet.t for packet in self.packets if not packet.sound)


class TrackTemplate:
    """What an MP4 file must know of a track, kept when the stream it came from is long closed.

    `copies`: MP4 holds such packets as they are.
    """

    def __init__(self, stream: VideoStream | AudioStream) -> None:
        self.codec = stream.codec_context.name
        self.time_base = stream.time_base or Fraction(1, 90_000)
        self.extradata = bytes(stream.codec_context.extradata or b"")
        self.rate, self.layout = 0, ""
        if isinstance(stream, AudioStream):
            self.rate, self.layout = stream.codec_context.sample_rate or 0, stream.codec_context.layout.name
        self._holder: OutputContainer = av.open(io.BytesIO(), "w", format="mp4")
        try:
            self.stream = self._holder.add_stream_from_template(stream, opaque=True)
        except ValueError:
            self.copies = False
        else:
            self.copies = True

    def seconds(self, ticks: int) -> float:
        return ticks * self.time_base.numerator / self.time_base.denominator


@dataclass(slots=True, eq=False)
class Segment:
    """One run of a stream without a break. `began`, `ended`: a sentence that says why, empty where that is ordinary.

    `offset`: stream time of a picture less its pts in seconds; None while there was no picture.
    """

    video: TrackTemplate
    sound: TrackTemplate | None
    began: str = ""
    ended: str = ""
    over: bool = False
    width: int = 0
    height: int = 0
    offset: float | None = None
    groups: deque[PacketGroup] = field(default_factory=deque)

    @property
    def size(self) -> int:
        return sum(group.size for group in self.groups)


def parameter_sets(data: bytes, codec: str) -> tuple[bytes, bytes]:
    """Of a keyframe in Annex B: all parameter sets before its first slice, and the sequence set alone.

    Empty where it has none, or where its units are stored with their lengths.
    """
    kinds = PARAMETER_SETS.get(codec)
    if kinds is None or not data.startswith((NAL_START, b"\0" + NAL_START)):
        return b"", b""
    found: dict[bytes, None] = {}
    sequence = b""
    for unit in _units(data):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in kinds:
            found[unit] = None
            sequence = sequence or (unit if kind == SEQUENCE_SET[codec] else b"")
        elif _is_slice(kind, codec):
            break
    return b"".join(b"\0" + NAL_START + unit for unit in found), sequence


def _is_slice(kind: int, codec: str) -> bool:
    return 1 <= kind <= 5 if codec == "h264" else kind < 32


def _units(data: bytes) -> Iterator[bytes]:
    at = data.find(NAL_START)
    while at >= 0:
        begin = at + len(NAL_START)
        at = data.find(NAL_START, begin)
        unit = (data[begin:at] if at >= 0 else data[begin:]).rstrip(b"\0")
        if unit:
            yield unit
