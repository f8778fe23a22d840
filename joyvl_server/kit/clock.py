"""The clock, which everything takes as an argument so that tests can set it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""

    def wall(self) -> float:
        """Unix seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds of this clock. Cancelling it only ends the wait."""


class SystemClock:
    """The machine's own clock. Its monotonic time is the same in every process of the machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`. Cancelling it only ends the wait."""
        await asyncio.sleep(seconds)


async def wait_until(clock: Clock, event: asyncio.Future[Any] | Coroutine[Any, Any, object], until: float) -> bool:
    """Wait for `event`, at most until the monotonic time `until`; True when it came.

    A coroutine that did not come in time, or whose caller is cancelled, is cancelled; a future is left alone.
    """
    if isinstance(event, asyncio.Future) and event.done():
        return True
    ours = not isinstance(event, asyncio.Future)
    waiting = asyncio.ensure_future(event)
    sleeping = asyncio.ensure_future(clock.sleep(max(0.0, until - clock.monotonic())))
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done()
    finally:
        sleeping.cancel()
        if ours:
            waiting.cancel()


UNWRITTEN = 60_000_000
"""How far the numbers in use may be ahead of those in the store: ticks are written within seconds."""


class UniqueNumbers:
    """Microseconds of the wall clock, for ids of ticks and epochs of utterances. Each is greater than all before it.

    One for the process. Two moments may fall in one microsecond, and a clock may be set back: numbers grow all the
    same.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + 1, self._now())
        return self._last

    def used(self, number: int) -> None:
        """This one is taken; only greater ones follow."""
        self._last = max(self._last, number)

    def stored(self, number: int) -> None:
        """The greatest that an earlier process has written. What it had not written is left out too: the clock is
        past that, or was set back, and then a minute is left out."""
        self.used(number if number < self._now() else number + UNWRITTEN)

    def _now(self) -> int:
        return round(self._clock.wall() * 1e6)
