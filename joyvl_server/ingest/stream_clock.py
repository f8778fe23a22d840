"""From a frame's pts to its capture time: the stream clock of one source.

Moments are seconds of the machine's monotonic clock, the same in main and in every worker. `t` is stream time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

STEP_S = 1e-5
"""Two frames never have the same time: that is how callers tell them apart."""
BACK_S = 0.5
"""A pts this much before the last one is a jump: the camera restarted its clock or its file."""
WINDOW_S = 10.0
BEHIND_S = 1.0


@dataclass(frozen=True, slots=True)
class PlacedFrame:
    """`t`: stream seconds. `moment`: when the camera saw it, or when a file's frame is due."""

    t: float
    moment: float


class StreamClock(Protocol):
    def place(self, pts: float | None, arrival: float) -> PlacedFrame:
        """The next frame. `pts` in seconds, None where the stream gives none; `arrival` is the present moment."""


class LiveStreamClock:
    """Live sources: stream time is the seconds since the first picture, so that a gap shows as a gap.

    `zero`: the moment of that picture where another worker has shown it, else None until there is one.

    The pts are anchored to the arrival of the frame that came fastest: capture time is then free of the network's
    jitter. Every ten seconds the anchor follows the camera's clock, which drifts by seconds a day.
    """

    def __init__(self, zero: float | None = None) -> None:
        self.zero = zero
        self._offset: float | None = None
        self._pts = 0.0
        self._last = float("-inf") if zero is None else zero
        self._window_end = 0.0
        self._window_lag = 0.0

    def begin(self) -> None:
        self._offset = None

    def place(self, pts: float | None, arrival: float) -> PlacedFrame:
        captured = arrival if pts is None else self._captured(pts, arrival)
        self._last = max(captured, self._last + STEP_S)
        if self.zero is None:
            self.zero = self._last
        return PlacedFrame(self._last - self.zero, self._last)

    @property
    def clock(self) -> tuple[float, float] | None:
        """(moment, t) of the anchor, as it is reported to main."""
        return None if self.zero is None else (self.zero, 0.0)

    def _captured(self, pts: float, arrival: float) -> float:
        if self._offset is None or pts < self._pts - BACK_S:
            self._offset = arrival - pts
            self._new_window(arrival)
        self._pts = pts
        lag = arrival - pts - self._offset
        if lag < 0:  # it came faster than the anchor's frame did
            self._offset += lag
            lag = 0.0
        self._window_lag = min(self._window_lag, lag)
        if arrival >= self._window_end:
            self._offset += self._window_lag
            self._new_window(arrival)
        return pts + self._offset

    def _new_window(self, arrival: float) -> None:
        self._window_end = arrival + WINDOW_S
        self._window_lag = float("inf")


class LiveSoundClock:
    """Places the sound of a live source on the stream clock of its picture: anchored to arrival like that, on its own,
    since the timestamps of two tracks have nothing to do with one another.

    `late_s`: how long a frame is held back before it is handed on.
    """

    def __init__(self, picture: LiveStreamClock, late_s: float = 0.0) -> None:
        self._picture = picture
        self._late_s = late_s
        self._clock: LiveStreamClock | None = None

    def begin(self) -> None:
        """Another track, or another connection."""
        self._clock = None

    def place(self, pts: float | None, seconds: float, arrival: float) -> float | None:
        """Stream time of the first sample of a frame so long; None while there has been no picture."""
        if self._clock is None:
            if self._picture.zero is None:
                return None
            self._clock = LiveStreamClock(self._picture.zero)
        end = None if pts is None else pts + seconds
        return self._clock.place(end, arrival - self._late_s).t - seconds


class FileStreamClock:
    """Files at a speed: stream time is the position in the file, plus what earlier loops took.

    The clock starts with the first frame. A machine too slow for the speed moves the clock instead of falling ever
    further behind: see `clock`. `start`: the stream time to go on from, where another worker has played before.
    """

    def __init__(self, speed: float, start: float = 0.0) -> None:
        self.clock: tuple[float, float] | None = None
        """(moment, t) of the anchor: at any other moment, t is that t + seconds since * speed. None until it starts."""
        self._speed = speed
        self._base = start
        self._skip = 0.0
        self._frame_s = 0.04
        self._last: float | None = None

    def begin(self, frame_s: float = 0.04, skip: float = 0.0) -> None:
        """The file from its start, or from position `skip` on. `frame_s`: how long one frame lasts."""
        self._frame_s = frame_s
        self._skip = skip
        if self._last is not None:
            self._base = self._last + frame_s

    def stream_time(self, position: float) -> float | None:
        """Where the sound at this position is. None: nowhere, as it is before what is played."""
        return None if position < self._skip else self._base + position - self._skip

    def place(self, pts: float | None, arrival: float) -> PlacedFrame:
        """`pts`: the position in the file, from 0."""
        last = self._last
        if pts is not None:
            t = self._base + pts - self._skip
            self._last = t = t if last is None else max(t, last + STEP_S)
        else:
            self._last = t = self._base if last is None else last + self._frame_s
        if self.clock is None:
            self.clock = (arrival, t)
        moment = self.clock[0] + (t - self.clock[1]) / self._speed
        if arrival - moment > BEHIND_S:
            self.clock = (arrival, t)
            moment = arrival
        return PlacedFrame(t, moment)
