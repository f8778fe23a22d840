"""A pulled source in a worker: one thread that connects, drains at full rate, and never gives up."""

from __future__ import annotations

import logging
import threading
import time
from random import Random
from typing import Protocol

import av

from joyvl_server.core.errors import NotAllowed, SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.backoff import SourceBackoff
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.ingest.stream_clock import FileStreamClock, LiveSoundClock, LiveStreamClock
from joyvl_server.ingest.worker.deadlines import NEVER, Deadline, Timeouts, libav_obeys
from joyvl_server.ingest.worker.opening import OpenedStream, frames, open_source, seconds
from joyvl_server.ingest.worker.publisher import DecodedFrame, FramePublisher, SourceReport, aspect_of
from joyvl_server.ingest.worker.sound_track import FileSound, LiveSound, SoundTrack
from joyvl_server.kit.net.policy import CheckedUrl, NetPolicy

log = logging.getLogger(__name__)

MAX_SKIPPED_OPENS = 6
"""Some server may not answer the short question that comes before: after this many in a row it is opened anyway."""
AWAY, AGAIN = "the camera was away", "the file began again"
"""why clips begin or end there"""
LAST_SOUND_S = 2.0
"""How long the end of a file waits for what is still to be told of its sound."""


class FrameReader(Protocol):
    """How the frames of one open source reach its publisher."""

    def read(self, url: CheckedUrl, deadline: Deadline) -> None:
        """Open it and publish its frames. Returns when it is over for good; raises `SourceError` when it is lost."""


class CameraReader:
    """Publishes each frame at once. `zero`: the moment from which stream time counts, where a worker has set it."""

    def __init__(self, publisher: FramePublisher, hearing: Hearing, timeouts: Timeouts, zero: float | None) -> None:
        self._publisher = publisher
        self._hearing = hearing
        self._timeouts = timeouts
        self._clock = LiveStreamClock(zero)
        self._sound_clock = LiveSoundClock(self._clock)

    def read(self, url: CheckedUrl, deadline: Deadline) -> None:
        """Never returns: a stream that ends is lost."""
        deadline.allow(self._timeouts.open_s)
        opened = open_source(url, self._timeouts, deadline)
        stall_s = self._timeouts.stall_s
        failure: av.FFmpegError | None = None
        try:
            self._clock.begin()
            self._sound_clock.begin()
            clips = self._publisher.clips
            if clips is not None:
                clips.begin(opened, LiveSoundClock(self._clock), AWAY)
            placer = LiveSound(self._hearing, self._sound_clock)
            sound = SoundTrack(opened, self._hearing, placer, kept=clips is not None)
            deadline.allow(stall_s)
            for frame in frames(opened, deadline, sound, clips):
                sound.adjust()
                now = time.monotonic()
                placed = self._clock.place(seconds(frame), now)
                wall = time.time() - now + placed.moment
                self._publisher.publish(
                    frame, placed.t, wall, codec=opened.codec, fps=opened.fps,
                    aspect=aspect_of(opened.sample_aspect_ratio), clock=self._clock.clock,
                )  # fmt: skip
                deadline.allow(stall_s)
        except av.FFmpegError as error:
            failure = error
        finally:
            opened.close()
        raise source_errors.camera_gone(failure, stall_s, late=deadline.passed)


class FileReader:
    """Publishes each frame when it is due. `start`: the stream time to go on from, where another worker was before."""

    def __init__(
        self, publisher: FramePublisher, hearing: Hearing, timeouts: Timeouts, spec: PullSpec, start: float
    ) -> None:
        self._publisher = publisher
        self._hearing = hearing
        self._timeouts = timeouts
        self._clock = FileStreamClock(spec.speed, start)
        self._speed = spec.speed
        self._loop = spec.loop
        self._start = start

    def read(self, url: CheckedUrl, deadline: Deadline) -> None:
        while True:
            deadline.allow(self._timeouts.open_s)
            opened = open_source(url, self._timeouts, deadline)
            try:
                damage = self._read_once(opened, deadline)
            finally:
                opened.close()
            if deadline.cancelled:
                return
            if not self._loop:
                if damage is not None:
                    raise damage
                return

    def _read_once(self, opened: OpenedStream, deadline: Deadline) -> SourceError | None:
        """From its start to its end. Returns what ended it early. Raises `SourceError` when it had no picture."""
        deadline.allow(NEVER)
        skip = self._seek(opened)
        frame_s = 1 / opened.fps if opened.fps else 0.04
        self._clock.begin(frame_s, skip)
        published = skip > 0
        damage: SourceError | None = None
        ahead = FileSound(self._hearing, self._clock, opened.start_s)
        clips = self._publisher.clips
        if clips is not None:
            clips.begin(opened, None, AGAIN)
        sound = SoundTrack(opened, self._hearing, ahead, kept=clips is not None)
        try:
            for frame in frames(opened, sound=sound, kept=clips):
                sound.adjust()
                pts = seconds(frame)
                position = None if pts is None else max(0.0, pts - opened.start_s)
                if position is not None and position < skip:
                    continue
                now = time.monotonic()
                placed = self._clock.place(position, now)
                if deadline.sleep(placed.moment - now):
                    return None
                ahead.due(placed.t)
                self._publisher.publish(
                    frame, placed.t, time.time(), codec=opened.codec, fps=opened.fps,
                    aspect=aspect_of(opened.sample_aspect_ratio), clock=self._clock.clock,
                )  # fmt: skip
                published = True
        except av.FFmpegError:
            damage = source_errors.file_broken()
        if not published:
            raise damage or source_errors.no_picture_in_file()
        ahead.finish()
        deadline.sleep(frame_s / self._speed)  # the last picture stays as long as the others
        return damage

    def _seek(self, opened: OpenedStream) -> float:
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


class PullSource:
    """Reports every change of state from its own thread.

    `hearing` gets its sound. `zero`: the moment a camera's stream time counts from. `start`: the stream time a file
    goes on from.
    """

    def __init__(
        self, spec: PullSpec, policy: NetPolicy, timeouts: Timeouts, publisher: FramePublisher, hearing: Hearing,
        *, zero: float | None = None, start: float = 0.0,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._policy = policy
        self._publisher = publisher
        self._hearing = hearing
        self._deadline = Deadline()
        self._backoff = SourceBackoff(Random())
        self._reader: FrameReader = (
            FileReader(publisher, hearing, timeouts, spec, start)
            if spec.is_file
            else CameraReader(publisher, hearing, timeouts, zero)
        )
        self._skipped_opens = 0
        self._last_code: str | None = None
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    @property
    def newest(self) -> DecodedFrame | None:
        """None while there is no picture."""
        return self._publisher.newest

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End the thread; blocks until it did. False: it still waits for a name server, and ends after that."""
        self._deadline.cancel()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with libav_obeys(self._deadline):
            while not self._deadline.cancelled:
                error = self._try()
                if self._publisher.clips is not None and not self._deadline.cancelled:
                    self._publisher.clips.lost(_cause(error))
                self._hearing.broke_off(lost=error is not None)
                self._hearing.present(False)
                if self._publisher.clear():
                    self._backoff.worked()
                if self._deadline.cancelled:
                    return
                if error is None:
                    self._hearing.flush(LAST_SOUND_S)
                    self._publisher.report(SourceReport(SourceStatus.ENDED, "ended", "The file has ended."))
                    return
                self._wait(error)

    def _try(self) -> SourceError | None:
        """One connection. Returns why it was lost; None when it is over for good."""
        try:
            self._deadline.allow(NEVER)
            url = self._policy.check(self._spec.url)  # at each try: by now a name may point elsewhere
            if self._backoff.attempts and url.path is None:
                self._check_reachable(url.url)
            self._reader.read(url, self._deadline)
            return None
        except SourceError as error:
            return error
        except NotAllowed as error:
            return SourceError(str(error), code="not_allowed")
        except Exception:  # this source's supervisor: one bad source must neither stop itself nor others
            if self._last_code != "internal":  # it is tried again every few seconds, and may fail so for days
                log.exception("a source failed in an unknown way")
            return SourceError("The source failed inside the server. Its log says more.", code="internal")

    def _check_reachable(self, url: str) -> None:
        """It was away: opening costs much more than finding that nobody is there yet. Raises `SourceError`."""
        error = source_errors.why_unreachable(url)
        if error is None or self._skipped_opens == MAX_SKIPPED_OPENS:
            self._skipped_opens = 0
            return
        self._skipped_opens += 1
        raise error

    def _wait(self, error: SourceError) -> None:
        self._last_code = error.code
        pause = self._backoff.failed(error.code)
        self._publisher.report(
            SourceReport(
                SourceStatus.OFFLINE, error.code, str(error), retry_in_s=pause, attempts=self._backoff.attempts
            )
        )
        self._deadline.sleep(pause)


def _cause(error: SourceError | None) -> str:
    """The sentence as a part of another one."""
    words = "The file ended" if error is None else str(error).rstrip(".")
    return words[:1].lower() + words[1:]
