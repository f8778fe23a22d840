"""The small grey pictures of the moments before the newest frame, for engines that follow movement."""

from __future__ import annotations

from collections import deque

from av.video.frame import VideoFrame

from joyvl_server.core.frame import Grey
from joyvl_server.ingest.worker.frame_encoder import GreyScaler

EVERY_S = 0.2
"""Five pictures a second: a walking person moves by less than her own width from one to the next."""
EARLY_S = 0.02
"""Frames do not come on the dot: one that is so much early still counts as due."""
KEPT = 10
"""Two seconds, so that a tick that is late misses nothing."""

TrailOf = tuple[tuple[float, Grey], ...]


class GreyHistory:
    """Costs nothing until it is `wanted`. Used by the one thread that decodes."""

    def __init__(self, grey_side: int) -> None:
        self.wanted = False
        self._greyer = GreyScaler(grey_side)
        self._kept: deque[tuple[float, Grey]] = deque(maxlen=KEPT)

    def before(self, frame: VideoFrame, t: float, aspect: float = 1.0) -> TrailOf:
        """What was kept before this frame, which is kept in its turn when it is due."""
        if not self.wanted:
            return ()
        earlier = tuple(self._kept)
        last = self._kept[-1][0] if self._kept else None
        if last is None or not 0 <= t - last < EVERY_S - EARLY_S:
            self._kept.append((t, self._greyer.grey(frame, aspect)))
        return earlier
