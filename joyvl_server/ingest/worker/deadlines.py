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
from itertools import count

import av.container.core

NEVER = float("inf")


class Deadline:
    """`at`: the monotonic moment after which libav gives up in the thread that holds it. Any thread may set it."""

    def __init__(self, at: float = NEVER) -> None:
        self.at = at

    @property
    def passed(self) -> bool:
        return time.monotonic() > self.at


_LEAP_S = 1e6
_leaps = count(1)
_held: dict[int, Deadline] = {}


class _Clock:
    """What `av.container.core` sees as the module `time`."""

    @staticmethod
    def monotonic() -> float:
        now = time.monotonic()
        deadline = _held.get(threading.get_ident())
        if deadline is None or now <= deadline.at:
            return now
        # A leap beyond any timeout, and beyond the leap before: a wait that starts now must end now too.
        return now + _LEAP_S * next(_leaps)


@contextmanager
def hold(deadline: Deadline) -> Iterator[None]:
    """libav's calls in this thread obey `deadline` while inside."""
    av.container.core.time = _Clock  # type: ignore[attr-defined]
    ident = threading.get_ident()
    _held[ident] = deadline
    try:
        yield
    finally:
        del _held[ident]
