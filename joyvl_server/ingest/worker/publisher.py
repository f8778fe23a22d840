"""What a source in a worker publishes: its newest frame, and its state for main."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from av.video.frame import VideoFrame

from joyvl_server.ingest.base import SourceFacts, SourceStatus
from joyvl_server.ingest.worker.clips.recorder import ClipRecorder
from joyvl_server.ingest.worker.grey_history import GreyHistory, GreyTrail


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame as the decoder gave it. Nothing is converted before somebody looks at it.

    `number` tells one frame from the next. `t`: stream seconds; `wall`: Unix seconds. `aspect`: width of a pixel to its
    height. `trail`: the grey pictures of the moments before.
    """

    frame: VideoFrame
    number: int
    t: float
    wall: float
    aspect: float = 1.0
    trail: GreyTrail = ()


@dataclass(frozen=True, slots=True)
class SourceReport(SourceFacts):
    """How it is, as a worker reports it to main. `clock`: (monotonic moment, t) of the stream clock's anchor."""

    clock: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class StateReporter(Protocol):
    """Takes the states of one source to main."""

    def report(self, report: SourceReport) -> None:
        """Called from any thread. Does not block."""


class FramePublisher:
    """One thread publishes; any thread may read `newest`, which is None while there is no picture.

    `clips`: cuts clips out of the source; None where there are none.
    """

    def __init__(self, reporter: StateReporter, history: GreyHistory, clips: ClipRecorder | None = None) -> None:
        self.newest: DecodedFrame | None = None
        self.history = history
        self.clips = clips
        self._reporter = reporter
        self._number = 0
        self._reported: tuple[object, ...] | None = None

    def publish(
        self, frame: VideoFrame, t: float, wall: float,
        *, codec: str, fps: float | None, aspect: float = 1.0, clock: tuple[float, float] | None = None,
    ) -> DecodedFrame:  # fmt: skip
        """Make this the newest frame. Reports when it is the first one, or when its size, rate or clock changed."""
        self._number += 1
        self.newest = DecodedFrame(frame, self._number, t, wall, aspect, self.history.record(frame, t, aspect))
        if self.clips is not None:
            self.clips.placed(frame, t)
        facts = (frame.width, frame.height, fps, clock)
        if facts != self._reported:
            self._reported = facts
            self.report(
                SourceReport(
                    SourceStatus.ONLINE, width=frame.width, height=frame.height, fps=fps, codec=codec, clock=clock
                )
            )
        return self.newest

    @property
    def count(self) -> int:
        """Pictures published so far."""
        return self._number

    def clear(self) -> bool:
        """Show no picture from now on. Returns whether there was one."""
        had = self.newest is not None
        self.newest = self._reported = None
        return had

    def report(self, report: SourceReport) -> None:
        self._reporter.report(report)


def aspect_of(ratio: object) -> float:
    """A sample aspect ratio as a number; 1 where it is unknown or nonsense."""
    value = float(ratio) if ratio else 1.0  # type: ignore[arg-type]
    return value if 0.2 < value < 5.0 else 1.0
