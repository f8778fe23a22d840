"""How far a download is: on a terminal one line that changes, in a log a line now and then."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from typing import TextIO

import typer

from joyvl_server.kit.clock import Clock, SystemClock

LINE_EVERY_S = 15.0
SHOW_EVERY_S = 0.2
RATE_OVER_S = 20.0
LEAST_RATE_S = 2.0


class PercentLines:
    """A line for each tenth of a file: readable on a terminal and in a log."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def progress(self, name: str, done: int, total: int) -> None:
        tenth = 10 if total == 0 else done * 10 // total
        if self._told.get(name) != tenth:
            self._told[name] = tenth
            typer.echo(f"  {name}: {tenth * 10} % of {total / 1e6:.1f} MB")


class TotalProgress:
    """Of many large files together: percent, bytes, rate, time left."""

    def __init__(self, stream: TextIO | None = None, clock: Clock | None = None) -> None:
        self._stream = stream or sys.stdout
        self._clock = clock or SystemClock()
        self._terminal = self._stream.isatty()
        self._total = 0
        self._files: dict[str, int] = {}
        self._shown_at = float("-inf")
        self._recent: deque[tuple[float, int]] = deque()

    def total(self, there: Mapping[str, int], total: int) -> None:
        """See `SnapshotProgress`."""
        self._files, self._total = dict(there), total
        done = sum(there.values())
        self._recent.append((self._clock.monotonic(), done))
        self._line(f"  {_size(done, total)} are there.")

    def progress(self, name: str, done: int, total: int) -> None:
        """See `DownloadProgress`."""
        if not self._total:
            return  # the index, before anything is known
        now = self._clock.monotonic()
        self._files[name] = done
        self._recent.append((now, sum(self._files.values())))
        while now - self._recent[0][0] > RATE_OVER_S and len(self._recent) > 2:
            self._recent.popleft()
        whole = done == total
        if whole or now - self._shown_at >= (SHOW_EVERY_S if self._terminal else LINE_EVERY_S):
            self._shown_at = now
            self._show(f"{name} is whole" if whole else name, lasting=whole)

    def _show(self, name: str, *, lasting: bool) -> None:
        (began, then), (now, done) = self._recent[0], self._recent[-1]
        text = f"  {100 * done // self._total:3} %  {_size(done, self._total)}"
        if now - began >= LEAST_RATE_S and done > then:
            rate = (done - then) / (now - began)
            text += f"  {rate / 1e6:.1f} MB/s  {_duration((self._total - done) / rate)} left"
        self._line(f"{text}  {name}", lasting=lasting)

    def _line(self, text: str, *, lasting: bool = True) -> None:
        if self._terminal:
            self._stream.write(f"\r\x1b[K{text}" + ("\n" if lasting else ""))
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()


def _size(done: int, total: int) -> str:
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{done / unit:.1f} of {total / unit:.1f} {name}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
