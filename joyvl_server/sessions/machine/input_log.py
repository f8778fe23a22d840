"""Writes a session's inputs and effects as lines, so that `joyvl replay` can show what happened and why."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Effect
from joyvl_server.core.inputs import Input
from joyvl_server.core.replay import encode_step, header

log = structlog.get_logger(__name__)

# About ten minutes of ticks: a disk that stands still longer loses lines of the log, never a tick.
QUEUE_LINES = 4096
CLOSE_TIMEOUT_S = 2.0


class InputLog:
    """A thread that appends JSON lines to one file; without a file it does nothing. A disk that hangs holds nobody."""

    def __init__(self, path: Path | None) -> None:
        self.recording = path is not None
        self._path = path
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_LINES)
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # who waits for it may be cancelled; the thread is not
        self._closing = False
        self._given_up = False
        self._refused = 0
        self._unwritten = 0

    @classmethod
    def open(cls, folder: Path | None, session_id: str, config: ObserverConfig) -> InputLog:
        recorder = cls(None if folder is None else folder / f"{session_id}.jsonl")
        if recorder._path is not None:
            recorder._put(header(config))
            recorder._thread = threading.Thread(target=recorder._run, name=f"recorder-{session_id}", daemon=True)
            recorder._thread.start()
        return recorder

    @property
    def dropped(self) -> int:
        """Lines that were lost."""
        return self._refused + self._unwritten

    def write(self, input: Input, effects: Iterable[Effect]) -> None:
        if self._path is not None:
            self._put(encode_step(input, effects))

    async def aclose(self) -> None:
        """Write what is queued. A disk that hangs gets `CLOSE_TIMEOUT_S`; then the rest is lost, which is counted.

        Cancelled, it leaves the thread to end by itself.
        """
        if self._thread is None:
            return
        self._thread = None
        self._closing = True
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            pass  # the thread ends when it has written all of it
        try:
            await asyncio.wait({asyncio.wrap_future(self._ended)}, timeout=CLOSE_TIMEOUT_S)
        finally:
            if not self._ended.done():
                self._given_up = True
                self._unwritten += sum(line is not None for line in list(self._queue.queue)) + 1
        if self.dropped:
            log.warning("input log lost lines", path=str(self._path), lines=self.dropped)

    def _put(self, line: dict[str, Any]) -> None:
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._refused += 1
            if self._refused == 1:
                log.error("input log drops lines", path=str(self._path), reason="the disk does not keep up")

    def _run(self) -> None:
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                while (line := self._next()) is not None:
                    file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
                    if self._queue.empty():
                        file.flush()
        except OSError as error:
            log.error("input log cannot be written", path=str(self._path), error=str(error))
            while not self._given_up and self._next() is not None:
                self._unwritten += 1
        finally:
            self._ended.set_result(None)

    def _next(self) -> dict[str, Any] | None:
        """The next line; None when there is none any more."""
        if self._given_up or (self._closing and self._queue.empty()):
            return None
        return self._queue.get()
