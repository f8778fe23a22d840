"""What a source in a worker holds and tells: its newest frame, and its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from av.video.frame import VideoFrame

from joyvl_server.ingest.base import SourceStatus
from joyvl_server.ingest.worker.grey_history import TrailOf


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """The frame decoded last, as the decoder gave it: nobody has looked at it yet, so nothing was converted.

    `number` tells one frame from the next. `aspect`: width of a pixel to its height. `trail`: the moments before.
    """

    frame: VideoFrame
    number: int
    t: float
    wall: float
    aspect: float = 1.0
    trail: TrailOf = ()


@dataclass(frozen=True, slots=True)
class SourceReport:
    """A state, as a worker tells main. `clock`: (monotonic moment, t) of its anchor."""

    status: SourceStatus
    error_code: str | None = None
    error: str | None = None
    retry_in_s: float | None = None
    attempts: int = 0
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    clock: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Tell = Callable[[SourceReport], None]
"""Called from any thread."""


def aspect_of(ratio: object) -> float:
    """A sample aspect ratio as a number; 1 where it is unknown or nonsense."""
    value = float(ratio) if ratio else 1.0  # type: ignore[arg-type]
    return value if 0.2 < value < 5.0 else 1.0


def online(frame: VideoFrame, fps: float | None, codec: str, clock: tuple[float, float] | None = None) -> SourceReport:
    return SourceReport(SourceStatus.ONLINE, width=frame.width, height=frame.height, fps=fps, codec=codec, clock=clock)
