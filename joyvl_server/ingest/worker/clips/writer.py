"""Writes clips one after another in a thread of its own, so that no source waits for a disk."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder, CutClip
from joyvl_server.ingest.worker.clips.material import ClipMaterial
from joyvl_server.ingest.worker.clips.mp4 import write_clip

log = logging.getLogger(__name__)

QUEUED = 32
QUEUED_BYTES = 256 * 1024 * 1024
"""of packets that wait to be written"""


@dataclass(frozen=True, slots=True, eq=False)
class ClipJob:
    material: ClipMaterial
    order: ClipOrder
    outcome: Future[CutClip]


class ClipWriter:
    """One for a media worker; its thread starts with the first clip. Any thread may submit."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[ClipJob | None] = queue.Queue(QUEUED)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of packets that wait to be written."""
        return self._size

    def submit(self, material: ClipMaterial, order: ClipOrder, outcome: Future[CutClip]) -> None:
        """See `MaterialWriter`."""
        with self._lock:
            if self._size + material.size > QUEUED_BYTES or self._jobs.full():
                outcome.set_exception(SourceError("There is no clip: the disk does not keep up.", code="busy"))
                return
            self._size += material.size
            self._jobs.put_nowait(ClipJob(material, order, outcome))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clip writer", daemon=True)
                self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Write what waits, then end. Blocks for so long at most."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._jobs.full():
                return
            self._jobs.put_nowait(None)
        thread.join(timeout_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.outcome.set_result(write_clip(job.material, job.order.path))
            except SourceError as error:
                job.outcome.set_exception(error)
            except Exception:  # the edge of one clip: the next one is written all the same
                log.exception("a clip could not be written")
                job.outcome.set_exception(
                    SourceError("There is no clip: writing it failed. The server's log says more.", code="internal")
                )
            with self._lock:
                self._size -= job.material.size
