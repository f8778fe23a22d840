"""Which packets a clip is made of, and when each of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.worker.clips.packets import KeptPacket, PacketGroup, Segment, TrackTemplate
from joyvl_server.ingest.worker.clips.ring import RARE, PacketRing

REPLACED_S = 0.25
"""the pts of one run of packets belong to stream times that differ by less"""
ALMOST_S = 0.3
"""a clip that misses so little of its span is complete"""
FIRST_PTS = 16
"""packets that may be shown before the first one of a stream that gave no pts"""


@dataclass(frozen=True, slots=True, eq=False)
class ClipMaterial:
    """`start`: stream time of its keyframe, 0 in the file. `note`: what is missing of the span asked for, in words.

    `pictures`, `sounds`: in the order in which they came.
    """

    video: TrackTemplate
    sound: TrackTemplate | None
    pictures: list[KeptPacket]
    sounds: list[KeptPacket]
    start: float
    end: float
    sets: bytes
    width: int
    height: int
    note: str

    @property
    def size(self) -> int:
        return sum(packet.size for packet in (*self.pictures, *self.sounds))


def first_moment(ring: PacketRing, t: float, before_s: float) -> float | None:
    """Stream time of the keyframe with which a clip of `t` begins; None where there is none yet."""
    segment = _segment_of(ring, t)
    return None if segment is None else segment.groups[_first_group(segment, t, before_s)].t


def collect(ring: PacketRing, t: float, before_s: float, after_s: float, why: str = "") -> ClipMaterial:
    """What the ring has of the span around `t`. `why` it is cut before its end. Raises `SourceError` (no_keyframe)."""
    segment = _segment_of(ring, t)
    if segment is None:
        raise SourceError(_nothing(ring), code="no_keyframe")
    index = _first_group(segment, t, before_s)
    groups = list(segment.groups)[index:]
    _complete(segment, groups[0])
    start = groups[0].t
    if start > t + after_s:
        raise SourceError("The first keyframe came only after the clip's end.", code="no_keyframe")
    packets = [packet for group in groups for packet in group.packets]
    pictures = [packet for packet in packets if not packet.sound]
    last = max(number for number, packet in enumerate(pictures) if number == 0 or packet.t <= t + after_s)
    end = max(packet.t for packet in pictures[: last + 1])
    while last + 1 < len(pictures) and pictures[last + 1].t < end:
        last += 1  # it is shown before one that is in the clip already
    # Pictures that are shown before the keyframe need what is not there.
    first_pts = pictures[0].pts or 0
    pictures = [p for n, p in enumerate(pictures[: last + 1]) if n == 0 or (p.pts or 0) > first_pts]
    end = max(packet.t for packet in pictures)
    earlier = segment.groups[index - 1].packets if index else []
    sounds = [p for p in (*earlier, *packets) if p.sound and start <= p.t <= end]
    return ClipMaterial(
        segment.video, segment.sound, pictures, sounds, start, end, groups[0].sets, segment.width, segment.height,
        note=_note(ring, segment, (t, before_s, after_s), (start, end), why),
    )  # fmt: skip


def shown(track: TrackTemplate, packets: Sequence[KeptPacket]) -> list[float]:
    """Stream seconds of each packet: as even as their pts, where these belong to stream times without a break."""
    lags = [packet.t - track.seconds(packet.pts or 0) for packet in packets]
    times: list[float] = []
    begin = 0
    for number in range(1, len(packets) + 1):
        if number < len(packets) and abs(lags[number] - lags[number - 1]) < REPLACED_S:
            continue
        offset = median(lags[begin:number])
        times += [track.seconds(packet.pts or 0) + offset for packet in packets[begin:number]]
        begin = number
    return times


def decoding_order(shown_at: Sequence[int]) -> list[int]:
    """When to decode packets that are shown at these ticks: rising, and never after they are shown.

    That the shown ticks differ is the caller's part. The first ones may be below the first shown.
    """
    ordered = sorted(shown_at)
    late = max((at - shown for at, shown in zip(ordered, shown_at, strict=True)), default=0)
    return [at - late for at in ordered]


def _segment_of(ring: PacketRing, t: float) -> Segment | None:
    """The one that runs at `t`; where `t` is before all of them, the first."""
    filled = [segment for segment in ring.segments if segment.groups]
    running = [segment for segment in filled if segment.groups[0].t <= t]
    return running[-1] if running else (filled[0] if filled else None)


def _first_group(segment: Segment, t: float, before_s: float) -> int:
    early = [number for number, group in enumerate(segment.groups) if group.t <= t - before_s]
    return early[-1] if early else 0


def _complete(segment: Segment, group: PacketGroup) -> None:
    """The first packet of a stream may lack its pts."""
    first = group.packets[0]
    if first.pts is None:
        known = [packet.pts for packet in group.packets[:FIRST_PTS] if packet.pts is not None and not packet.sound]
        first.pts = min(known) - (first.duration or 1) if known else 0
        if segment.offset is not None:
            first.t = segment.video.seconds(first.pts) + segment.offset


def _nothing(ring: PacketRing) -> str:
    if ring.starved:
        return f"There is no clip: {RARE}."
    return "There is no clip: the source has shown nothing that one can begin with."


def _note(
    ring: PacketRing, segment: Segment, wanted: tuple[float, float, float], got: tuple[float, float], why: str
) -> str:
    (t, before_s, after_s), (start, end) = wanted, got
    notes = []
    if start > t - before_s + ALMOST_S:
        early = f"{max(0.0, t - start):.1f} s before the picture" if start <= t else "after the picture"
        first = next((s for s in ring.segments if s.groups), None) is segment
        cause = segment.began or ("there is no keyframe before" if first else "")
        notes.append(f"It begins {early}: {cause}." if cause else f"It begins {early}.")
    if end < t + after_s - ALMOST_S:
        late = f"{max(0.0, end - t):.1f} s after the picture"
        why = segment.ended or why
        notes.append(f"It ends {late}: {why}." if why else f"It ends {late}.")
    return " ".join(notes)
