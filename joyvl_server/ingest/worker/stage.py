"""Where the thread of one source shows its frames, and how another thread stops it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from av.video.frame import VideoFrame

from joyvl_server.ingest.worker.deadlines import Deadline
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.newest import DecodedFrame, Tell, aspect_of, online
from joyvl_server.ingest.worker.opening import Opened


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to open a source, and seconds without a picture after which it is lost."""

    open_s: float
    stall_s: float


class FramePublisher:
    """`newest` is None while there is nothing to look at."""

    def __init__(self, timeouts: Timeouts, tell: Tell, trail: GreyHistory) -> None:
        self.trail = trail
        self.timeouts = timeouts
        self.deadline = Deadline()
        self.newest: DecodedFrame | None = None
        self.tell = tell
        self._stop = threading.Event()
        self._number = 0
        self._aspect = 1.0
        self._told: tuple[object, ...] | None = None

    def within(self, seconds: float) -> None:
        """libav may wait so long from now on, but not after a stop."""
        self.deadline.at = time.monotonic() + seconds
        if self._stop.is_set():
            self.deadline.at = 0.0

    def pause(self, seconds: float) -> bool:
        """Wait. True: it was stopped meanwhile."""
        return self._stop.wait(max(0.0, seconds))

    def stop(self) -> None:
        """From another thread: whatever it does, it is to end now."""
        self._stop.set()
        self.deadline.at = 0.0

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def show(
        self, opened: Opened, frame: VideoFrame, t: float, wall: float, clock: tuple[float, float] | None = None
    ) -> None:
        """The newest frame from now on. Tells when it is the first one, or its size or clock is new."""
        facts = (frame.width, frame.height, clock)
        new = facts != self._told
        if new:
            self._told = facts
            self._aspect = aspect_of(opened.stream.codec_context.sample_aspect_ratio)
        self._number += 1
        trail = self.trail.before(frame, t, self._aspect)
        self.newest = DecodedFrame(frame, self._number, t, wall, self._aspect, trail)
        if new:
            self.tell(online(frame, opened.fps, opened.codec, clock))

    def clear(self) -> bool:
        """Nothing to look at any more. True: there was something since the last time."""
        had = self._told is not None
        self.newest = None
        self._told = None
        return had
