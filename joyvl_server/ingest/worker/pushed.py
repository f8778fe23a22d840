"""Pictures and sound that a client sends as data: for sources without a track or a stream to decode."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.base import MAX_PICTURE_BYTES, SourceStatus
from joyvl_server.ingest.stream_clock import LiveStreamClock
from joyvl_server.ingest.worker.publisher import FramePublisher, SourceReport
from joyvl_server.kit.audio.pcm import Pcm

MAX_PIXELS = 16_777_216
"""of a picture before it is scaled down: what is larger is not decoded"""
EMPTY_SIZE = (320, 180)
AHEAD_S = 60.0
"""sound that may be sent before its time"""
GAP_S = 0.3
"""sound that comes so late began a new stretch"""
DECODERS = ((b"\xff\xd8\xff", "mjpeg"), (b"\x89PNG\r\n\x1a\n", "png"))


def decode(data: bytes) -> VideoFrame:
    """One JPEG or PNG. Blocks for some milliseconds. Raises `SourceError` (bad_picture) with a sentence."""
    name = next((name for start, name in DECODERS if data.startswith(start)), None)
    if name is None:
        raise _bad("it is neither JPEG nor PNG")
    decoder = VideoCodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except (av.FFmpegError, ValueError, MemoryError):
        frames = []
    found = next((frame for frame in frames if isinstance(frame, VideoFrame)), None)
    if found is None or found.width * found.height > MAX_PIXELS:
        raise _bad(f"it is damaged, or has more than {MAX_PIXELS // 1_000_000} million pixels")
    return found


def _bad(what: str) -> SourceError:
    return SourceError(f"The picture cannot be used: {what}.", code="bad_picture")


def no_picture() -> VideoFrame:
    """What is seen before the first picture: black, and it says so."""
    width, height = EMPTY_SIZE
    image = np.zeros((height, width, 3), np.uint8)
    cv2.putText(image, "NO PICTURE", (60, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (128, 128, 128), 2, cv2.LINE_AA)
    return VideoFrame.from_ndarray(image, "rgb24")


class PushedPictures:
    """`begin` shows that there is no picture yet; each picture stands until the next one. Any thread may call it."""

    def __init__(self, publisher: FramePublisher, clock: LiveStreamClock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._size = 0

    def begin(self) -> None:
        self._publish(no_picture(), "none")

    @property
    def now(self) -> float:
        """Stream seconds."""
        zero = self._clock.zero
        return 0.0 if zero is None else time.monotonic() - zero

    def take(self, piece: bytes, *, first: bool) -> None:
        """The next part of a picture. Raises `SourceError` (bad_picture) where it becomes too large."""
        if first:
            self._pieces, self._size = [], 0
        self._size += len(piece)
        if self._size > MAX_PICTURE_BYTES:
            self._pieces = []
            raise _bad(f"it has more than {MAX_PICTURE_BYTES} bytes")
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """The picture whose parts were taken."""
        data, self._pieces, self._size = b"".join(self._pieces), [], 0
        return data

    def show(self, data: bytes) -> None:
        """Blocks for some milliseconds. Raises `SourceError` (bad_picture)."""
        self._publish(decode(data), "jpeg" if data.startswith(b"\xff") else "png")

    def _publish(self, frame: VideoFrame, codec: str) -> None:
        with self._lock:
            now = time.monotonic()
            placed = self._clock.place(None, now)
            wall = time.time() - now + placed.moment
            self._publisher.publish(frame, placed.t, wall, codec=codec, fps=None, clock=self._clock.clock)


class PushedSource:
    """A source of which a client sends pictures and sound. It ends when it is closed."""

    def __init__(self, publisher: FramePublisher, sound: SourceSound) -> None:
        self.pictures = PushedPictures(publisher, LiveStreamClock())
        self._publisher = publisher
        self._sound = sound
        self._sound_t = 0.0

    def start(self) -> None:
        self.pictures.begin()
        self._sound.hearing.present(True)

    def hear(self, audio: Pcm) -> None:
        """The next piece of its sound. Raises `SourceError` (too_fast) where it is far before its time."""
        now = self.pictures.now
        if self._sound_t - now > AHEAD_S:
            raise SourceError(f"Sound may be sent {AHEAD_S:g} s before its time at most; wait.", code="too_fast")
        if now - self._sound_t > GAP_S:
            self._sound_t = now
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(audio.samples).reshape(1, -1), "s16", "mono")
        frame.sample_rate = audio.rate
        frame.time_base = Fraction(1, audio.rate)
        self._sound.hearing.feed(frame, self._sound_t)
        self._sound_t += audio.seconds

    def close(self) -> None:
        if self._publisher.clear():
            self._publisher.report(SourceReport(SourceStatus.ENDED, "ended", "The connection was closed."))
