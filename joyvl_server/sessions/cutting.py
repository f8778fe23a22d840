"""Calls that may be cut off from outside: slices of background work."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from joyvl_server.sessions.seats import Slot

T = TypeVar("T")


class Cut(Exception):
    """A slice was cut off, because turns waited for it; or it could not begin."""


async def cuttable(slot: Slot, task: asyncio.Task[T]) -> T:
    """The task's result. Raises `Cut` where the slot was cut off meanwhile; a caller that is cancelled is cancelled."""
    slot.on_cut = task.cancel
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise Cut from None
