"""One source's place in shared memory: its newest frame is encoded when somebody asks, once per frame."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from joyvl_server.core.errors import NoFrame
from joyvl_server.ingest.shared_frames import SharedFrames
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.frame_encoder import FrameEncoder
from joyvl_server.ingest.worker.publisher import DecodedFrame, FramePublisher


class FrameSlot:
    """`slot`: its number in `memory`. Only for the worker's loop."""

    def __init__(self, publisher: FramePublisher, slot: int, config: WorkerConfig, memory: SharedFrames) -> None:
        self._publisher = publisher
        self._slot = slot
        self._memory = memory
        self._encoder = FrameEncoder(config.max_pixels, config.grey_side, config.jpeg_quality)
        self._lock = asyncio.Lock()
        self._sequence = 0
        self._encoded: tuple[int, bool] = (0, False)
        """number of the frame that was encoded last, and whether with its glance"""
        self._released = False

    async def encode_newest(self, encoders: Executor, *, glance: bool) -> int:
        """The sequence number of the newest frame's picture in shared memory. Raises `NoFrame`.

        Cancelled, it waits no longer; a picture that is being encoded is written all the same.
        """
        async with self._lock:
            newest = None if self._released else self._publisher.newest
            if newest is None:
                raise NoFrame("There is no picture at the moment.", code="offline")
            number, has_glance = self._encoded
            if number != newest.number or (glance and not has_glance):
                await asyncio.get_running_loop().run_in_executor(encoders, self._encode, newest, glance)
            return self._sequence

    async def release(self) -> None:
        """Return when nothing writes to the slot any more, so that another source may get it.

        Cancelled, it may return earlier than that.
        """
        self._released = True
        async with self._lock:
            pass

    def _encode(self, newest: DecodedFrame, glance: bool) -> None:
        picture = self._encoder.encode(newest.frame, glance=glance, aspect=newest.aspect)
        self._memory.write(self._slot, self._sequence + 1, newest.t, newest.wall, picture, newest.trail)
        self._sequence += 1
        self._encoded = (newest.number, glance)
