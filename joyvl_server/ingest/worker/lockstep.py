"""A file without a clock: it advances only as far as it is asked, so that nothing is ever late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import av
from av.video.frame import VideoFrame

from joyvl_server.core.errors import JoyvlError, NoFrame, SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.ingest.stream_clock import STEP_S
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts
from joyvl_server.ingest.worker.opening import OpenedStream, frames, open_source, seconds
from joyvl_server.ingest.worker.publisher import DecodedFrame, FramePublisher, SourceReport, aspect_of
from joyvl_server.ingest.worker.sound_track import FileSound, SoundTrack
from joyvl_server.kit.net.policy import NetPolicy

SOUND_TIMEOUT_S = 20.0
"""How long the analysis of sound may hold a file up: a minute of it takes a second."""


class LockstepFile:
    """Stream time is the position in the file, plus what earlier loops took. Any thread may call its methods.

    `hearing` gets its sound, and has told what there is to tell when `advance` returns.
    """

    def __init__(
        self, spec: PullSpec, policy: NetPolicy, timeouts: Timeouts, publisher: FramePublisher, hearing: Hearing
    ) -> None:
        self._spec = spec
        self._policy = policy
        self._timeouts = timeouts
        self._publisher = publisher
        self._hearing = hearing
        self._sound: SoundTrack | None = None
        self._ahead: FileSound | None = None
        self._lock = threading.Lock()
        self._opened: OpenedStream | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._next: tuple[VideoFrame, float] | None = None
        """the frame after the newest, with its t"""
        self._base = 0.0
        self._wall0 = time.time()
        self._end: SourceError | None = None
        self._end_reported = False
        self._closed = False

    def advance(self, at: float | None) -> DecodedFrame:
        """The last frame with t <= `at` (the current one without `at`). Blocks. Raises `NoFrame`: ended, offline."""
        with self._lock:
            if self._closed:
                raise NoFrame("The file was closed.", code="ended")
            self._open()
            newest = self._publisher.newest
            until = at if at is not None else (newest.t if newest is not None else 0.0)
            while self._next is not None and (newest is None or self._next[1] <= until) and not self._closed:
                newest = self._step(*self._next)
            self._hearing.flush(SOUND_TIMEOUT_S)
            if newest is None or (self._next is None and until >= newest.t + self._frame_s):
                raise self._ended()
            return newest

    def close(self, timeout_s: float) -> bool:
        """False: a step is still being made; the file is closed after it."""
        self._closed = True
        if not self._lock.acquire(timeout=timeout_s):
            return False
        try:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
            self._next = None
            self._hearing.present(False)
            self._publisher.clear()
            return True
        finally:
            self._lock.release()

    @property
    def _frame_s(self) -> float:
        fps = self._opened.fps if self._opened is not None else None
        return 1 / fps if fps else 0.04

    def _open(self) -> None:
        if self._opened is not None or self._end is not None:
            return
        try:
            self._load()
        except JoyvlError as error:
            self._publisher.report(SourceReport(SourceStatus.OFFLINE, error.code, str(error), attempts=1))
            raise NoFrame(str(error), code="offline") from None

    def _load(self) -> None:
        """Open it and decode its first frame. Raises `SourceError`, `NotAllowed`."""
        url = self._policy.check(self._spec.url)
        self._opened = open_source(url, self._timeouts, Deadline())
        self._ahead = FileSound(self._hearing, self, self._opened.start_s, wait=True)
        self._sound = SoundTrack(self._opened, self._hearing, self._ahead)
        self._frames = frames(self._opened, sound=self._sound)
        self._next = self._decode()
        if self._next is None:
            self._opened.close()
            self._opened = None
            raise source_errors.no_picture_in_file()

    def stream_time(self, position: float) -> float | None:
        """See `PositionClock`."""
        return None if position < 0 else self._base + position

    def _step(self, frame: VideoFrame, t: float) -> DecodedFrame:
        assert self._opened is not None
        assert self._sound is not None
        assert self._ahead is not None
        newest = self._publisher.publish(
            frame, t, self._wall0 + t, codec=self._opened.codec, fps=self._opened.fps,
            aspect=aspect_of(self._opened.sample_aspect_ratio),
        )  # fmt: skip
        self._sound.adjust()
        self._ahead.due(t)
        self._next = self._decode()
        if self._next is None:
            self._ahead.finish()
        if self._next is None and self._spec.loop:
            self._base = t + self._frame_s
            self._opened.close()
            self._load()
        return newest

    def _decode(self) -> tuple[VideoFrame, float] | None:
        assert self._opened is not None
        try:
            frame = next(self._frames, None)
        except av.FFmpegError:
            self._end = source_errors.file_broken()
            return None
        if frame is None:
            return None
        pts = seconds(frame)
        newest = self._publisher.newest
        last = newest.t if newest is not None else None
        t = self._base + max(0.0, pts - self._opened.start_s) if pts is not None else (last or 0.0) + self._frame_s
        return frame, t if last is None else max(t, last + STEP_S)

    def _ended(self) -> NoFrame:
        end = self._end = self._end or SourceError("The file has ended.", code="ended")
        if not self._end_reported and self._publisher.newest is not None:
            self._end_reported = True
            self._hearing.broke_off(lost=False)
            self._hearing.flush(SOUND_TIMEOUT_S)
            self._publisher.report(SourceReport(SourceStatus.ENDED, end.code, str(end)))
        return NoFrame(str(end), code="ended")
