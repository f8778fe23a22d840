"""Open a URL for decoding: libav's options, what it may not do, and which stream is the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.rtsp.answers import Redirected
from joyvl_server.ingest.rtsp.proxy import RtspProxy
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts
from joyvl_server.kit.net.policy import CheckedUrl

FILE_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,ivf,h264,hevc,m4v,mjpeg"
"""Formats that hold their pictures themselves. Playlists (hls, concat, dash, sdp …) would open what they name."""
MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """An open container and its picture stream. `fps`: None where the stream does not say.

    `sound`: the first audio stream that can be decoded. It is discarded, unless somebody wants it.
    """

    container: InputContainer
    stream: VideoStream
    codec: str
    fps: float | None
    has_audio: bool
    sound: AudioStream | None = None
    proxy: RtspProxy | None = None

    @property
    def start_s(self) -> float:
        base = self.stream.time_base
        return float(self.stream.start_time * base) if self.stream.start_time is not None and base is not None else 0.0

    @property
    def duration_s(self) -> float | None:
        return self.container.duration / 1e6 if self.container.duration else None

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width of a pixel to its height, as the decoder knows it now."""
        return self.stream.codec_context.sample_aspect_ratio

    def close(self) -> None:
        self.container.close()
        if self.proxy is not None:
            self.proxy.close()


class PacketSink(Protocol):
    """Takes packets as they come."""

    def take(self, packet: Packet[Any]) -> None:
        """Raises nothing, and takes no longer than a moment: the picture waits."""


def open_source(url: CheckedUrl, timeouts: Timeouts, deadline: Deadline) -> OpenedStream:
    """Blocks until the stream's facts are known. The caller's thread obeys `deadline` (`libav_obeys`).

    A camera may redirect three times, each time to an address that is checked. Raises `SourceError`.
    """
    if url.path is not None:
        return _open_file(url, timeouts, deadline)
    here = url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            return _open_rtsp(here, timeouts, deadline)
        except Redirected as redirect:
            here = url.redirected(redirect.location, here)
    raise SourceError(f"The camera redirects more than {MAX_REDIRECTS} times.", code="redirected")


def _open_file(url: CheckedUrl, timeouts: Timeouts, deadline: Deadline) -> OpenedStream:
    options = {"protocol_whitelist": "file", "format_whitelist": FILE_FORMATS}
    try:
        container = av.open(f"file:{url.path}", options=options, timeout=(timeouts.open_s, timeouts.stall_s))
    except av.FFmpegError as error:
        raise source_errors.at_open(error, url.url, timeouts.open_s, late=deadline.passed) from None
    try:
        return _with_picture(container, live=False)
    except BaseException:
        container.close()
        raise


def _open_rtsp(url: CheckedUrl, timeouts: Timeouts, deadline: Deadline) -> OpenedStream:
    """Raises `SourceError` and `Redirected`."""
    try:
        proxy = RtspProxy(url.url, timeouts.open_s, deadline)
    except OSError as error:
        raise source_errors.at_connect(error) from None
    try:
        options = _rtsp_options(max(timeouts.open_s, timeouts.stall_s))
        try:
            container = av.open(proxy.url, options=options, timeout=(timeouts.open_s, timeouts.stall_s))
        except av.FFmpegError as error:
            if isinstance(proxy.failure, Redirected):
                raise proxy.failure from None
            raise source_errors.at_open(error, url.url, timeouts.open_s, late=deadline.passed) from None
        try:
            return replace(_with_picture(container, live=True), proxy=proxy)
        except BaseException:
            container.close()
            raise
    except BaseException:
        proxy.close()
        raise


def _rtsp_options(timeout_s: float) -> dict[str, str]:
    return {
        "rtsp_transport": "tcp",
        "timeout": str(min(int(timeout_s * 1e6), 2**31 - 1)),  # microseconds in 32 bits: some 35 minutes
        "probesize": "50000",
        "analyzeduration": "500000",
        # A camera must not send us on to a file or to another protocol.
        "protocol_whitelist": "rtsp,tcp,rtp",
        "user_agent": "joyvl",
    }


def _with_picture(container: InputContainer, *, live: bool) -> OpenedStream:
    videos = [s for s in container.streams if s.type == "video" and not s.disposition & Disposition.attached_pic]
    if not videos:
        raise SourceError("The source has sound or data, but no video.", code="no_video")
    known = [stream for stream in videos if isinstance(stream, VideoStream) and stream.codec_context is not None]
    if not known:
        raise SourceError("Its video has a format that this server cannot decode.", code="unknown_codec")
    picture = known[0]
    for stream in container.streams:
        if stream is not picture:
            stream.discard = Discard.all
    # One thread per source: frame threads would each hold back a picture, and many sources share the cores anyway.
    picture.codec_context.thread_type = "NONE"
    picture.codec_context.thread_count = 1
    if live:
        picture.codec_context.flags |= Flags.low_delay
    return OpenedStream(
        container=container,
        stream=picture,
        codec=picture.codec_context.name,
        fps=_fps(picture.average_rate or picture.guessed_rate),
        has_audio=any(stream.type == "audio" for stream in container.streams),
        sound=next(iter(_with_sound(container)), None),
    )


def _with_sound(container: InputContainer) -> Iterator[AudioStream]:
    for stream in container.streams:
        # Without a decoder there is no codec context at all.
        if isinstance(stream, AudioStream) and stream.codec_context is not None and stream.codec_context.sample_rate:
            stream.codec_context.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield stream


def _fps(rate: Fraction | None) -> float | None:
    """Streams without a rate are given odd ones, like 90000."""
    return round(float(rate), 3) if rate and 0 < rate <= 240 else None


def frames(
    opened: OpenedStream, deadline: Deadline | None = None, sound: PacketSink | None = None,
    kept: PacketSink | None = None,
) -> Iterator[VideoFrame]:  # fmt: skip
    """Decode until the end, or until the deadline: packets that never make a picture must not hold a source up.

    Packets that cannot be decoded are passed over. `sound` gets those of the sound, in their order, `kept` all of both
    before that. Raises `av.FFmpegError` at a bad read.
    """
    proxy = opened.proxy
    streams = (opened.stream,) if sound is None or opened.sound is None else (opened.stream, opened.sound)
    for packet in opened.container.demux(*streams):
        if deadline is not None and deadline.passed:
            return
        if kept is not None and packet.size:
            kept.take(packet)
        if sound is not None and packet.stream.index != opened.stream.index:
            sound.take(packet)
            continue
        if proxy is not None and proxy.hand_over():
            proxy = None
        try:
            decoded = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError:
            continue
        yield from (picture for picture in decoded if isinstance(picture, VideoFrame))


def seconds(frame: Frame) -> float | None:
    """The frame's pts in seconds."""
    base = frame.time_base
    return None if frame.pts is None or base is None else frame.pts * base.numerator / base.denominator
