"""One source in a worker with its slot in the arena: pictures are made when asked for, once per frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from joyvl_server.core.errors import NoFrame
from joyvl_server.ingest.shared_frames import SharedFrames
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.frame_encoder import FrameEncoder
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.newest import DecodedFrame


class Showing(Protocol):
    """A pull, a lockstep file or a call."""

    @property
    def newest(self) -> DecodedFrame | None: ...


class FrameSlot:
    def __init__(
        self, source: Showing, trail: GreyHistory, slot: int, config: WorkerConfig, arena: SharedFrames
    ) -> None:
        self.source = source
        self.trail = trail
        self._running: asyncio.Task[None] | None = None
        self._end: Callable[[], None] | None = None
        self._slot = slot
        self._arena = arena
        self._painter = FrameEncoder(config.max_pixels, config.grey_side, config.jpeg_quality)
        self._lock = asyncio.Lock()
        self._sequence = 0
        self._painted: tuple[int, bool] = (0, False)
        self._closed = False

    def ends_with(self, running: asyncio.Task[None], end: Callable[[], None]) -> None:
        """A call: the task that runs it, and what makes that task end."""
        self._running, self._end = running, end

    async def hang_up(self, timeout_s: float) -> None:
        """End a call, and wait until it is freed."""
        if self._running is not None and self._end is not None:
            self._end()
            await asyncio.wait({self._running}, timeout=timeout_s)

    async def settle(self) -> None:
        """Return when nothing writes to the slot any more: another source may get it."""
        self._closed = True
        async with self._lock:
            pass

    async def look(self, painters: Executor, *, glance: bool) -> int:
        """The sequence number of the newest frame's picture in the arena. Raises `NoFrame`."""
        async with self._lock:
            newest = None if self._closed else self.source.newest
            if newest is None:
                raise NoFrame("There is no picture at the moment.", code="offline")
            number, has_glance = self._painted
            if number != newest.number or (glance and not has_glance):
                await asyncio.get_running_loop().run_in_executor(painters, self._paint, newest, glance)
            return self._sequence

    def _paint(self, newest: DecodedFrame, glance: bool) -> None:
        picture = self._painter.paint(newest.frame, glance=glance, aspect=newest.aspect)
        self._arena.write(self._slot, self._sequence + 1, newest.t, newest.wall, picture, newest.trail)
        self._sequence += 1
        self._painted = (newest.number, glance)
