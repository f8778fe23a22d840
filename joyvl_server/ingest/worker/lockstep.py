"""A file without a clock of its own: it goes as far as it is asked, so that nothing is ever late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import av
from av.video.frame import VideoFrame

from joyvl_server.core.errors import JoyvlError, NoFrame, SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.ingest.stream_clock import STEP_S
from joyvl_server.ingest.worker.deadlines import Deadline
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.newest import DecodedFrame, SourceReport, Tell, aspect_of, online
from joyvl_server.ingest.worker.opening import Opened, frames, open_target, seconds
from joyvl_server.ingest.worker.stage import Timeouts
from joyvl_server.kit.net.policy import NetPolicy


class LockstepFile:
    """Stream time is the position in the file, plus what earlier loops took. Any thread may call its methods."""

    def __init__(self, spec: PullSpec, policy: NetPolicy, timeouts: Timeouts, tell: Tell, trail: GreyHistory) -> None:
        self.newest: DecodedFrame | None = None
        self._spec = spec
        self._policy = policy
        self._timeouts = timeouts
        self._tell = tell
        self._trail = trail
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._next: DecodedFrame | None = None
        self._base = 0.0
        self._number = 0
        self._wall0 = time.time()
        self._size: tuple[int, int] | None = None
        self._over: SourceError | None = None
        self._closed = False

    def advance(self, at: float | None) -> DecodedFrame:
        """The last frame with t <= `at` (the current one without `at`). Blocks. Raises `NoFrame`: ended, offline."""
        with self._lock:
            if self._closed:
                raise NoFrame("The file was closed.", code="ended")
            self._open()
            until = at if at is not None else (self.newest.t if self.newest is not None else 0.0)
            while self._next is not None and (self.newest is None or self._next.t <= until) and not self._closed:
                self._step()
            if self.newest is None or (self._next is None and until >= self.newest.t + self._frame_s):
                raise self._end()
            return self.newest

    def close(self, timeout_s: float) -> bool:
        """False: a step is still being made; the file is closed after it."""
        self._closed = True
        if not self._lock.acquire(timeout=timeout_s):
            return False
        try:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
            self.newest = self._next = None
            return True
        finally:
            self._lock.release()

    @property
    def _frame_s(self) -> float:
        fps = self._opened.fps if self._opened is not None else None
        return 1 / fps if fps else 0.04

    def _open(self) -> None:
        if self._opened is not None or self._over is not None:
            return
        try:
            self._load()
        except JoyvlError as error:
            self._tell(SourceReport(SourceStatus.OFFLINE, error.code, str(error), attempts=1))
            raise NoFrame(str(error), code="offline") from None

    def _load(self) -> None:
        """Open it and decode its first frame. Raises `SourceError`, `NotAllowed`."""
        target = self._policy.check(self._spec.url)
        self._opened = open_target(target, self._timeouts.open_s, self._timeouts.stall_s, Deadline())
        self._frames = frames(self._opened)
        self._next = self._decode()
        if self._next is None:
            self._opened.close()
            self._opened = None
            raise SourceError("There is no picture in the file that can be decoded.", code="not_a_stream")

    def _step(self) -> None:
        assert self._opened is not None
        assert self._next is not None
        shown = self._next
        self.newest = replace(shown, trail=self._trail.before(shown.frame, shown.t, shown.aspect))
        size = (self.newest.frame.width, self.newest.frame.height)
        if size != self._size:
            self._size = size
            self._tell(online(self.newest.frame, self._opened.fps, self._opened.codec))
        self._next = self._decode()
        if self._next is None and self._spec.loop:
            self._base = self.newest.t + self._frame_s
            self._opened.close()
            self._load()

    def _decode(self) -> DecodedFrame | None:
        assert self._opened is not None
        try:
            frame = next(self._frames, None)
        except av.FFmpegError:
            self._over = source_errors.file_broken()
            return None
        if frame is None:
            return None
        pts = seconds(frame)
        last = self.newest.t if self.newest is not None else None
        t = self._base + max(0.0, pts - self._opened.start_s) if pts is not None else (last or 0.0) + self._frame_s
        t = t if last is None else max(t, last + STEP_S)
        self._number += 1
        aspect = aspect_of(self._opened.stream.codec_context.sample_aspect_ratio)
        return DecodedFrame(frame, self._number, t, self._wall0 + t, aspect)

    def _end(self) -> NoFrame:
        over = self._over or SourceError("The file has ended.", code="ended")
        if self._size is not None:
            self._size = None
            self._tell(SourceReport(SourceStatus.ENDED, over.code, str(over)))
        self._over = over
        return NoFrame(str(over), code="ended")
