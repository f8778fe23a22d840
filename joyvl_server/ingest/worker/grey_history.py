"""The small grey pictures of the moments before the newest frame, for engines that follow movement."""

from __future__ import annotations

from collections import deque

from av.video.frame import VideoFrame

from joyvl_server.core.frame import Grey
from joyvl_server.ingest.worker.frame_encoder import GreyScaler

INTERVAL_S = 0.2
"""Five pictures a second: a walking person moves by less than her own width from one to the next."""
TOLERANCE_S = 0.02
"""Frames do not come on the dot: one that is so much early still counts as due."""
TRAIL_LENGTH = 10
"""Two seconds, so that a tick that is late misses nothing."""

GreyTrail = tuple[tuple[float, Grey], ...]
"""(stream seconds, picture), oldest first."""


class GreyHistory:
    """Costs nothing until it is `wanted`. Only the thread that decodes records."""

    def __init__(self, grey_side: int) -> None:
        self.wanted = False
        self._scaler = GreyScaler(grey_side)
        self._kept: deque[tuple[float, Grey]] = deque(maxlen=TRAIL_LENGTH)

    def record(self, frame: VideoFrame, t: float, aspect: float = 1.0) -> GreyTrail:
        """Keep this frame when it is due. Returns what was kept before it."""
        if not self.wanted:
            return ()
        earlier = tuple(self._kept)
        last = self._kept[-1][0] if self._kept else None
        if last is None or not 0 <= t - last < INTERVAL_S - TOLERANCE_S:
            self._kept.append((t, self._scaler.grey(frame, aspect)))
        return earlier
