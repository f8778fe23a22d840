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
        """Return after so many seconds of this clock. Cancelling it only ends the wait."""


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
