"""Writes a session's inputs and effects as lines, so that `joyvl replay` can show what happened and why."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.events import Effect, Input
from joyvl_server.core.replay import encode_step, header

log = structlog.get_logger(__name__)

# About ten minutes of ticks: a disk that stands still longer loses lines of the log, never a tick.
QUEUE_LINES = 4096
CLOSE_TIMEOUT_S = 10.0


class Recorder:
    """A thread that appends JSON lines to one file; without a file it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_LINES)
        self._thread: threading.Thread | None = None
        self.dropped = 0

    @classmethod
    def open(cls, folder: Path | None, session_id: str, config: ObserverConfig) -> Recorder:
        recorder = cls(None if folder is None else folder / f"{session_id}.jsonl")
        if recorder._path is not None:
            recorder._put(header(config))
            recorder._thread = threading.Thread(target=recorder._run, name=f"recorder-{session_id}", daemon=True)
            recorder._thread.start()
        return recorder

    def write(self, input: Input, effects: Iterable[Effect]) -> None:
        if self._path is not None:
            self._put(encode_step(input, effects))

    async def aclose(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
            self._thread = None

    def _put(self, line: dict[str, Any]) -> None:
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                while (line := self._queue.get()) is not None:
                    file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
                    if self._queue.empty():
                        file.flush()
        except OSError as error:
            log.error("input log cannot be written", path=str(self._path), error=str(error))
            while self._queue.get() is not None:
                pass
