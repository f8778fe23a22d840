"""How the frames of one open source reach its stage: a camera's at once, a file's when they are due."""

from __future__ import annotations

import time
from typing import Protocol

import av

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.stream_clock import FileStreamClock, LiveStreamClock
from joyvl_server.ingest.worker.deadlines import NEVER
from joyvl_server.ingest.worker.opening import Opened, frames, open_target, seconds
from joyvl_server.ingest.worker.stage import FramePublisher
from joyvl_server.kit.net.policy import CheckedUrl


class FrameReader(Protocol):
    def play(self, target: CheckedUrl, stage: FramePublisher) -> None:
        """Open it and show its frames. Returns when it is over for good; raises `SourceError` when it is lost."""


class CameraReader:
    """`zero`: the moment from which its stream time counts, where a worker before this one has shown a picture."""

    def __init__(self, zero: float | None) -> None:
        self._timeline = LiveStreamClock(zero)

    def play(self, target: CheckedUrl, stage: FramePublisher) -> None:
        """Never returns: a stream that ends is lost."""
        opened = _open(target, stage)
        failure: av.FFmpegError | None = None
        try:
            self._timeline.begin()
            stage.within(stage.timeouts.stall_s)
            for frame in frames(opened, stage.deadline):
                now = time.monotonic()
                placed = self._timeline.place(seconds(frame), now)
                stage.show(opened, frame, placed.t, time.time() - now + placed.moment, self._timeline.clock)
                stage.within(stage.timeouts.stall_s)
        except av.FFmpegError as error:
            failure = error
        finally:
            opened.close()
        raise source_errors.camera_gone(failure, stage.timeouts.stall_s, late=stage.deadline.passed)


class FileReader:
    """`start`: the stream time to go on from, when a worker takes the file over from one that died."""

    def __init__(self, speed: float, loop: bool, start: float) -> None:
        self._timeline = FileStreamClock(speed, start)
        self._speed = speed
        self._loop = loop
        self._start = start

    def play(self, target: CheckedUrl, stage: FramePublisher) -> None:
        while True:
            opened = _open(target, stage)
            try:
                damage = self._once(opened, stage)
            finally:
                opened.close()
            if stage.stopped:
                return
            if not self._loop:
                if damage is not None:
                    raise damage
                return

    def _once(self, opened: Opened, stage: FramePublisher) -> SourceError | None:
        """From its start to its end. Returns what ended it early. Raises `SourceError` when it showed nothing."""
        stage.within(NEVER)
        skip = self._seek(opened)
        frame_s = 1 / opened.fps if opened.fps else 0.04
        self._timeline.begin(frame_s, skip)
        shown = skip > 0
        damage: SourceError | None = None
        try:
            for frame in frames(opened):
                pts = seconds(frame)
                position = None if pts is None else max(0.0, pts - opened.start_s)
                if position is not None and position < skip:
                    continue
                now = time.monotonic()
                placed = self._timeline.place(position, now)
                if stage.pause(placed.moment - now):
                    return None
                stage.show(opened, frame, placed.t, time.time(), self._timeline.clock)
                shown = True
        except av.FFmpegError:
            damage = source_errors.file_broken()
        if not shown:
            raise damage or SourceError("There is no picture in the file that can be decoded.", code="not_a_stream")
        stage.pause(frame_s / self._speed)  # the last picture stays as long as the others
        return damage

    def _seek(self, opened: Opened) -> float:
        """Go to where the worker before us was. Returns that position, 0 for the start."""
        start, self._start = self._start, 0.0
        duration = opened.duration_s
        if not start or not duration:
            return 0.0
        position = start % duration if self._loop else start
        try:
            opened.container.seek(int((opened.start_s + position) * 1e6))
        except av.FFmpegError:
            return 0.0
        return position


def _open(target: CheckedUrl, stage: FramePublisher) -> Opened:
    timeouts = stage.timeouts
    stage.within(timeouts.open_s)
    return open_target(target, timeouts.open_s, timeouts.stall_s, stage.deadline)
