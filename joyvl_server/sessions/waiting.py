"""Waiting for something, at most until a moment of the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from joyvl_server.kit.clock import Clock


async def before(clock: Clock, event: asyncio.Future[Any] | Coroutine[Any, Any, object], until: float) -> bool:
    """Wait for `event`, at most until the monotonic time `until`; True when it came.

    A coroutine that did not come in time is cancelled, a future is left alone.
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
