"""Sound that browsers do not play in MP4, as AAC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from joyvl_server.ingest.worker.clips.packets import KeptPacket, TrackTemplate

RATES = (8_000, 16_000, 32_000, 44_100, 48_000)
BITS_A_SAMPLE = 3
GAP_S = 0.1
"""a hole longer than this is filled with silence"""


def as_aac(
    out: OutputContainer, track: TrackTemplate, placed: Sequence[tuple[KeptPacket, float]]
) -> Iterator[tuple[Packet[Any], float]]:
    """AAC packets, with the seconds at which each is heard. `placed`: packets and the seconds of theirs.

    Adds its stream to `out` at once. Raises `OSError`, `ValueError` where nothing can be decoded.
    """
    frames = list(_decoded(track, placed))
    if not frames:
        raise ValueError("no sound that can be decoded")
    rate = next((rate for rate in RATES if rate >= frames[0][0].sample_rate), RATES[-1])
    layout = "mono" if frames[0][0].layout.nb_channels == 1 else "stereo"
    stream = out.add_stream("aac", rate=rate, layout=layout)
    stream.bit_rate = rate * BITS_A_SAMPLE
    return _encoded(stream, frames, rate, layout)


def _decoded(track: TrackTemplate, placed: Sequence[tuple[KeptPacket, float]]) -> Iterator[tuple[AudioFrame, float]]:
    decoder = cast(AudioCodecContext, av.CodecContext.create(track.codec, "r"))
    if track.extradata:
        decoder.extradata = track.extradata
    if track.rate:
        decoder.sample_rate = track.rate
    if track.layout:
        decoder.layout = track.layout
    for kept, at in placed:
        try:
            frames = decoder.decode(Packet(kept.data))
        except (av.FFmpegError, ValueError):
            continue
        for frame in frames:
            if frame.samples and frame.sample_rate:
                yield frame, at
                at += frame.samples / frame.sample_rate


def _encoded(
    stream: AudioStream, frames: Sequence[tuple[AudioFrame, float]], rate: int, layout: str
) -> Iterator[tuple[Packet[Any], float]]:
    resampler = av.AudioResampler("fltp", layout, rate)
    fifo = av.AudioFifo()
    start, written = max(0.0, frames[0][1]), 0
    for frame, at in frames:
        ahead = round((at - start) * rate) - written
        if ahead < -GAP_S * rate:
            continue  # it would overlap what was there
        if ahead > GAP_S * rate:
            fifo.write(_silence(ahead, rate, layout))
            written += ahead
        frame.pts = None
        for part in resampler.resample(frame):
            part.pts = None
            fifo.write(part)
            written += part.samples
    size = stream.codec_context.frame_size or 1024
    base = Fraction(1, rate)
    done = round(start * rate)
    while fifo.samples:
        piece = fifo.read(size, partial=True)
        assert piece is not None
        piece.pts, piece.time_base = done, base
        done += piece.samples
        yield from _timed(stream.encode(piece))
    yield from _timed(stream.encode(None))


def _timed(packets: Sequence[Packet[Any]]) -> Iterator[tuple[Packet[Any], float]]:
    for packet in packets:
        base = packet.time_base
        yield packet, float(packet.pts * base) if packet.pts is not None and base is not None else 0.0


def _silence(samples: int, rate: int, layout: str) -> AudioFrame:
    frame = AudioFrame(format="fltp", layout=layout, samples=samples)
    frame.sample_rate = rate
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame
