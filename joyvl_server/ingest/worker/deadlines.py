"""Deadlines for libav's blocking calls, per thread, that another thread may shorten.

libav asks a callback, some ten times a second, whether to go on waiting. PyAV's only compares `time.monotonic()`
with a timeout fixed when the file was opened, so a thread that waits for a frozen camera could not be told to stop.
We lend that one module a clock which says "too late" to a thread whose deadline has passed. Should a PyAV ever ask
another clock, its own timeouts, which we set as well, still end every wait, only later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import av.container.core

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to open a source, and seconds without a picture after which it is lost."""

    open_s: float
    stall_s: float


class Deadline:
    """`at`: the monotonic moment after which libav gives up in the thread that obeys it. Any thread may call it."""

    def __init__(self, at: float = NEVER) -> None:
        self.at = at
        self._cancelled = threading.Event()

    @property
    def passed(self) -> bool:
        return time.monotonic() > self.at

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def allow(self, seconds: float) -> None:
        """libav may wait so long from now on, but not once it was cancelled."""
        self.at = time.monotonic() + seconds
        if self._cancelled.is_set():
            self.at = 0.0

    def cancel(self) -> None:
        """The thread must end whatever it does now."""
        self._cancelled.set()
        self.at = 0.0

    def sleep(self, seconds: float) -> bool:
        """Blocks for so long at most. Returns whether it was cancelled meanwhile."""
        return self._cancelled.wait(max(0.0, seconds))


_LEAP_S = 1e6
_leaps = count(1)
_deadlines: dict[int, Deadline] = {}


class _Clock:
    """What `av.container.core` sees as the module `time`."""

    @staticmethod
    def monotonic() -> float:
        now = time.monotonic()
        deadline = _deadlines.get(threading.get_ident())
        if deadline is None or now <= deadline.at:
            return now
        # A leap beyond any timeout, and beyond the leap before: a wait that starts now must end now too.
        return now + _LEAP_S * next(_leaps)


@contextmanager
def libav_obeys(deadline: Deadline) -> Iterator[None]:
    """libav's calls in this thread obey `deadline` while inside."""
    av.container.core.time = _Clock  # type: ignore[attr-defined]
    ident = threading.get_ident()
    _deadlines[ident] = deadline
    try:
        yield
    finally:
        del _deadlines[ident]
