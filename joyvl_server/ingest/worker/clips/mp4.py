"""Writes a clip as MP4: pictures as they came, sound as it came where browsers play it, else as AAC."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import CutClip
from joyvl_server.ingest.worker.clips.material import ClipMaterial, decoding_order, shown
from joyvl_server.ingest.worker.clips.packets import TrackTemplate
from joyvl_server.ingest.worker.clips.sound import as_aac

PART = ".part"
"""ends the name of a file that is still written"""
CLOCK = Fraction(1, 90_000)
PLAYED = ("h264", "av1", "vp9")
"""what browsers play in MP4"""
COPIED_SOUND = ("aac", "opus")
NAMES = {"hevc": "H.265", "mjpeg": "motion JPEG", "mpeg4": "MPEG-4 part 2"}


@dataclass(frozen=True, slots=True)
class TimedPacket:
    packet: Packet[Any]
    at: float
    """seconds at which it is decoded"""


def write_clip(material: ClipMaterial, path: Path) -> CutClip:
    """Blocks. The file is there whole or not at all. Raises `SourceError` (bad_clip, no_room, not_written)."""
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sounds = _write(material, part)
        _to_disk(part)
        os.replace(part, path)
        size = path.stat().st_size
    except SourceError:
        _remove(part)
        raise
    except (OSError, ValueError) as error:  # PyAV's errors are one or the other
        _remove(part)
        raise _why(error) from None
    return CutClip(size, material.start, material.end - material.start, material.video.codec, _reason(material, sounds))


def _write(material: ClipMaterial, part: Path) -> str:
    """Returns what is wrong with the sound, in words."""
    if not material.video.copies:
        raise SourceError(f"MP4 cannot hold {_name(material.video.codec)}, which this source sends.", code="bad_clip")
    out = av.open(str(part), "w", format="mp4", container_options={"movflags": "faststart"})
    try:
        packets = list(_pictures(out, material))
        sounds, fault = _sounds(out, material)
        for timed in sorted((*packets, *sounds), key=lambda timed: timed.at):
            out.mux(timed.packet)
    except BaseException:
        with suppress(OSError, ValueError):
            out.close()
        raise
    out.close()
    return fault


def _pictures(out: OutputContainer, material: ClipMaterial) -> Iterator[TimedPacket]:
    track = material.video
    stream = out.add_stream_from_template(track.stream, opaque=True)
    context = stream.codec_context
    assert isinstance(context, VideoCodecContext)
    if material.sets:
        context.extradata = material.sets
    if material.width and material.height:
        context.width, context.height = material.width, material.height
    if track.codec == "hevc":
        context.codec_tag = "hvc1"
    stream.time_base = CLOCK
    times = shown(track, material.pictures)
    zero = times[0]
    ticks: list[int] = []
    taken: set[int] = set()
    for time in times:
        at = round((time - zero) / CLOCK)
        while at in taken:
            at += 1
        taken.add(at)
        ticks.append(at)
    ordered = sorted(ticks)
    for kept, pts, dts in zip(material.pictures, ticks, decoding_order(ticks), strict=True):
        packet = Packet(kept.data)
        packet.stream, packet.time_base = stream, CLOCK
        packet.pts, packet.dts, packet.is_keyframe = pts, dts, kept.key
        packet.duration = max(1, round(track.seconds(kept.duration) / CLOCK)) if pts == ordered[-1] else 0
        yield TimedPacket(packet, dts * float(CLOCK))


def _sounds(out: OutputContainer, material: ClipMaterial) -> tuple[list[TimedPacket], str]:
    track, kept = material.sound, material.sounds
    if track is None or not kept:
        return [], ""
    zero = shown(material.video, material.pictures)[0]
    placed = [(packet, time - zero) for packet, time in zip(kept, shown(track, kept), strict=True)]
    if track.copies and track.codec in COPIED_SOUND and track.extradata:
        stream = out.add_stream_from_template(track.stream, opaque=True)
        base = Fraction(1, track.rate or 48_000)
        stream.time_base = base
        return list(_copied(stream, track, base, placed)), ""
    try:
        return [TimedPacket(packet, at) for packet, at in as_aac(out, track, placed)], ""
    except (OSError, ValueError, NotImplementedError):
        return [], "Its sound cannot be decoded and is left out."


def _copied(
    stream: Any, track: TrackTemplate, base: Fraction, placed: list[tuple[Any, float]]
) -> Iterator[TimedPacket]:
    end = -1
    for kept, time in placed:
        at = round(max(0.0, time) / base)
        length = max(1, round(track.seconds(kept.duration) / base))
        if at < end - length // 2:
            continue  # it would overlap what was there
        at = max(at, end)
        end = at + length
        packet = Packet(kept.data)
        packet.stream, packet.time_base = stream, base
        packet.pts = packet.dts = at
        packet.duration, packet.is_keyframe = length, True
        yield TimedPacket(packet, at * float(base))


def _to_disk(part: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _why(error: OSError | ValueError) -> SourceError:
    """The file's name is the server's business: it stands in no sentence."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return SourceError("There is no clip: the disk is full.", code="no_room")
    if isinstance(error, av.FFmpegError | ValueError):
        words = str(error.strerror if isinstance(error, OSError) and error.strerror else "bad data").lower()
        return SourceError(f"There is no clip: the stream cannot be written as MP4 ({words}).", code="bad_clip")
    return SourceError(
        f"There is no clip: it could not be written ({os.strerror(number or 0).lower()}).", code="not_written"
    )


def _reason(material: ClipMaterial, fault: str) -> str:
    codec = material.video.codec
    plays = "" if codec in PLAYED else f"It is {_name(codec)}, which many browsers do not play."
    return " ".join(filter(None, (plays, material.note, fault)))


def _name(codec: str) -> str:
    return NAMES.get(codec, codec)
